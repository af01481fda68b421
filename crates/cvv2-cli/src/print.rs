//! Standard output, as text for people or JSON for scripts.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Where a command's answer goes.
#[derive(Clone, Copy)]
pub(crate) struct Print {
    json: bool,
}

impl Print {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints one answer: `text` for people, or `value` as JSON where `--json` was given.
    pub(crate) fn answer(self, text: impl Display, value: &impl Serialize) -> Result<(), Failure> {
        if self.json { json(value) } else { line(text) }
    }
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)
        .map_err(io::Error::from)
        .and_then(|()| writeln!(out))
        .map_err(|e| Failure::output(&e))
}

/// Prints a line of text.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}").map_err(|e| Failure::output(&e))
}
