//! Waiting for the disk.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::error::LimitError;

/// A ticket: whatever was charged before it was asked for is durable when it is done.
///
/// An answer may leave when its ticket is done without an error. Await it, or
/// [`wait`](Self::wait) for it where there is no executor. A ticket that is dropped changes
/// nothing: what was charged stays charged.
#[derive(Debug)]
#[must_use = "nothing is known to be durable before it was waited for"]
pub struct Durable(Inner);

#[derive(Debug)]
enum Inner {
    Done,
    Waiting { progress: Arc<Progress>, up_to: u64, place: Option<u64> },
}

impl Durable {
    /// Done already.
    pub(super) const fn done() -> Self {
        Self(Inner::Done)
    }

    /// Done when the progress has got that far.
    pub(super) fn when(progress: &Arc<Progress>, up_to: u64) -> Self {
        if up_to <= progress.reached() {
            return Self::done();
        }
        Self(Inner::Waiting { progress: Arc::clone(progress), up_to, place: None })
    }

    /// Waits, and keeps the thread.
    ///
    /// # Errors
    ///
    /// [`LimitError::Io`] if the disk failed: an answer that depends on the charges may not leave.
    pub fn wait(self) -> Result<(), LimitError> {
        match &self.0 {
            Inner::Done => Ok(()),
            Inner::Waiting { progress, up_to, .. } => progress.wait(*up_to),
        }
    }
}

/// The error is that of [`Durable::wait`].
impl Future for Durable {
    type Output = Result<(), LimitError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Done => Poll::Ready(Ok(())),
            Inner::Waiting { progress, up_to, place } => {
                progress.poll(*up_to, place, context.waker())
            }
        }
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if let Inner::Waiting { progress, place: Some(place), .. } = &self.0 {
            progress.lock().sleepers.remove(place);
        }
    }
}

/// How far the journal is on the disk, and who waits for it.
pub(super) struct Progress {
    now: Mutex<Now>,
    changed: Condvar,
    /// Tells whoever makes progress that somebody waits.
    ask: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("now", &self.now).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Now {
    reached: u64,
    failure: Option<LimitError>,
    /// Futures, by the order of their first poll: how far each waits, and its waker.
    sleepers: BTreeMap<u64, (u64, Waker)>,
    next_place: u64,
}

impl Now {
    fn of(&self, up_to: u64) -> Option<Result<(), LimitError>> {
        if up_to <= self.reached {
            return Some(Ok(()));
        }
        self.failure.clone().map(Err)
    }
}

impl Progress {
    /// `ask` is called when somebody begins to wait.
    pub(super) fn new(ask: impl Fn() + Send + Sync + 'static) -> Self {
        Self { now: Mutex::default(), changed: Condvar::new(), ask: Box::new(ask) }
    }

    /// Everything up to here is on the disk, whatever failed before.
    pub(super) fn reach(&self, up_to: u64) {
        let mut now = self.lock();
        now.reached = up_to;
        now.failure = None;
        self.wake(now);
    }

    /// Nothing more gets to the disk.
    pub(super) fn fail(&self, error: LimitError) {
        let mut now = self.lock();
        now.failure = Some(error);
        self.wake(now);
    }

    pub(super) fn reached(&self) -> u64 {
        self.lock().reached
    }

    fn wait(&self, up_to: u64) -> Result<(), LimitError> {
        let mut now = self.lock();
        let mut has_asked = false;
        loop {
            if let Some(outcome) = now.of(up_to) {
                return outcome;
            }
            if !has_asked {
                has_asked = true;
                drop(now);
                (self.ask)();
                now = self.lock();
                continue;
            }
            now = self.changed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn poll(
        &self,
        up_to: u64,
        place: &mut Option<u64>,
        waker: &Waker,
    ) -> Poll<Result<(), LimitError>> {
        let mut now = self.lock();
        if let Some(outcome) = now.of(up_to) {
            if let Some(place) = place.take() {
                now.sleepers.remove(&place);
            }
            return Poll::Ready(outcome);
        }
        let place = *place.get_or_insert_with(|| {
            now.next_place += 1;
            now.next_place
        });
        let is_first = now.sleepers.insert(place, (up_to, waker.clone())).is_none();
        drop(now);
        if is_first {
            (self.ask)();
        }
        Poll::Pending
    }

    fn wake(&self, mut now: MutexGuard<'_, Now>) {
        let has_failed = now.failure.is_some();
        let reached = now.reached;
        let ready: Vec<_> = now
            .sleepers
            .extract_if(.., |_, (up_to, _)| has_failed || *up_to <= reached)
            .map(|(_, (_, waker))| waker)
            .collect();
        drop(now);
        self.changed.notify_all();
        ready.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn tickets_are_woken_when_their_charges_are_there_and_not_before() {
        let progress = Arc::new(Progress::new(|| ()));
        let mut tickets = [1, 2, 3].map(|up_to| Durable::when(&progress, up_to));
        let counts = [(); 3].map(|()| Arc::new(Count::default()));
        let mut poll = |at: usize| {
            let waker = Waker::from(Arc::clone(&counts[at]));
            Pin::new(&mut tickets[at]).poll(&mut Context::from_waker(&waker)).map(|r| r.is_ok())
        };
        for at in [0, 1, 2, 2] {
            assert_eq!(poll(at), Poll::Pending);
        }
        progress.reach(2);
        let woken = || counts.each_ref().map(|count| count.0.load(Ordering::Relaxed));
        assert_eq!(woken(), [1, 1, 0]);
        assert_eq!(
            (poll(0), poll(1), poll(2)),
            (Poll::Ready(true), Poll::Ready(true), Poll::Pending)
        );
        progress.fail(io::Error::other("injected").into());
        assert_eq!((woken(), poll(2)), ([1, 1, 1], Poll::Ready(false)));
        // What is there is there, and what failed is there when the journal was written anew.
        assert!(Durable::when(&progress, 2).wait().is_ok());
        assert!(Durable::when(&progress, 3).wait().is_err());
        progress.reach(3);
        assert!(Durable::when(&progress, 3).wait().is_ok());
        assert!(progress.lock().sleepers.is_empty());
    }

    #[test]
    fn a_ticket_that_is_dropped_leaves_nothing_behind() {
        let progress = Arc::new(Progress::new(|| ()));
        let mut ticket = Durable::when(&progress, 1);
        assert!(Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(progress.lock().sleepers.len(), 1);
        drop(ticket);
        assert!(progress.lock().sleepers.is_empty());
    }
}
