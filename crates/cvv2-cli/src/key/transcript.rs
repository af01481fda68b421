//! The files that the transcript of a ceremony goes to.

use std::fmt::{self, Display};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cvv2_keyring::ceremony::{Record, Transcript};
use serde::Serialize;
use time::OffsetDateTime;

use crate::failure::Failure;

/// Files that are made before a ceremony, and taken away again if it comes to nothing.
pub(super) struct Filing {
    files: Vec<(PathBuf, File)>,
    record: Option<Record>,
}

impl Filing {
    /// Nothing is filed.
    pub(super) fn none() -> Self {
        Self { files: Vec::new(), record: None }
    }

    /// Makes new, empty files.
    pub(super) fn reserve(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut filing = Self::none();
        for path in paths {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)
                .map_err(|e| Failure::file(path, &e))?;
            filing.files.push((path.clone(), file));
        }
        Ok(filing)
    }

    /// What the ceremony came to.
    pub(super) fn of(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    /// Writes the transcript, with the name and the keyring that the key was taken under.
    pub(super) fn file(
        mut self,
        taken: Option<(&str, &Path)>,
        now: OffsetDateTime,
    ) -> Result<(), Failure> {
        let Some(record) = self.record.take() else { return Ok(()) };
        let tool = concat!("cvv2 ", env!("CARGO_PKG_VERSION"));
        let filed = Filed {
            transcript: Transcript::new(record, now, tool),
            key: taken.map(|(key, _)| key),
            keyring: taken.map(|(_, keyring)| keyring),
        };
        for (path, mut file) in self.files.drain(..) {
            filed.write(&path, &mut file).map_err(|e| {
                eprint!("{filed}");
                Failure::System(format!(
                    "{}: {e}; the key was taken, and the transcript is above",
                    path.display()
                ))
            })?;
        }
        Ok(())
    }
}

impl Drop for Filing {
    fn drop(&mut self) {
        for (path, _) in &self.files {
            // It is empty and was made by us; where it cannot be removed it says so by that.
            let _ = fs::remove_file(path);
        }
    }
}

/// A transcript, and where the key went.
#[derive(Serialize)]
struct Filed<'a> {
    #[serde(flatten)]
    transcript: Transcript,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyring: Option<&'a Path>,
}

impl Filed<'_> {
    fn write(&self, path: &Path, file: &mut File) -> io::Result<()> {
        if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::to_writer_pretty(&mut *file, self)?;
            writeln!(file)?;
        } else {
            write!(file, "{self}")?;
        }
        file.sync_all()
    }
}

impl Display for Filed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transcript.fmt(f)?;
        match (self.key, self.keyring) {
            (Some(key), Some(keyring)) => {
                writeln!(f, "\nTaken as       {key}\nInto keyring   {}", keyring.display())
            }
            _ => Ok(()),
        }
    }
}
