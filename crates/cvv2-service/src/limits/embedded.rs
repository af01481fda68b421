//! Limits of one process: in memory, and in a journal on its disk.

mod directory;
mod journal;
mod journal_file;
mod messages;
mod record;
mod state;

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::journal::Journal;
use self::state::State;
use super::card_log::EventKind;
use super::durable::{Durable, Progress};
use super::error::LimitError;
use super::message_use::MessageUse;
use super::moment::Moment;
use super::policy::LimitPolicy;
use super::refusal::Denied;
use super::report::{CallerLimits, CardLimits, LimitCounters, ListFilter};
use super::store::{LimitStore, Reservation};
use crate::card_key::CardKey;
use crate::message_key::MessageKey;

/// Records that wait for the disk, in bytes: beyond, charges are refused.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Records that are written even if nobody asks for them to be durable, in bytes.
const WAITING_BYTES_UNASKED: usize = 64 << 10;

/// How long to wait before a failed journal is written anew.
const REPAIR_AFTER: Duration = Duration::from_secs(1);

/// Charges change the state under one lock, and leave their records for one thread that writes
/// them. While the disk works on some, more of them gather: they share the next `fdatasync`.
pub(super) struct EmbeddedStore {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    core: Mutex<Core>,
    /// Tells the writer that there is work.
    work: Condvar,
    progress: Arc<Progress>,
}

struct Core {
    state: State,
    /// Records that the writer has not taken.
    waiting: Vec<u8>,
    /// Charges and other changes, in all.
    changes: u64,
    /// Why there are no more changes.
    failure: Option<LimitError>,
    failures: u64,
    journal_bytes: u64,
    writer_sleeps: bool,
    is_closing: bool,
}

