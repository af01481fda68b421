//! Changes of a keyring's file.
//!
//! A change is made in the text itself, at the places of the values, so that comments and order stay
//! as people left them. It counts only if the text with the change, read again, says exactly what
//! was meant; and it is written only if the whole keyring can be loaded from it.

use std::ops::Range;
use std::path::Path;

use cvv2::KeyBlock;
use cvv2::key::Kbpk;
use time::Date;
use toml::de::DeTable;

use crate::check_value::CheckValue;
use crate::entry::{KeyEntry, quoted};
use crate::error::{ChangeError, KeyringError};
use crate::file::LockedFile;
use crate::keyring::{self, Keyring};
use crate::load_error::{Fault, LoadError};
use crate::month::Month;
use crate::state::State;
use crate::text;
use crate::token::Token;

/// A change of a keyring: begun with [`open`](Self::open), made in memory, and done with
/// [`commit`](Self::commit) or not at all.
///
/// As long as it lives no other draft of a keyring in the same folder can be opened.
#[derive(Debug)]
pub struct Draft<'a> {
    file: LockedFile,
    kbpk: &'a Kbpk,
    text: String,
    entries: Vec<KeyEntry>,
}

/// The key that takes over from another. Scheme, kinds, BINs and expiry order are the other's.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever rotates a key has to state all of it")]
pub struct Successor {
    /// Its name.
    pub name: Token,
    /// The first day on which it is in force.
    pub from: Date,
    /// The first month of expiry of cards that it is for, if not for all.
    pub cards_expiring_from: Option<Month>,
    /// Its check value, as the issuer's papers have it.
    pub kcv: CheckValue,
    /// The key.
    pub block: KeyBlock,
}

impl<'a> Draft<'a> {
    /// Locks and reads a keyring's file.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] if somebody else is at it, or if it is not in order as it is.
    pub fn open(path: &Path, kbpk: &'a Kbpk) -> Result<Self, KeyringError> {
        let file = LockedFile::open(path)?;
        let text = file.text().to_owned();
        let entries =
            entries(&text, kbpk).map_err(|error| KeyringError::load(file.given_path(), error))?;
        Ok(Self { file, kbpk, text, entries })
    }

