//! When the next group is begun: at once where a processor is idle, and with many records where none
//! is.
//!
//! To write a group takes the processor some tens of microseconds, however many records are in it. With
//! all processors busy that time is taken from requests, so groups have to be large; with one idle it
//! costs nothing, and whoever waits wants it now. So the workers say when they sleep, and a group is
//! begun when they have slept for as long as the last groups took, or its first record has waited for
//! [`GATHER_MAX`], or there are [`RECORDS_ENOUGH`]. A service at half of its rate writes all the time,
//! and one that has more to do than it can writes seldom, and nobody has to set anything.
//!
//! A look whether it is time takes a wake-up of the writer, which is dear where all are busy. So the next
//! look is when it will be time if workers go on sleeping as much as they lately did.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a record waits at most for company.
const GATHER_MAX: Duration = Duration::from_micros(1500);

/// Records that are worth a group, however busy everybody is.
pub(crate) const RECORDS_ENOUGH: usize = 64;

/// Between two looks whether it is time.
const LOOK_MIN: Duration = Duration::from_micros(100);

/// Below so many sleepers on average it is all the same: the wait is [`GATHER_MAX`].
const ASLEEP_MIN: f64 = 1e-3;

/// What workers say of themselves, and what groups cost.
pub(crate) struct Pace(Mutex<State>);

struct State {
    /// Whether anybody has said anything. If not, every record is written at once.
    is_told: bool,
    /// How many workers sleep.
    asleep: u32,
    /// How long they have slept, all together, between the beginning of the last group and `until`.
    slept: Duration,
    until: Instant,
    /// When the last group was begun.
    begun: Instant,
    /// How many workers slept on average from one group to the next: of the last time an eighth, and so on.
    asleep_lately: f64,
    /// Processor time of a group: of the last one an eighth, and so on.
    cost: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            is_told: false,
            asleep: 0,
            slept: Duration::ZERO,
            until: now,
            begun: now,
            asleep_lately: 0.0,
            cost: Duration::ZERO,
        }))
    }

    /// A worker begins to sleep.
    pub(crate) fn sleeps(&self) {
        let mut state = self.lock();
        state.advance(Instant::now());
        state.is_told = true;
        state.asleep += 1;
    }

    /// One has something to do again.
    pub(crate) fn wakes(&self) {
        let mut state = self.lock();
        state.advance(Instant::now());
        state.asleep = state.asleep.saturating_sub(1);
    }

    /// How much longer to wait for company before looking again; zero if the group is to be begun.
    /// `first` is when its first record came.
    pub(crate) fn wait(&self, first: Instant, now: Instant) -> Duration {
        let mut state = self.lock();
        state.advance(now);
        let missing = state.cost.saturating_sub(state.slept);
        let left = GATHER_MAX.saturating_sub(now.saturating_duration_since(first));
        if !state.is_told || missing.is_zero() || left.is_zero() {
            return Duration::ZERO;
        }
        missing.div_f64(state.asleep_lately.max(ASLEEP_MIN)).max(LOOK_MIN).min(left)
    }

    /// A group is begun.
    pub(crate) fn begin(&self, now: Instant) {
        let mut state = self.lock();
        state.advance(now);
        let slept = state.slept.div_duration_f64(now.saturating_duration_since(state.begun));
        if slept.is_finite() {
            state.asleep_lately = (7.0 * state.asleep_lately + slept) / 8.0;
        }
        (state.begun, state.slept) = (now, Duration::ZERO);
    }

    /// So much of a processor's time it has taken.
    pub(crate) fn end(&self, cost: Duration) {
        let mut state = self.lock();
        state.cost = (7 * state.cost + cost) / 8;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn advance(&mut self, now: Instant) {
        self.slept += self.asleep * now.saturating_duration_since(self.until);
        self.until = self.until.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_micros(400);

    /// A pace whose groups take `COST`, of which one has just begun.
    fn begun() -> (Pace, Instant) {
        let pace = Pace::new();
        pace.sleeps();
        pace.wakes();
        for _ in 0..100 {
            pace.end(COST);
        }
        let now = Instant::now();
        pace.begin(now);
        (pace, now)
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn without_a_word_from_workers_nothing_waits() {
        let pace = Pace::new();
        pace.end(COST);
        let now = Instant::now();
        pace.begin(now);
        assert_eq!(pace.wait(now, now), Duration::ZERO);
    }

    #[test]
    fn while_all_are_busy_nobody_looks_before_records_have_gathered_for_so_long() {
        let (pace, now) = begun();
        assert_eq!(pace.wait(now, now), GATHER_MAX);
        assert_eq!(pace.wait(now, now + micros(1000)), micros(500));
        assert_eq!(pace.wait(now, now + GATHER_MAX), Duration::ZERO);
    }

    #[test]
    fn the_next_look_is_when_workers_will_have_slept_enough() {
        let (pace, now) = begun();
        pace.lock().asleep_lately = 0.5;
        assert!(pace.wait(now, now).abs_diff(2 * COST) < micros(2));
        // What they sleep in this time is an eighth of what they are said to sleep.
        pace.lock().slept = micros(1000);
        pace.begin(now + micros(1000));
        let lately = pace.lock().asleep_lately;
        assert!((lately - 4.5 / 8.0).abs() < 1e-3, "{lately}");
        // At the same moment once more, there is nothing to learn.
        pace.begin(now + micros(1000));
        assert!((pace.lock().asleep_lately - lately).abs() < f64::EPSILON);
    }

    #[test]
    fn when_somebody_has_slept_for_as_long_as_a_group_takes_it_is_begun() {
        let (pace, now) = begun();
        pace.lock().asleep = 1;
        assert!(!pace.wait(now, now + micros(200)).is_zero());
        assert_eq!(pace.wait(now, now + micros(401)), Duration::ZERO);
        // A nap counts as well; time awake does not.
        let (pace, now) = begun();
        pace.lock().asleep = 2;
        pace.lock().advance(now + micros(150));
        pace.lock().asleep = 0;
        pace.lock().asleep_lately = 1.0;
        let wait = pace.wait(now, now + micros(600));
        assert!(wait.abs_diff(micros(100)) < micros(2), "{wait:?}");
    }
}