impl EmbeddedStore {
    pub(super) fn open(directory: &Path, policy: LimitPolicy) -> Result<Self, LimitError> {
        policy.check()?;
        let (journal, state) = Journal::open(directory, policy)?;
        let core = Core {
            state,
            waiting: Vec::new(),
            changes: 0,
            failure: None,
            failures: 0,
            journal_bytes: journal.len(),
            writer_sleeps: false,
            is_closing: false,
        };
        let (core, progress) = (Mutex::new(core), Arc::new(Progress::default()));
        let shared = Arc::new(Shared { core, work: Condvar::new(), progress });
        let writer = Writer { shared: Arc::clone(&shared), journal, next_piece: None };
        let writer =
            thread::Builder::new().name("cvv2-limits".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Changes the state, unless no change can be made durable.
    fn change<T, E: From<LimitError>>(
        &self,
        change: impl FnOnce(&mut State, &mut Vec<u8>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut core = self.shared.lock();
        let core = &mut *core;
        if let Some(failure) = &core.failure {
            return Err(failure.clone().into());
        }
        if core.waiting.len() > WAITING_BYTES_MAX {
            return Err(LimitError::Behind.into());
        }
        let before = core.waiting.len();
        let outcome = change(&mut core.state, &mut core.waiting);
        if core.waiting.len() > before {
            core.changes += 1;
        }
        let is_urgent = core.waiting.len() > WAITING_BYTES_UNASKED || core.state.wants_room();
        if core.writer_sleeps && is_urgent {
            core.writer_sleeps = false;
            self.shared.work.notify_one();
        }
        outcome
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.lock().state)
    }
}

impl LimitStore for EmbeddedStore {
    fn admit(&self, caller: &str, now: Moment) -> Result<(), Denied> {
        self.change(|state, out| state.admit(caller, now, out))
    }

    fn not_found(&self, caller: &str, now: Moment) -> Result<(), LimitError> {
        self.change(|state, out| state.not_found(caller, now, out))
    }

    fn first_use(&self, message: MessageKey, now: Moment) -> Result<MessageUse, LimitError> {
        self.change(|state, out| Ok(state.first_use(message, now, out)))
    }

    fn charge(
        &self,
        caller: &str,
        card: CardKey,
        kind: EventKind,
        now: Moment,
    ) -> Result<Reservation, Denied> {
        self.change(|state, out| state.charge(caller, card, kind, now, out))
    }

    fn settle(&self, reserved: Reservation, is_wrong: bool) -> Result<(), LimitError> {
        self.change(|state, out| {
            state.settle(reserved, is_wrong, out);
            Ok(())
        })
    }

    fn durable(&self) -> Durable {
        let mut core = self.shared.lock();
        if core.writer_sleeps && !core.waiting.is_empty() {
            core.writer_sleeps = false;
            self.shared.work.notify_one();
        }
        Durable::when(&self.shared.progress, core.changes)
    }

    fn list_cards(&self, filter: &ListFilter, now: Moment) -> Result<Vec<CardLimits>, LimitError> {
        // One shard after the other, and one card: nobody waits for the whole list.
        let cards = (0..State::SHARDS).flat_map(|shard| self.look(|state| state.cards(shard)));
        let rows = cards.filter_map(|card| self.show_card(card, now).ok()?);
        Ok(filter.rows(rows, |row| &row.usage))
    }

    fn list_callers(
        &self,
        filter: &ListFilter,
        now: Moment,
    ) -> Result<Vec<CallerLimits>, LimitError> {
        let callers: Vec<_> = self.look(|state| state.callers().map(str::to_owned).collect());
        let rows = callers.iter().filter_map(|caller| self.show_caller(caller, now).ok()?);
        Ok(filter.rows(rows, |row| &row.usage))
    }

    fn show_card(&self, card: CardKey, now: Moment) -> Result<Option<CardLimits>, LimitError> {
        Ok(self.look(|state| {
            let usages = state.card_usages(card, now)?;
            Some(CardLimits::new(card, usages, now, |id| state.name(id)))
        }))
    }

    fn show_caller(&self, caller: &str, now: Moment) -> Result<Option<CallerLimits>, LimitError> {
        Ok(self.look(|state| {
            let usages = state.caller_usages(caller, now)?;
            Some(CallerLimits::new(caller, usages, now))
        }))
    }

    fn clear_card(&self, card: CardKey) -> Result<bool, LimitError> {
        self.change(|state, out| Ok(state.clear_card(card, out)))
    }

    fn clear_caller(&self, caller: &str) -> Result<bool, LimitError> {
        self.change(|state, out| Ok(state.clear_caller(caller, out)))
    }

    fn count(&self, counters: &mut LimitCounters) {
        let core = self.shared.lock();
        counters.card_charges = core.state.events() as u64;
        counters.messages = core.state.messages() as u64;
        counters.journal_lag = core.changes - self.shared.progress.reached();
        counters.journal_bytes = core.journal_bytes;
        counters.journal_failures = core.failures;
    }
}

impl Drop for EmbeddedStore {
    /// Writes what waits, and ends the writer.
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.work.notify_one();
        if let Some(writer) = self.writer.take() {
            // If it has panicked its tickets were never done, and nothing was acknowledged.
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes the journal.
struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
    /// Where the journal is being written anew, which piece is next.
    next_piece: Option<usize>,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        while let Some((changes, wants_room)) = self.take(&mut batch) {
            match self.write(&batch, wants_room) {
                Ok(()) => self.shared.progress.reach(changes),
                Err(error) => {
                    if !self.repair(error.into()) {
                        break;
                    }
                }
            }
            batch.clear();
        }
    }

    /// Takes what waits, and a piece where the journal is being written anew. Sleeps while there is
    /// nothing to do; returns nothing when the store is closed.
    ///
    /// With it come how many changes there are up to here, and whether forgetting is wanted.
    fn take(&mut self, batch: &mut Vec<u8>) -> Option<(u64, bool)> {
        let mut core = self.shared.lock();
        core.journal_bytes = self.journal.len();
        let has_work = |core: &Core| {
            !core.waiting.is_empty() || core.state.wants_room() || self.next_piece.is_some()
        };
        while !core.is_closing && !has_work(&core) {
            core.writer_sleeps = true;
            core = self.shared.work.wait(core).unwrap_or_else(PoisonError::into_inner);
            core.writer_sleeps = false;
        }
        if core.is_closing && core.waiting.is_empty() {
            return None;
        }
        let core = &mut *core;
        if let Some(piece) = &mut self.next_piece {
            core.state.write_piece(*piece, &mut core.waiting);
            *piece += 1;
        }
        std::mem::swap(&mut core.waiting, batch);
        Some((core.changes, core.state.take_wants_room()))
    }

    fn write(&mut self, batch: &[u8], wants_room: bool) -> io::Result<()> {
        if !batch.is_empty() {
            self.journal.append(batch)?;
        }
        match self.next_piece {
            Some(State::PIECES) => {
                self.journal.end_next();
                self.next_piece = None;
            }
            None if wants_room || self.journal.has_grown() => {
                self.journal.begin_next()?;
                self.next_piece = Some(0);
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets nothing change until the journal was written anew. Whether it was, or the store was
    /// closed before.
    ///
    /// What waited is in the state, and so in the new file: it may be durable although its tickets
    /// failed, which is the safe side.
    fn repair(&mut self, error: LimitError) -> bool {
        self.next_piece = None;
        let shared = Arc::clone(&self.shared);
        let mut core = shared.lock();
        core.waiting.clear();
        core.failures += 1;
        core.failure = Some(error.clone());
        shared.progress.fail(error);
        loop {
            let goes_on = |core: &mut Core| !core.is_closing;
            let waited = shared.work.wait_timeout_while(core, REPAIR_AFTER, goes_on);
            core = waited.unwrap_or_else(PoisonError::into_inner).0;
            if core.is_closing {
                return false;
            }
            drop(core);
            let repaired =
                self.journal.repair(|piece, out| shared.lock().state.write_piece(piece, out));
            core = shared.lock();
            match repaired {
                Ok(()) => {
                    core.failure = None;
                    shared.progress.reach(core.changes);
                    return true;
                }
                Err(error) => {
                    core.failures += 1;
                    core.failure = Some(error.into());
                }
            }
        }
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
