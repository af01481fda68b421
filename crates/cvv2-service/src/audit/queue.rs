//! Records on their way to the writer, and what their callers wait for.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::AppendError;

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

/// A record in the queue.
pub(crate) struct Entry {
    /// The members of its line.
    pub(crate) members: String,
    done: oneshot::Sender<Result<(), AppendError>>,
}

impl Entry {
    /// Tells whoever waits for it.
    pub(crate) fn complete(self, result: Result<(), AppendError>) {
        // Who has gone does not want to know.
        let _ = self.done.send(result);
    }
}

/// The queue: many put records in, one writer takes them out in groups.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    records_max: usize,
}

struct State {
    entries: VecDeque<Entry>,
    is_closed: bool,
    /// Whether the writer has found nothing, and nobody has woken it since.
    sleeps: bool,
}

thread_local! {
    /// The queue that this thread [tells](Queue::idle) when it has nothing to do, by its address.
    static TOLD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Records that are worth a write of their own, however busy their threads are.
const WORTH_A_WRITE: usize = 64;

impl Queue {
    pub(crate) fn new(records_max: usize) -> Self {
        let state = State { entries: VecDeque::new(), is_closed: false, sleeps: false };
        Self { state: Mutex::new(state), filled: Condvar::new(), records_max }
    }

    /// Puts a record in, or refuses it.
    ///
    /// The writer is woken at once; for a thread that tells when it is [idle](Self::idle) only then,
    /// or when there are enough of them.
    pub(crate) fn push(&self, members: String) -> Pending {
        let (done, pending) = oneshot::channel();
        let entry = Entry { members, done };
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            entry.complete(Err(AppendError::Stopped));
        } else if state.entries.len() >= self.records_max {
            drop(state);
            entry.complete(Err(AppendError::Full { records_max: self.records_max }));
        } else {
            state.entries.push_back(entry);
            let waits = TOLD.get() == Some(self.address()) && state.entries.len() < WORTH_A_WRITE;
            if !waits {
                self.wake(state);
            }
        }
        Pending(pending)
    }

    /// This thread has nothing to do: what it has put in is written now. From the first time on the
    /// writer is not woken for each of its records.
    ///
    /// A thread that has more to do goes on meanwhile, and more records share a write; one that has
    /// not could not answer anybody sooner. So a server writes seldom when it is busy, and at once
    /// when it is not.
    pub(crate) fn idle(&self) {
        TOLD.set(Some(self.address()));
        let state = self.lock();
        if !state.entries.is_empty() {
            self.wake(state);
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.filled.notify_one();
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Takes out up to `max` records, and waits for the first one at most so long. Returns whether
    /// there will be no more.
    pub(crate) fn take(
        &self,
        group: &mut Vec<Entry>,
        max: usize,
        patience: Option<Duration>,
    ) -> bool {
        let is_idle = |state: &mut State| {
            state.sleeps = state.entries.is_empty() && !state.is_closed;
            state.sleeps
        };
        let state = self.lock();
        let mut state = match patience {
            None => self.filled.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.filled
                    .wait_timeout_while(state, patience, is_idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        let count = state.entries.len().min(max);
        group.extend(state.entries.drain(..count));
        state.is_closed && state.entries.is_empty()
    }

    /// How many records wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
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
        state.entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn records_come_out_in_groups_in_their_order_and_one_too_many_is_refused() {
        let queue = Queue::new(3);
        let pending: Vec<_> = ["a", "b", "c"].map(|text| queue.push(text.to_owned())).into();
        let full = queue.push("d".to_owned()).wait();
        assert!(matches!(full, Err(AppendError::Full { records_max: 3 })));

        let mut group = Vec::new();
        assert!(!queue.take(&mut group, 2, None));
        assert_eq!((group[0].members.as_str(), group[1].members.as_str()), ("a", "b"));
        assert_eq!(queue.len(), 1);
        queue.close();
        assert!(queue.take(&mut group, 2, None));
        for entry in group.drain(..) {
            entry.complete(Ok(()));
        }
        for pending in pending {
            pending.wait().unwrap();
        }
        assert!(queue.take(&mut group, 2, NOW) && group.is_empty());
        assert!(matches!(queue.push("e".to_owned()).wait(), Err(AppendError::Stopped)));
    }

    #[test]
    fn records_of_a_thread_that_tells_when_it_is_idle_wait_for_that() {
        let queue = Queue::new(2 * WORTH_A_WRITE);
        let sleeps = |queue: &Queue| queue.lock().sleeps;
        let push = |count| (0..count).map(|_| queue.push(String::new())).collect::<Vec<_>>();
        let mut group = Vec::new();
        // The writer goes to sleep; records of other threads wake it.
        queue.take(&mut group, 1, NOW);
        assert!(sleeps(&queue));
        drop(push(1));
        assert!(!sleeps(&queue));

        queue.idle();
        queue.take(&mut group, 1, NOW);
        queue.take(&mut group, 1, NOW);
        queue.idle();
        assert!(sleeps(&queue), "there is nothing to write");
        drop(push(WORTH_A_WRITE - 1));
        assert!(sleeps(&queue), "this thread is busy");
        thread::scope(|scope| {
            scope.spawn(|| drop(push(1)));
        });
        assert!(!sleeps(&queue), "another thread is not asked");

        queue.take(&mut group, 2 * WORTH_A_WRITE, NOW);
        queue.take(&mut group, 1, NOW);
        drop(push(1));
        assert!(sleeps(&queue));
        queue.idle();
        assert!(!sleeps(&queue));

        queue.take(&mut group, 1, NOW);
        queue.take(&mut group, 1, NOW);
        drop(push(WORTH_A_WRITE));
        assert!(!sleeps(&queue), "there are many");
        // Of another queue it has said nothing.
        let other = Queue::new(1);
        other.take(&mut group, 1, NOW);
        drop(other.push(String::new()));
        assert!(!sleeps(&other));
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let queue = Queue::new(3);
        let pending = queue.push("a".to_owned());
        queue.abandon();
        assert!(matches!(pending.wait(), Err(AppendError::Stopped)));
        assert!(matches!(queue.push("b".to_owned()).wait(), Err(AppendError::Stopped)));
    }
}
