//! Limits of one process: in memory, and in a journal on its disk.

mod directory;
mod hashed;
mod journal;
mod journal_file;
mod messages;
mod record;
mod replay;
mod state;
mod writer;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use self::journal::Journal;
use self::state::State;
use self::writer::Writer;
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
use crate::redo::RedoLog;

/// Records that wait for the disk, in bytes: beyond, charges are refused.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Records that are written even if nobody asks for them to be durable, in bytes.
const WAITING_BYTES_UNASKED: usize = 64 << 10;

/// Charges change the state under one lock, and leave their records for one thread that writes
/// them. While the disk works on some, more of them gather: they share the next `fdatasync`.
///
/// Beside an audit log with a redo log, what waits goes with whatever is written there, and the
/// thread is for those who wait for a charge that has no record.
pub(super) struct EmbeddedStore {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
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
    /// Whether the journal is being written anew: the writer has more to do.
    is_rewriting: bool,
    /// Whether the writer's thread has been told that somebody waits.
    is_asked: bool,
    is_closing: bool,
}

impl EmbeddedStore {
    /// Opens it; `redo` is what it shares with an audit log.
    pub(super) fn open(
        directory: &Path,
        policy: LimitPolicy,
        redo: Option<RedoLog>,
    ) -> Result<Self, LimitError> {
        policy.check()?;
        let (journal, state) = Journal::open(directory, policy, redo.as_ref())?;
        let core = Core {
            state,
            waiting: Vec::new(),
            changes: 0,
            failure: None,
            failures: 0,
            journal_bytes: journal.len(),
            is_rewriting: false,
            is_asked: false,
            is_closing: false,
        };
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let shared = Weak::clone(shared);
            let ask = move || {
                if let Some(shared) = shared.upgrade() {
                    shared.ask(&mut shared.lock());
                }
            };
            let progress = Arc::new(Progress::new(ask));
            Shared { core: Mutex::new(core), work: Condvar::new(), progress }
        });
        let writer = Writer::new(Arc::clone(&shared), journal);
        let thread = thread::Builder::new().name("cvv2-limits".to_owned());
        let thread = match redo {
            None => thread.spawn(move || writer.run())?,
            Some(redo) => {
                if !redo.join(Box::new(writer)) {
                    let directory = directory.to_owned();
                    return Err(LimitError::InUse { directory });
                }
                let shared = Arc::clone(&shared);
                thread.spawn(move || writer::run_beside(&shared, &redo))?
            }
        };
        Ok(Self { shared, thread: Some(thread) })
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
        if core.waiting.len() > WAITING_BYTES_UNASKED || core.state.wants_room() {
            self.shared.ask(core);
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
        Durable::when(&self.shared.progress, self.shared.lock().changes)
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
        if let Some(thread) = self.thread.take() {
            // If it has panicked its tickets were never done, and nothing was acknowledged.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