    /// The keys as they are with the changes so far.
    #[must_use]
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// Adds a key at the end.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Refused`] if the keyring cannot have it.
    pub fn import(&mut self, entry: KeyEntry) -> Result<(), KeyringError> {
        let mut text = self.text.clone();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&entry.to_toml());
        let mut entries = self.entries.clone();
        entries.push(entry);
        self.change(text, entries)
    }

    /// Adds a successor of a key, which is in force for the same cards from its first day on. The
    /// key itself stays as it is: it goes on verifying, and generates until that day.
    ///
    /// # Errors
    ///
    /// [`ChangeError::NoSuchKey`], and as [`import`](Self::import).
    pub fn rotate(&mut self, name: &str, successor: Successor) -> Result<(), KeyringError> {
        let older = &self.entries[self.find(name)?];
        let Successor { name, from, cards_expiring_from, kcv, block } = successor;
        self.import(KeyEntry {
            name,
            scheme: older.scheme.clone(),
            kinds: older.kinds.clone(),
            bins: older.bins.clone(),
            expiry_order: older.expiry_order,
            state: State::Active,
            from,
            until: None,
            cards_expiring_from,
            predecessor: Some(older.name.clone()),
            kcv,
            block,
        })
    }

    /// Takes a key to another state: activates it, stops it from generating, retires it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::NoSuchKey`]; [`ChangeError::State`] for a step that
    /// [no key takes](State::may_become); [`KeyringError::Refused`].
    pub fn set_state(&mut self, name: &str, state: State) -> Result<(), KeyringError> {
        let index = self.find(name)?;
        let mut entries = self.entries.clone();
        let from = std::mem::replace(&mut entries[index].state, state);
        if !from.may_become(state) {
            return Err(ChangeError::State { from, to: state }.into());
        }
        let place = self.place_of(index, "state")?;
        self.change(replaced(&self.text, place, &quoted(state.name())), entries)
    }

    /// Sets the last day of a key.
    ///
    /// # Errors
    ///
    /// [`ChangeError::NoSuchKey`] and [`KeyringError::Refused`].
    pub fn set_until(&mut self, name: &str, until: Date) -> Result<(), KeyringError> {
        let index = self.find(name)?;
        let mut entries = self.entries.clone();
        let text = if entries[index].until.replace(until).is_some() {
            replaced(&self.text, self.place_of(index, "until")?, &until.to_string())
        } else {
            let from = self.place_of(index, "from")?;
            let at = line_end(&self.text, from.end);
            replaced(&self.text, at..at, &format!("\nuntil = {until}"))
        };
        self.change(text, entries)
    }

    /// Takes a key out of the file, with the comment right above it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::NoSuchKey`]; [`ChangeError::StillUsed`] for a key that is neither pending nor
    /// retired; [`KeyringError::Refused`] for the predecessor of another.
    pub fn remove(&mut self, name: &str) -> Result<(), KeyringError> {
        let index = self.find(name)?;
        let mut entries = self.entries.clone();
        let removed = entries.remove(index);
        if !matches!(removed.state, State::Pending | State::Retired) {
            return Err(ChangeError::StillUsed { state: removed.state }.into());
        }
        let document = text::document(&self.text).map_err(|fault| self.refused(fault))?;
        let lines = lines_of_key(&self.text, &document, index).ok_or(ChangeError::Form)?;
        let text = replaced(&self.text, lines, "");
        self.change(text, entries)
    }

    /// Loads the keyring from the text with the changes, and replaces the file by it.
    ///
    /// The file is the old one or the new one, whole, at every instant and whatever stops the
    /// process or the machine. The old one stays beside it as `NAME.previous`.
    ///
    /// # Errors
    ///
    /// [`KeyringError::Refused`] and [`KeyringError::File`]. The file is as it was then; or, after
    /// [`FileFault::Unfinished`](crate::FileFault::Unfinished), the new one.
    pub fn commit(self) -> Result<Keyring, KeyringError> {
        let keyring = Keyring::parse(&self.text, self.kbpk)
            .map_err(|error| KeyringError::refused(self.file.given_path(), error))?;
        self.file.replace(&self.text)?;
        Ok(keyring)
    }

    fn find(&self, name: &str) -> Result<usize, ChangeError> {
        self.entries.iter().position(|key| *key.name == *name).ok_or(ChangeError::NoSuchKey)
    }

    fn place_of(&self, index: usize, field: &str) -> Result<Range<usize>, KeyringError> {
        let document = text::document(&self.text).map_err(|fault| self.refused(fault))?;
        let value = table(&document, index).and_then(|table| table.get(field));
        Ok(value.ok_or(ChangeError::Form)?.span())
    }

    /// Takes over a text that has to say what `meant` says.
    fn change(&mut self, text: String, meant: Vec<KeyEntry>) -> Result<(), KeyringError> {
        let said = entries(&text, self.kbpk)
            .map_err(|error| KeyringError::refused(self.file.given_path(), error))?;
        if said != meant {
            return Err(ChangeError::Form.into());
        }
        (self.text, self.entries) = (text, meant);
        Ok(())
    }

    fn refused(&self, fault: Fault) -> KeyringError {
        KeyringError::refused(self.file.given_path(), LoadError::new(&self.text, fault))
    }
}

/// What a text says, after all checks but those that open a block.
fn entries(text: &str, kbpk: &Kbpk) -> Result<Vec<KeyEntry>, LoadError> {
    let (parsed, _) = keyring::check(text, kbpk).map_err(|fault| LoadError::new(text, fault))?;
    Ok(parsed.keys.into_iter().map(|key| key.entry).collect())
}

fn table<'a>(document: &'a DeTable<'a>, index: usize) -> Option<&'a DeTable<'a>> {
    document.get("key")?.get_ref().as_array()?.get(index)?.get_ref().as_table()
}

/// The lines of a key, with the comment lines right above it and the empty line before them.
fn lines_of_key(text: &str, document: &DeTable<'_>, index: usize) -> Option<Range<usize>> {
    let heading = document.get("key")?.get_ref().as_array()?.get(index)?.span();
    let values = table(document, index)?.values();
    let end = values.map(|value| value.span().end).chain([heading.end]).max()?;
    let end = line_end(text, end);
    let end = text.len().min(end + 1);

    let mut start = line_start(text, heading.start);
    let mut above = || {
        let before = line_start(text, start.checked_sub(1)?);
        let line = text[before..start].trim();
        start = if line.is_empty() || line.starts_with('#') { before } else { return None };
        line.starts_with('#').then_some(())
    };
    while above().is_some() {}
    Some(start..end)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Where the line ends that a byte is in: its line feed, or the end of the text.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

fn replaced(text: &str, place: Range<usize>, by: &str) -> String {
    [&text[..place.start], by, &text[place.end..]].concat()
}
