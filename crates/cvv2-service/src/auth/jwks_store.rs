//! A provider's keys as they were when they were last fetched.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::error::AuthError;
use super::key_set::KeySet;

/// The keys, and who waits for newer ones.
pub(super) struct JwksStore {
    /// How long keys count after they were fetched; for ever, if they are those of a file.
    stale: Option<Duration>,
    fetched: RwLock<Fetched>,
    wish: Mutex<Wish>,
    changed: Condvar,
}

#[derive(Default)]
struct Fetched {
    keys: Option<(Arc<KeySet>, OffsetDateTime)>,
    /// Another number whenever the keys are others.
    epoch: u64,
    failure: Option<String>,
}

#[derive(Default)]
struct Wish {
    wanted: bool,
    stopped: bool,
}

/// What is known of a provider's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwksStatus {
    /// How many there are.
    pub keys: usize,
    /// How long ago they were fetched, if they ever were.
    pub age: Option<Duration>,
    /// Whether they count: tokens of the provider are refused otherwise.
    pub usable: bool,
    /// Why the last try to fetch them failed, if it did.
    pub failure: Option<String>,
}

impl JwksStore {
    pub(super) fn new(stale: Option<Duration>) -> Self {
        Self { stale, fetched: RwLock::default(), wish: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes these keys from now on.
    pub(super) fn put(&self, keys: KeySet, now: OffsetDateTime) {
        let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
        let same = fetched.keys.as_ref().is_some_and(|(known, _)| **known == keys);
        if !same {
            fetched.epoch += 1;
        }
        fetched.keys = Some((Arc::new(keys), now));
        fetched.failure = None;
    }

    /// Notes why there are no newer keys.
    pub(super) fn failed(&self, why: String) {
        self.fetched.write().unwrap_or_else(PoisonError::into_inner).failure = Some(why);
    }

    /// The keys that count at this moment, and their number.
    pub(super) fn current(&self, now: OffsetDateTime) -> Result<(Arc<KeySet>, u64), AuthError> {
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        let (keys, at) = fetched.keys.as_ref().ok_or(AuthError::NoKeys)?;
        if self.stale.is_some_and(|stale| now - *at > stale) {
            return Err(AuthError::NoKeys);
        }
        Ok((Arc::clone(keys), fetched.epoch))
    }

    pub(super) fn status(&self, now: OffsetDateTime) -> JwksStatus {
        let usable = self.current(now).is_ok();
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner);
        let keys = fetched.keys.as_ref();
        JwksStatus {
            keys: keys.map_or(0, |(keys, _)| keys.len()),
            age: keys.map(|(_, at)| (now - *at).try_into().unwrap_or_default()),
            usable,
            failure: fetched.failure.clone(),
        }
    }

    /// Says that newer keys would be of use.
    pub(super) fn want(&self) {
        self.wish().wanted = true;
        self.changed.notify_all();
    }

    /// Says that nobody will ask any more.
    pub(super) fn stop(&self) {
        self.wish().stopped = true;
        self.changed.notify_all();
    }

    /// Waits until `latest`, or until somebody wants newer keys, but at least until `earliest`.
    /// False if nobody will ask any more.
    pub(super) fn wait(&self, earliest: Instant, latest: Instant) -> bool {
        let mut wish = self.wish();
        loop {
            let until = if wish.wanted { earliest.min(latest) } else { latest };
            let left = until.saturating_duration_since(Instant::now());
            if wish.stopped || left.is_zero() {
                wish.wanted = false;
                return !wish.stopped;
            }
            let waited = self.changed.wait_timeout(wish, left);
            wish = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
