//! What writes the journal.

use std::io;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::journal::Journal;
use super::state::State;
use super::{Core, Shared};
use crate::limits::error::LimitError;
use crate::redo::{Companion, Piece, RedoLog};

/// How long to wait before a failed journal is written anew.
const REPAIR_AFTER: Duration = Duration::from_secs(1);

/// The pause between two pieces of a journal that is written anew beside an audit log.
const BETWEEN_PIECES: Duration = Duration::from_millis(1);

/// Takes what waits as a batch, and has it on the disk.
pub(super) struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
    /// Where the journal is being written anew, which piece is next.
    next_piece: Option<usize>,
    batch: Vec<u8>,
    /// How many changes there are up to the end of the batch.
    changes: u64,
    /// Whether forgetting is wanted.
    wants_room: bool,
    /// After a failure, when the journal is to be written anew.
    repair_at: Option<Instant>,
}

/// The thread of a writer that goes with a redo log: it sees to it that something is written where
/// somebody waits and nothing else is.
pub(super) fn run_beside(shared: &Shared, redo: &RedoLog) {
    while shared.wait_for_work() {
        // The writer is told how it ended, and tells those who wait.
        let _ = redo.commit(&[]);
        if shared.lock().is_rewriting {
            // Whoever has a record to write comes first; a piece goes with it as well.
            thread::sleep(BETWEEN_PIECES);
        }
    }
    redo.leave();
}

impl Shared {
    /// Tells the writer's thread that somebody waits.
    pub(super) fn ask(&self, core: &mut Core) {
        if !core.is_asked {
            core.is_asked = true;
            self.work.notify_one();
        }
    }

    /// Sleeps while there is nothing to do. Whether there is something; not when the store is closed.
    fn wait_for_work(&self) -> bool {
        let mut core = self.lock();
        core = if core.failure.is_some() {
            // Nothing helps a failed journal but time.
            let is_idle = |core: &mut Core| !core.is_closing;
            let waited = self.work.wait_timeout_while(core, REPAIR_AFTER, is_idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let is_idle = |core: &mut Core| {
                let is_idle = !core.has_work() && !core.is_closing;
                // Who has asked waits for what is written already; the next one has to wake this thread.
                core.is_asked &= !is_idle;
                is_idle
            };
            self.work.wait_while(core, is_idle).unwrap_or_else(PoisonError::into_inner)
        };
        !core.is_closing || core.failure.is_none() && !core.waiting.is_empty()
    }
}

impl Core {
    fn has_work(&self) -> bool {
        let is_awaited = self.is_asked && !self.waiting.is_empty();
        is_awaited || self.state.wants_room() || self.is_rewriting || self.failure.is_some()
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, journal: Journal) -> Self {
        Self {
            shared,
            journal,
            next_piece: None,
            batch: Vec::new(),
            changes: 0,
            wants_room: false,
            repair_at: None,
        }
    }

    /// The thread of a writer that goes alone.
    pub(super) fn run(mut self) {
        while self.shared.wait_for_work() {
            if self.take() {
                let appended =
                    if self.batch.is_empty() { Ok(()) } else { self.journal.append(&self.batch) };
                self.end(appended);
            }
        }
    }

    /// Takes what waits, and a piece where the journal is being written anew. Whether there is
    /// anything to be written, or to be done about the journal.
    fn take(&mut self) -> bool {
        if self.repair_at.is_some() && !self.repair() {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let mut core = shared.lock();
        let core = &mut *core;
        core.is_asked = false;
        self.wants_room |= core.state.take_wants_room();
        if let Some(piece) = &mut self.next_piece {
            core.state.write_piece(*piece, &mut core.waiting);
            *piece += 1;
        }
        self.batch.clear();
        mem::swap(&mut core.waiting, &mut self.batch);
        self.changes = core.changes;
        !self.batch.is_empty() || self.wants_room
    }

    /// The batch is on the disk, or nobody knows.
    fn end(&mut self, outcome: io::Result<()>) {
        match outcome.and_then(|()| self.turn_over()) {
            Ok(()) => {
                let mut core = self.shared.lock();
                core.journal_bytes = self.journal.len();
                core.is_rewriting = self.next_piece.is_some();
                drop(core);
                self.shared.progress.reach(self.changes);
            }
            Err(error) => self.fail(error.into()),
        }
    }

    /// Begins to write the journal anew where it is time, and ends that where all is written.
    fn turn_over(&mut self) -> io::Result<()> {
        match self.next_piece {
            Some(State::PIECES) => {
                self.journal.end_next();
                self.next_piece = None;
            }
            None if self.wants_room || self.journal.has_grown() => {
                self.journal.begin_next()?;
                self.next_piece = Some(0);
                self.wants_room = false;
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets nothing change until the journal was written anew.
    fn fail(&mut self, error: LimitError) {
        self.next_piece = None;
        self.repair_at = Some(Instant::now() + REPAIR_AFTER);
        let mut core = self.shared.lock();
        core.waiting.clear();
        core.is_rewriting = false;
        core.failures += 1;
        core.failure = Some(error.clone());
        self.shared.work.notify_one();
        drop(core);
        self.shared.progress.fail(error);
    }

    /// Writes the journal anew after a failure, if it is time. Whether it is in order now.
    ///
    /// What waited is in the state, and so in the new file: it may be durable although its tickets
    /// failed, which is the safe side.
    fn repair(&mut self) -> bool {
        if self.repair_at.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        let shared = Arc::clone(&self.shared);
        let repaired =
            self.journal.repair(|piece, out| shared.lock().state.write_piece(piece, out));
        let mut core = shared.lock();
        match repaired {
            Ok(()) => {
                core.failure = None;
                self.repair_at = None;
                shared.progress.reach(core.changes);
                true
            }
            Err(error) => {
                drop(core);
                self.fail(error.into());
                false
            }
        }
    }
}

/// With a redo log: what waits goes with every commit.
impl Companion for Writer {
    fn prepare(&mut self) -> Option<Piece<'_>> {
        if !self.take() {
            return None;
        }
        if self.batch.is_empty() {
            self.end(Ok(()));
            return None;
        }
        if let Err(error) = self.journal.write(&self.batch) {
            self.fail(error.into());
            return None;
        }
        Some(self.journal.piece())
    }

    fn finish(&mut self, outcome: io::Result<()>) {
        if outcome.is_ok() {
            self.journal.end_batch();
        }
        self.end(outcome);
    }
}

impl Drop for Writer {
    /// However it ends, nobody waits for it.
    fn drop(&mut self) {
        let ended = LimitError::from(io::Error::other("the writer has ended"));
        self.shared.lock().failure = Some(ended.clone());
        self.shared.progress.fail(ended);
    }
}
