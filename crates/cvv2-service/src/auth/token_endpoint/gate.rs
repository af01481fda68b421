//! How many may hash at once, and how many may wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::auth::TokenEndpoint;

/// Lets some in at once, and others wait.
pub(super) struct Gate {
    inside_max: usize,
    waiting_max: usize,
    counts: Mutex<Counts>,
    left: Condvar,
}

#[derive(Default)]
struct Counts {
    inside: usize,
    waiting: usize,
}

/// A turn, until it is dropped.
pub(super) struct Turn<'a>(&'a Gate);

impl Gate {
    pub(super) fn new(inside_max: usize, waiting_max: usize) -> Self {
        Self { inside_max, waiting_max, counts: Mutex::default(), left: Condvar::new() }
    }

    /// A turn; none if too many wait already, or if it took too long.
    pub(super) fn enter(&self) -> Option<Turn<'_>> {
        let until = Instant::now() + TokenEndpoint::WAIT_MAX;
        let mut counts = self.counts();
        if counts.inside >= self.inside_max {
            if counts.waiting >= self.waiting_max {
                return None;
            }
            counts.waiting += 1;
            while counts.inside >= self.inside_max {
                let time_left = until.saturating_duration_since(Instant::now());
                if time_left.is_zero() {
                    counts.waiting -= 1;
                    return None;
                }
                let waited = self.left.wait_timeout(counts, time_left);
                counts = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            counts.waiting -= 1;
        }
        counts.inside += 1;
        Some(Turn(self))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.counts().inside -= 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn one_more_than_may_wait_is_refused_and_who_waits_gets_in() {
        let gate = Gate::new(2, 1);
        let (first, second) = (gate.enter().unwrap(), gate.enter().unwrap());
        thread::scope(|scope| {
            let third = scope.spawn(|| gate.enter().is_some());
            while gate.counts().waiting == 0 {
                thread::yield_now();
            }
            assert!(gate.enter().is_none());
            drop(first);
            assert!(third.join().unwrap());
        });
        drop(second);
        let counts = gate.counts();
        assert_eq!((counts.inside, counts.waiting), (0, 0));
    }
}
