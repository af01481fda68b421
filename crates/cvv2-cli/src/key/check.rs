//! `cvv2 key check`: whether everything opens, and what will need somebody soon.

use std::fmt::{self, Display};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use cvv2::CvkPair;
use cvv2::key::Kbpk;
use cvv2::secret::Protection;
use cvv2_keyring::kbpk::KbpkSource;
use cvv2_keyring::{Date, KeyEntry, Keyring, State};
use serde::Serialize;
use time::Duration;

use crate::failure::{Answer, Failure};
use crate::keyring::{Place, check_values};
use crate::print::Print;

/// How long before a key's last day it is told.
const SOON: Duration = Duration::days(90);

/// Opens the KBPK and every key, and reports.
pub(super) fn run(place: &Place, print: Print) -> Result<Answer, Failure> {
    let report = Report::of(place);
    print.answer(&report, &report)?;
    Ok(if report.wrong.is_none() { Answer::Done } else { Answer::Negative })
}

#[derive(Serialize)]
struct Report {
    sound: bool,
    /// What is wrong: the first thing, as nothing behind it was looked at.
    wrong: Option<String>,
    /// What somebody should look at.
    notes: Vec<String>,
    files: Vec<CheckedFile>,
    kbpk: Option<CheckedKbpk>,
    keys: Option<CheckedKeys>,
    memory: Memory,
}

/// A file, and who may open it.
#[derive(Serialize)]
struct CheckedFile {
    path: String,
    /// Four octal digits.
    mode: String,
    owner: u32,
}

#[derive(Serialize)]
struct CheckedKbpk {
    algorithm: &'static str,
    /// One, or both.
    kcv: String,
}

#[derive(Serialize)]
struct CheckedKeys {
    total: usize,
    opened: usize,
    /// Those of each state, in the order of a key's life.
    states: [(&'static str, usize); State::ALL.len()],
}

/// How keys are guarded in memory.
#[derive(Serialize)]
struct Memory {
    required: &'static str,
    /// The weakest of the KBPK and all keys.
    protection: Option<&'static str>,
    /// Switched off when the program started.
    core_dumps: bool,
}

impl Report {
    fn of(place: &Place) -> Self {
        let mut report = Self {
            sound: false,
            wrong: None,
            notes: Vec::new(),
            files: Vec::new(),
            kbpk: None,
            keys: None,
            memory: Memory { required: place.require.name(), protection: None, core_dumps: false },
        };
        report.files.extend(CheckedFile::of(&place.path).ok());
        if let KbpkSource::File { path, .. } = &place.kbpk {
            report.files.extend(CheckedFile::of(path).ok());
        }
        match report.look(place) {
            Ok(()) => report.sound = true,
            Err(Failure::BadInput(why) | Failure::System(why)) => report.wrong = Some(why),
            Err(Failure::ClosedPipe) => {}
        }
        report
    }

    fn look(&mut self, place: &Place) -> Result<(), Failure> {
        let kbpk = place.kbpk()?;
        let kcv = check_values(&kbpk);
        self.kbpk = Some(CheckedKbpk { algorithm: kbpk.algorithm().name(), kcv });
        self.memory.protection = Some(kbpk.protection().name());

        let keyring = Keyring::read(&place.path, &kbpk).map_err(|e| Failure::keyring(&e))?;
        let opened: Vec<_> = keyring.list().filter_map(|entry| keyring.cvk(&entry.name)).collect();
        let weakest = opened.iter().map(|cvk| cvk.protection()).min();
        self.memory.protection =
            Some(weakest.unwrap_or(Protection::MemfdSecret).min(kbpk.protection()).name());
        let count = |state| keyring.list().filter(|entry| entry.state == state).count();
        self.keys = Some(CheckedKeys {
            total: keyring.list().len(),
            opened: opened.len(),
            states: State::ALL.map(|state| (state.name(), count(state))),
        });
        if self.memory.protection == Some(Protection::Wiped.name()) {
            self.notes.push(
                "keys are in memory that may be swapped and dumped; raise RLIMIT_MEMLOCK"
                    .to_owned(),
            );
        }
        for entry in keyring.list() {
            self.notes.extend(note(entry, &keyring, &kbpk, place.today()));
        }
        Ok(())
    }
}

/// What somebody should know of a key.
fn note(entry: &KeyEntry, keyring: &Keyring, kbpk: &Kbpk, today: Date) -> Option<String> {
    let name = &entry.name;
    let takes_over = |other: &KeyEntry| {
        other.predecessor.as_ref() == Some(name) && other.state != State::Pending
    };
    let has_successor = || keyring.list().any(takes_over);
    match (entry.state, entry.until) {
        (State::Pending, _) => Some(format!("{name} is pending: it waits until it is activated")),
        (State::Retired, _) => {
            let opened = CvkPair::from_key_block(&entry.block, kbpk, entry.expiry_order);
            opened.err().map(|e| format!("{name} is retired, and its block does not open: {e}"))
        }
        (State::Active, Some(until)) if until < today && !has_successor() => Some(format!(
            "{name} ended on {until}, and nothing has taken over from it; its cards get no value"
        )),
        (State::Active, Some(until)) if until < today + SOON && !has_successor() => Some(format!(
            "{name} ends on {until}, and nothing takes over from it; see `cvv2 key rotate --help`"
        )),
        _ => None,
    }
}

impl CheckedFile {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        Ok(Self {
            path: path.display().to_string(),
            mode: format!("{:04o}", meta.mode() & 0o7777),
            owner: meta.uid(),
        })
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for CheckedFile { path, mode, owner } in &self.files {
            writeln!(f, "file    {path}, mode {mode}, of user {owner}")?;
        }
        if let Some(CheckedKbpk { algorithm, kcv }) = &self.kbpk {
            writeln!(f, "KBPK    {algorithm}, check value {kcv}")?;
        }
        if let Some(CheckedKeys { total, opened, states }) = &self.keys {
            let states: Vec<_> = states
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            let states = if states.is_empty() { "none".to_owned() } else { states.join(", ") };
            writeln!(f, "keys    {total}, of which {opened} opened: {states}")?;
        }
        if let Memory { required, protection: Some(protection), .. } = &self.memory {
            writeln!(f, "memory  {protection}, {required} required; core dumps are off")?;
        }
        for note in &self.notes {
            writeln!(f, "note    {note}")?;
        }
        match &self.wrong {
            Some(wrong) => write!(f, "WRONG   {wrong}"),
            None => f.write_str("sound"),
        }
    }
}
