//! Whether a log is as it was written, found out from its files alone.

mod fault;
mod walk;

use std::fmt;
use std::io::{self, BufRead};
use std::path::PathBuf;

use cvv2::secret::SecretError;

pub use self::fault::{Fault, Finding};
use self::walk::{Opened, Walk};
use super::anchor::Anchors;
use super::chain::{ChainId, ChainKey, Head};
use crate::service_key::ServiceKey;

/// Verifies audit logs: every line's code, in the order of the files.
///
/// A file is read once, line by line, with memory for a few lines, however long it is. The service
/// may write to the log meanwhile.
///
/// What cannot be seen without an [anchor](Self::against): that the end of the chain is missing.
pub struct Verifier {
    key: ChainKey,
    anchor: Option<Anchors>,
    is_partial: bool,
}

impl Verifier {
    /// Verifies logs that were written under this key.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where there is no memory for what is derived of it.
    pub fn new(key: &ServiceKey) -> Result<Self, SecretError> {
        Ok(Self { key: ChainKey::new(key)?, anchor: None, is_partial: false })
    }

    /// Demands that the log has every line that the anchor knows.
    ///
    /// Of a log that is being written, give the anchor as it was before the files were listed: it
    /// grows as well.
    #[must_use]
    pub fn against(mut self, anchor: impl BufRead + 'static) -> Self {
        self.anchor = Some(Anchors::new(Box::new(anchor)));
        self
    }

    /// Takes a log of which the first files are elsewhere. Without this a log has to begin with its
    /// first line.
    #[must_use]
    pub fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }

    /// Reads the files, in the order of their numbers, and stops at the first thing that is wrong.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Found`] with what is wrong and where; [`VerifyError::Io`] and
    /// [`VerifyError::Anchor`] for what cannot be read, [`VerifyError::NoFile`] for no file.
    pub fn run<R: BufRead>(
        self,
        files: impl IntoIterator<Item = (PathBuf, io::Result<R>)>,
    ) -> Result<VerifyReport, VerifyError> {
        let mut files =
            files.into_iter().map(|(path, reader)| Opened::new(path, reader, &self.key));
        let mut current = files.next().ok_or(VerifyError::NoFile)??;
        let mut walk = Walk::new(&self.key, self.anchor, self.is_partial);
        loop {
            // The next file says how much of this one counts.
            let next = files.next().transpose()?;
            walk.file(&mut current, next.as_ref())?;
            match next {
                Some(next) => current = next,
                None => return walk.finish(),
            }
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("is_partial", &self.is_partial)
            .field("has_anchor", &self.anchor.is_some())
            .finish_non_exhaustive()
    }
}

/// What was verified, where nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Which chain it is.
    pub chain: ChainId,
    /// Files.
    pub files: u64,
    /// Records: lines but the first and the last ones of files.
    pub records: u64,
    /// The number of the first line: 1, or more where the first files are elsewhere.
    pub first: u64,
    /// The last line.
    pub head: Head,
    /// Whether the last file was closed in order.
    pub is_closed: bool,
    /// Bytes at the end of the last file that are the start of a group which nobody was told was
    /// written; a service that starts cuts them off.
    pub torn_bytes: u64,
    /// Bytes of that kind in other files, which stayed there when a disk failed.
    pub abandoned_bytes: u64,
    /// Bytes that were cut off files when a service started or a disk had failed, as the files say.
    /// They too are of records that nobody was told were written, if nobody has tampered with the
    /// end of a file before the service was started; against that, an anchor helps.
    pub cut_bytes: u64,
    /// Records that were refused while the log could not be written, as the files say.
    pub refused: u64,
    /// Points of the anchor that the log agrees with.
    pub anchored: u64,
    /// Points of the anchor before the first line.
    pub anchored_before: u64,
    /// Lines of the anchor that cannot be read, such as ones that a full disk has torn.
    pub anchor_unreadable: u64,
}

/// Why a log was not verified.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// A point of the anchor does not come after the one before it, so somebody has edited it, or
    /// it is of several logs.
    Anchor {
        /// The line of the anchor.
        line: u64,
    },
    /// The anchor could not be read.
    AnchorIo(io::Error),
    /// Something is wrong with the log.
    Found(Finding),
    /// A file could not be read.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no file.
    NoFile,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anchor { line } => write!(
                f,
                "line {line} of the anchor is not behind the one before it; give the anchor of this \
                 log as it was written"
            ),
            Self::AnchorIo(error) => write!(f, "the anchor: {error}"),
            Self::Found(finding) => finding.fmt(f),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NoFile => {
                f.write_str("there is no audit file; give a directory or files of a log")
            }
        }
    }
}

impl std::error::Error for VerifyError {}
