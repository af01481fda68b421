//! Finds vector files and reads them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::flaw::Flaw;
use crate::suite::{self, ParseError, Suite};

/// The most bytes of a vector file.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// A vector file that was read and checked.
pub struct VectorFile {
    path: PathBuf,
    sha256: String,
    suite: Box<dyn Suite>,
}

impl VectorFile {
    /// Where the file was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The SHA-256 of the file's bytes, in lower-case hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What the file tests.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        self.suite.algorithm()
    }

    pub(crate) fn suite(&self) -> &dyn Suite {
        &*self.suite
    }
}

impl fmt::Debug for VectorFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorFile")
            .field("path", &self.path)
            .field("algorithm", &self.algorithm())
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

/// Reads a vector file, or every file of a folder whose name ends in `.json`, sorted by name.
///
/// Folders within the folder are left alone: that is where schemas live.
///
/// # Errors
///
/// [`LoadError`] for the first file that cannot be read or is not as described, and for a folder
/// without any vector file.
pub fn load(path: &Path) -> Result<Vec<VectorFile>, LoadError> {
    let read_error = |error| LoadError::new(path, LoadErrorKind::Read(error));
    if !path.is_dir() {
        return Ok(vec![load_file(path)?]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(read_error)? {
        let file = entry.map_err(read_error)?.path();
        if file.extension().is_some_and(|extension| extension == "json") && !file.is_dir() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(LoadError::new(path, LoadErrorKind::Empty));
    }
    files.sort();
    files.iter().map(|file| load_file(file)).collect()
}

/// Reads a vector file from memory; `path` names it in reports and errors.
///
/// # Errors
///
/// [`LoadError`] if it is not as described.
pub fn parse(path: &Path, json: &[u8]) -> Result<VectorFile, LoadError> {
    let suite = suite::parse(json).map_err(|error| {
        let kind = match error {
            ParseError::Algorithm(name) => LoadErrorKind::UnknownAlgorithm(name),
            ParseError::Flaw(found) => LoadErrorKind::Flaw { flaw: found.flaw, tc_id: found.tc_id },
            ParseError::Json(error) => LoadErrorKind::Json(error),
        };
        LoadError::new(path, kind)
    })?;
    Ok(VectorFile { path: path.to_owned(), sha256: hex::encode(Sha256::digest(json)), suite })
}

fn load_file(path: &Path) -> Result<VectorFile, LoadError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut json = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut json)?;
        Ok(json)
    };
    let json = read().map_err(|error| LoadError::new(path, LoadErrorKind::Read(error)))?;
    if json.len() as u64 > FILE_BYTES_MAX {
        return Err(LoadError::new(path, LoadErrorKind::TooLong));
    }
    parse(path, &json)
}

/// Why a file or a folder was refused as a whole.
#[derive(Debug)]
pub struct LoadError {
    path: PathBuf,
    kind: LoadErrorKind,
}

impl LoadError {
    fn new(path: &Path, kind: LoadErrorKind) -> Self {
        Self { path: path.to_owned(), kind }
    }

    /// Which file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &LoadErrorKind {
        &self.kind
    }
}

/// What is wrong with a file or a folder.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// A folder holds no vector file.
    Empty,
    /// Something is not as `vectors/README.md` describes.
    Flaw {
        /// What.
        flaw: Flaw,
        /// The test that it is about, if it is one.
        tc_id: Option<u32>,
    },
    /// The file is no JSON, or a field is missing, unknown or of another kind.
    Json(serde_json::Error),
    /// The file or the folder cannot be read.
    Read(io::Error),
    /// The file is longer than [`FILE_BYTES_MAX`].
    TooLong,
    /// No test of this runner has this name.
    UnknownAlgorithm(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.kind {
            LoadErrorKind::Empty => f.write_str("the folder holds no vector file (*.json)"),
            LoadErrorKind::Flaw { flaw, tc_id: Some(id) } => write!(f, "tcId {id}: {flaw}"),
            LoadErrorKind::Flaw { flaw, tc_id: None } => flaw.fmt(f),
            LoadErrorKind::Json(error) => write!(f, "not a vector file: {error}"),
            LoadErrorKind::Read(error) => write!(f, "cannot be read: {error}"),
            LoadErrorKind::TooLong => {
                write!(f, "longer than {FILE_BYTES_MAX} bytes; split the file")
            }
            LoadErrorKind::UnknownAlgorithm(name) => {
                write!(f, "this runner knows no algorithm `{name}`")
            }
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            LoadErrorKind::Json(error) => Some(error),
            LoadErrorKind::Read(error) => Some(error),
            _ => None,
        }
    }
}
