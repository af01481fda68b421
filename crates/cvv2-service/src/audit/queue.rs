//! Records on their way to the writer, and what their callers wait for.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::AppendError;
use super::group::Group;
use super::pace::{Pace, RECORDS_ENOUGH};

/// A record that was handed over: ready when it is on disk, or will never be.
///
/// Dropping it takes nothing back.
#[must_use = "until this says so, the record is not on disk"]
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<(), AppendError>>);

impl Pending {
    /// Waits on this thread.
    ///
    /// # Errors
    ///
    /// [`AppendError`] if the record is not in the log. (It may be in it all the same if the disk
    /// failed and the process was killed before it could take it out.)
    ///
    /// # Panics
    ///
    /// In an asynchronous context, which awaits it instead.
    pub fn wait(self) -> Result<(), AppendError> {
        self.0.blocking_recv().unwrap_or(Err(AppendError::Stopped))
    }
}

impl Future for Pending {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|done| done.unwrap_or(Err(AppendError::Stopped)))
    }
}

/// The queue: many put records in, one writer takes them out in groups.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    records_max: usize,
    pace: Pace,
}

struct State {
    group: Group,
    /// When the first of them came.
    first: Instant,
    is_closed: bool,
    /// Whether the writer has found nothing, and nobody has woken it since.
    sleeps: bool,
}

impl Queue {
    pub(crate) fn new(records_max: usize) -> Self {
        let (group, first) = (Group::default(), Instant::now());
        let state = State { group, first, is_closed: false, sleeps: false };
        let (state, filled) = (Mutex::new(state), Condvar::new());
        Self { state, filled, records_max, pace: Pace::new() }
    }

    /// When groups are begun.
    pub(crate) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Puts in the record with these members, or refuses it.
    pub(crate) fn push(&self, members: &str) -> Pending {
        let (done, pending) = oneshot::channel();
        let mut state = self.lock();
        let refusal = if state.is_closed {
            Some(AppendError::Stopped)
        } else if state.group.len() >= self.records_max {
            Some(AppendError::Full { records_max: self.records_max })
        } else {
            None
        };
        if let Some(refusal) = refusal {
            drop(state);
            // Who has gone does not want to know.
            let _ = done.send(Err(refusal));
            return Pending(pending);
        }
        if state.group.is_empty() {
            state.first = Instant::now();
        }
        state.group.push(members, done);
        let wakes = mem::take(&mut state.sleeps) || state.group.len() == RECORDS_ENOUGH;
        drop(state);
        if wakes {
            self.filled.notify_one();
        }
        Pending(pending)
    }

    /// Takes out up to `max` records when it is time for them, and waits for the first one at most so
    /// long. Returns whether there will be no more.
    pub(crate) fn take(&self, group: &mut Group, max: usize, patience: Option<Duration>) -> bool {
        let mut state = self.wait_for_first(patience);
        while !state.group.is_empty() {
            let now = Instant::now();
            let wait = self.pace.wait(state.first, now);
            if wait.is_zero() || state.is_closed || state.group.len() >= RECORDS_ENOUGH.min(max) {
                self.pace.begin(now);
                break;
            }
            state = self.filled.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.group.move_to(group, max);
        state.is_closed && state.group.is_empty()
    }

    fn wait_for_first(&self, patience: Option<Duration>) -> MutexGuard<'_, State> {
        let is_idle = |state: &mut State| {
            state.sleeps = state.group.is_empty() && !state.is_closed;
            state.sleeps
        };
        let mut state = self.lock();
        // The first record need not wake anybody before the time at which its group could be begun.
        let now = Instant::now();
        let gathering = self.pace.wait(now, now).min(patience.unwrap_or(Duration::MAX));
        if state.group.is_empty() && !state.is_closed && !gathering.is_zero() {
            let waited = self.filled.wait_timeout(state, gathering);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        match patience {
            None => self.filled.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.filled
                    .wait_timeout_while(state, patience, is_idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }

    /// How many records wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().group.len()
    }

    /// Takes no more records; those that are in it can still be taken out.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    /// Refuses everything that is in it and that comes.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        // Their callers learn of it by the drop.
        state.group = Group::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn records_come_out_in_groups_in_their_order_and_one_too_many_is_refused() {
        let queue = Queue::new(3);
        let pending: Vec<_> = ["a", "b", "c"].map(|text| queue.push(text)).into();
        let full = queue.push("").wait();
        assert!(matches!(full, Err(AppendError::Full { records_max: 3 })));

        let mut group = Group::default();
        assert!(!queue.take(&mut group, 2, None));
        assert!(group.members().eq(["a", "b"]));
        group.complete(&Ok(()));
        assert_eq!(queue.len(), 1);
        queue.close();
        assert!(queue.take(&mut group, 2, None));
        assert!(group.members().eq(["c"]));
        group.complete(&Ok(()));
        for pending in pending {
            pending.wait().unwrap();
        }
        assert!(queue.take(&mut group, 2, NOW) && group.is_empty());
        assert!(matches!(queue.push("").wait(), Err(AppendError::Stopped)));
    }

    #[test]
    fn records_wait_for_company_while_workers_are_busy() {
        let queue = Queue::new(2 * RECORDS_ENOUGH);
        let push = |count| drop((0..count).map(|_| queue.push("")).collect::<Vec<_>>());
        let mut group = Group::default();
        queue.pace().sleeps();
        queue.pace().wakes();
        for _ in 0..100 {
            queue.pace().end(Duration::from_hours(1));
        }
        // One alone waits, and is not forgotten.
        let begun = Instant::now();
        push(1);
        queue.take(&mut group, 100, None);
        assert!(group.len() == 1 && begun.elapsed() >= Duration::from_millis(1));
        // Enough of them do not, nor those of a queue that is closed.
        group.complete(&Ok(()));
        push(RECORDS_ENOUGH);
        queue.take(&mut group, 100, None);
        assert_eq!(group.len(), RECORDS_ENOUGH);
        group.complete(&Ok(()));
        push(1);
        queue.close();
        assert!(queue.take(&mut group, 100, None));
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let queue = Queue::new(3);
        let pending = queue.push("");
        queue.abandon();
        assert!(matches!(pending.wait(), Err(AppendError::Stopped)));
        assert!(matches!(queue.push("").wait(), Err(AppendError::Stopped)));
    }
}
