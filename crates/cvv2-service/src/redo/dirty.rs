//! Files that have to be synced before a half is free.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::{Piece, Stream};

/// Files that may have bytes which are nowhere else durable than in the redo log.
#[derive(Default)]
pub(super) struct Dirty {
    pub(super) files: Vec<DirtyFile>,
    /// How many syncs had failed before. If more have, the system may show bytes that it has given up
    /// writing.
    pub(super) failures_before: u64,
}

pub(super) struct DirtyFile {
    pub(super) stream: Stream,
    pub(super) number: u64,
    pub(super) file: Arc<File>,
}

impl Dirty {
    pub(super) fn add(&mut self, piece: &Piece<'_>) {
        let (stream, number, file) = (piece.stream, piece.number, Arc::clone(piece.file));
        self.add_file(DirtyFile { stream, number, file });
    }

    fn add_file(&mut self, new: DirtyFile) {
        if !self.files.iter().any(|known| Arc::ptr_eq(&known.file, &new.file)) {
            self.files.push(new);
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        other.files.into_iter().for_each(|file| self.add_file(file));
    }

    /// Has all of them on disk, but for those that were taken away.
    pub(super) fn sync(&self) -> io::Result<()> {
        for DirtyFile { file, .. } in &self.files {
            if file.metadata()?.nlink() > 0 {
                file.sync_data()?;
            }
        }
        Ok(())
    }
}
