//! The state of a redo log between two commits.

use std::fs;
use std::io;

use super::checkpoint::Checkpointer;
use super::dirty::Dirty;
use super::entry::Entry;
use super::file::{HALF_BYTES, Half, RedoFile};
use super::found::Found;
use super::{Companion, Piece, same_error};

/// What commits need, one after the other.
pub(super) struct Writing {
    file: RedoFile,
    checkpointer: Checkpointer,
    entry: Entry,
    /// The number of the next entry.
    sequence: u64,
    half: Half,
    /// Bytes of the half that are written.
    len: usize,
    /// What they are about.
    dirty: Dirty,
    /// How many syncs had failed when the last entry was written: what the next one is about was appended
    /// since.
    failures_known: u64,
    companion: Option<Box<dyn Companion>>,
}

impl Writing {
    pub(super) fn begin(found: &Found) -> io::Result<Self> {
        let file = RedoFile::create(&found.directory, found.last_number + 1)?;
        let checkpointer = Checkpointer::spawn(file.reader()?)?;
        Ok(Self {
            file,
            checkpointer,
            entry: Entry::default(),
            sequence: 1,
            half: Half::First,
            len: 0,
            dirty: Dirty::default(),
            failures_known: 0,
            companion: None,
        })
    }

    pub(super) fn join(&mut self, companion: Box<dyn Companion>) -> bool {
        let is_free = self.companion.is_none();
        if is_free {
            self.companion = Some(companion);
        }
        is_free
    }

    pub(super) fn leave(&mut self) {
        self.companion = None;
    }

    pub(super) fn doubt(&self) {
        self.checkpointer.doubt();
    }

    pub(super) fn check(&self) -> io::Result<()> {
        self.checkpointer.check()
    }

    pub(super) fn commit(&mut self, pieces: &[Piece<'_>]) -> io::Result<()> {
        self.entry.begin(self.sequence);
        let mut dirty = Dirty::default();
        for piece in pieces {
            self.entry.push(piece);
            dirty.add(piece);
        }
        let mut companion = self.companion.take();
        let mut is_accompanied = false;
        if let Some(piece) = companion.as_mut().and_then(|companion| companion.prepare()) {
            self.entry.push(&piece);
            dirty.add(&piece);
            is_accompanied = true;
        }
        let outcome = if dirty.files.is_empty() { Ok(()) } else { self.write(dirty) };
        if is_accompanied && let Some(companion) = &mut companion {
            let same = outcome.as_ref().copied().map_err(same_error);
            companion.finish(same);
        }
        self.companion = companion;
        outcome
    }

    /// Has the entry on disk.
    fn write(&mut self, dirty: Dirty) -> io::Result<()> {
        let failures_before = self.failures_known;
        self.failures_known = self.checkpointer.failures();
        let bytes = self.entry.seal();
        if bytes.len() > HALF_BYTES {
            // Seldom, and so long that to sync the files is hardly more. The checkpointer must not sync
            // them meanwhile: it would be told what is wrong with them.
            self.checkpointer.wait()?;
            return dirty.sync().inspect_err(|_| self.checkpointer.doubt());
        }
        if self.len + bytes.len() > HALF_BYTES {
            self.checkpointer.hand_over(self.half, &mut self.dirty)?;
            self.half = self.half.other();
            self.len = 0;
        }
        self.file.write(self.half, self.len, bytes)?;
        self.len += bytes.len();
        self.sequence += 1;
        if self.dirty.files.is_empty() {
            self.dirty.failures_before = failures_before;
        }
        self.dirty.append(dirty);
        Ok(())
    }
}

impl Drop for Writing {
    /// Syncs everything, and then there is nothing to be redone.
    fn drop(&mut self) {
        self.companion = None;
        let is_free = self.checkpointer.stop();
        let is_synced = self.dirty.sync().is_ok();
        let is_certain = self.dirty.files.is_empty()
            || self.checkpointer.failures() == self.dirty.failures_before;
        if is_free && is_synced && is_certain {
            // What cannot be taken away is applied again, which changes nothing.
            let _ = fs::remove_file(self.file.path());
        }
    }
}
