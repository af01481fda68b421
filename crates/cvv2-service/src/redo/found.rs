//! Redo logs that were found: what they know is brought to where it belongs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Stream;
use super::entry::FoundPiece;
use super::file;

/// The redo logs that other processes have left in a directory.
pub(crate) struct Found {
    pub(super) directory: PathBuf,
    logs: Vec<Log>,
    /// Of the newest one.
    pub(super) last_number: u64,
}

struct Log {
    path: PathBuf,
    pieces: Vec<FoundPiece>,
}

impl Found {
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let directory = directory.to_owned();
        let mut found = Self { directory, logs: Vec::new(), last_number: 0 };
        for (number, path) in file::find(&found.directory)? {
            found.logs.push(Log { pieces: file::read(&path)?, path });
            found.last_number = number;
        }
        found.remove_empty();
        Ok(found)
    }

    /// The numbers of the files of a stream that they are about.
    pub(crate) fn numbers(&self, stream: Stream) -> BTreeSet<u64> {
        self.pieces(stream).map(|piece| piece.number).collect()
    }

    /// Whether a file has all that is known of it, as far as the system shows.
    pub(crate) fn is_in(&self, stream: Stream, number: u64, file: &File) -> io::Result<bool> {
        for piece in self.pieces(stream).filter(|piece| piece.number == number) {
            if !piece.is_in(file)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes to these files, each with its number, what is known of them, and has them on disk. Of
    /// others of the stream nobody wants to know any more.
    pub(crate) fn apply(&mut self, stream: Stream, files: &[(u64, File)]) -> io::Result<()> {
        for piece in self.pieces(stream) {
            if let Some((_, file)) = files.iter().find(|(number, _)| *number == piece.number) {
                piece.apply(file)?;
            }
        }
        files.iter().try_for_each(|(_, file)| file.sync_all())?;
        for log in &mut self.logs {
            log.pieces.retain(|piece| piece.stream != stream);
        }
        self.remove_empty();
        Ok(())
    }

    fn pieces(&self, stream: Stream) -> impl Iterator<Item = &FoundPiece> {
        let pieces = self.logs.iter().flat_map(|log| &log.pieces);
        pieces.filter(move |piece| piece.stream == stream)
    }

    /// Takes away what there is nothing left to do about.
    fn remove_empty(&mut self) {
        for log in self.logs.extract_if(.., |log| log.pieces.is_empty()) {
            // What cannot be taken away is applied again, which changes nothing.
            let _ = fs::remove_file(log.path);
        }
    }
}
