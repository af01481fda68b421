//! How far an import is, as it stands in `meta`.

use std::fs;

use crate::card_ref::ExidForm;
use crate::import::{DIGEST_LEN, ImportOptions, Position};
use crate::seal::KeyVersion;

/// How far an import is: written in the same transaction as what it stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Progress {
    /// When the system was started: files that were not synchronised are not trusted beyond that.
    boot: [u8; BOOT_LEN],
    /// The version of the key that claims are sealed under.
    version: KeyVersion,
    delimiter: u8,
    exid_form: ExidForm,
    /// What was read of the input, and the hash of that.
    pub(super) offset: u64,
    pub(super) rows: u64,
    pub(super) digest: [u8; DIGEST_LEN],
    /// Rows that are cards.
    pub(super) cards: u64,
    /// Rows that are none, and the length of the file with them.
    pub(super) unread: u64,
    pub(super) unread_len: u64,
    /// The length of the file with claims.
    pub(super) spool_len: u64,
    /// Seals that were counted and not made yet.
    pub(super) seals_ahead: u64,
    /// How far storing is, once everything was read and compared.
    pub(super) storing: Option<Storing>,
}

/// How far storing is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Storing {
    pub(super) added: u64,
    pub(super) replaced: u64,
    /// The length of the file with claims that are put one by one.
    pub(super) single_len: u64,
    /// The last row of them that was put.
    pub(super) row: u64,
    /// Rows that the store refused, and the length of the file with them.
    pub(super) refused: u64,
    pub(super) refused_len: u64,
}

impl Progress {
    /// An import that is about to begin.
    pub(super) fn new(version: KeyVersion, options: &ImportOptions) -> Self {
        Self {
            boot: boot(),
            version,
            delimiter: options.delimiter,
            exid_form: options.exid_form,
            offset: 0,
            rows: 0,
            digest: [0; DIGEST_LEN],
            cards: 0,
            unread: 0,
            unread_len: 0,
            spool_len: 0,
            seals_ahead: 0,
            storing: None,
        }
    }

    /// The same, with reading being at a place of the input.
    pub(super) fn at(self, position: &Position) -> Self {
        let (offset, rows) = (position.offset, position.rows);
        Self { offset, rows, digest: position.digest(), ..self }
    }

    /// Whether what this one has left behind may be trusted and is of use to `new`.
    pub(super) fn suits(&self, new: &Self) -> bool {
        let same = |progress: &Self| {
            (progress.boot, progress.version, progress.delimiter, progress.exid_form)
        };
        self.boot != UNKNOWN_BOOT && same(self) == same(new)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend_from_slice(&self.boot);
        bytes.push(self.version.number());
        bytes.push(self.delimiter);
        bytes.push(u8::from(self.exid_form == ExidForm::Strict));
        bytes.extend_from_slice(&self.digest);
        let storing = self.storing.unwrap_or_default();
        for number in [
            self.offset,
            self.rows,
            self.cards,
            self.unread,
            self.unread_len,
            self.spool_len,
            self.seals_ahead,
            u64::from(self.storing.is_some()),
            storing.added,
            storing.replaced,
            storing.single_len,
            storing.row,
            storing.refused,
            storing.refused_len,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// The progress of which these are the bytes, if there is one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (boot, bytes) = bytes.split_first_chunk()?;
        let (&[version, delimiter, is_strict], bytes) = bytes.split_first_chunk()?;
        let (digest, bytes) = bytes.split_first_chunk()?;
        let bytes: &[u8; 8 * Self::NUMBERS] = bytes.try_into().ok()?;
        let mut numbers = [0; Self::NUMBERS];
        for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks().0) {
            *number = u64::from_le_bytes(*bytes);
        }
        let [
            offset,
            rows,
            cards,
            unread,
            unread_len,
            spool_len,
            seals_ahead,
            is_storing,
            rest @ ..,
        ] = numbers;
        let [added, replaced, single_len, row, refused, refused_len] = rest;
        let storing = Storing { added, replaced, single_len, row, refused, refused_len };
        Some(Self {
            boot: *boot,
            version: KeyVersion::new(version)?,
            delimiter,
            exid_form: if is_strict == 1 { ExidForm::Strict } else { ExidForm::Any },
            offset,
            rows,
            digest: *digest,
            cards,
            unread,
            unread_len,
            spool_len,
            seals_ahead,
            storing: (is_storing == 1).then_some(storing),
        })
    }

    const NUMBERS: usize = 14;
    const LEN: usize = BOOT_LEN + 3 + DIGEST_LEN + 8 * Self::NUMBERS;
}

type Boot = [u8; BOOT_LEN];
const BOOT_LEN: usize = 36;
const UNKNOWN_BOOT: Boot = [0; BOOT_LEN];

/// What the system calls the time since it was started.
///
/// Where it has no name for it, no import goes on after it was cut short: each starts anew.
fn boot() -> Boot {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().as_bytes().try_into().unwrap_or(UNKNOWN_BOOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            offset: 1,
            rows: 2,
            digest: [3; DIGEST_LEN],
            cards: 4,
            unread: 5,
            unread_len: 6,
            spool_len: 7,
            seals_ahead: 8,
            ..Progress::new(KeyVersion::FIRST, &ImportOptions::default())
        }
    }

    #[test]
    fn progress_is_read_as_it_was_written() {
        let reading = progress();
        let storing = Storing {
            added: 9,
            replaced: 10,
            single_len: 11,
            row: 12,
            refused: 13,
            refused_len: u64::MAX,
        };
        let storing = Progress { storing: Some(storing), ..progress() };
        let strict =
            ImportOptions { exid_form: ExidForm::Strict, delimiter: b';', begin_anew: true };
        for progress in [reading, storing, Progress::new(KeyVersion::FIRST, &strict)] {
            let bytes = progress.to_bytes();
            assert_eq!(bytes.len(), Progress::LEN);
            assert_eq!(Progress::read(&bytes), Some(progress));
            assert_eq!(Progress::read(&bytes[1..]), None);
        }
    }

    #[test]
    fn nothing_goes_on_under_another_key_or_with_other_options_or_after_a_restart() {
        let options = ImportOptions::default();
        let new = Progress::new(KeyVersion::FIRST, &options);
        assert!(progress().suits(&new), "the system has a name for the time since it was started");
        let second = Progress::new(KeyVersion::FIRST.next().unwrap(), &options);
        let semicolons = ImportOptions { delimiter: b';', ..options };
        let strict = ImportOptions { exid_form: ExidForm::Strict, ..options };
        for other in [
            second,
            Progress::new(KeyVersion::FIRST, &semicolons),
            Progress::new(KeyVersion::FIRST, &strict),
            Progress { boot: [b'x'; BOOT_LEN], ..new.clone() },
        ] {
            assert!(!progress().suits(&other));
        }
        let unknown = Progress { boot: UNKNOWN_BOOT, ..new };
        assert!(!unknown.suits(&unknown));
    }
}
