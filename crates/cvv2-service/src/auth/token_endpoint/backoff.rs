//! Who has failed lately, and how long it has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::auth::TokenEndpoint;

/// Who tries, and when.
pub(super) struct Attempt<'a> {
    pub(super) id: &'a str,
    pub(super) origin: Option<IpAddr>,
    pub(super) now: OffsetDateTime,
}

/// The hash of an id or of an origin: an id may be a secret in the wrong field.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Attempt<'_> {
    pub(super) fn id_key(&self) -> Key {
        Key(Sha256::digest(self.id).into())
    }

    /// Of an IPv6 address the network, of which one host can have all addresses.
    pub(super) fn origin_key(&self) -> Option<Key> {
        let octets = match self.origin?.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        };
        Some(Key(Sha256::digest(octets).into()))
    }
}

/// Failures in a row, for a bounded number of keys.
pub(super) struct Backoff {
    delay_max: u32,
    failed: Mutex<HashMap<Key, Failures>>,
}

struct Failures {
    count: u32,
    last: i64,
    until: i64,
}

impl Backoff {
    pub(super) fn new(delay_seconds_max: u32) -> Self {
        Self { delay_max: delay_seconds_max, failed: Mutex::default() }
    }

    /// How many seconds it still has to wait.
    pub(super) fn delay(&self, key: &Key, now: OffsetDateTime) -> Option<u32> {
        let left = self.table().get(key)?.until.saturating_sub(now.unix_timestamp());
        // A clock that was set back does not lock anybody out.
        u32::try_from(left).ok().filter(|left| *left > 0).map(|left| left.min(self.delay_max))
    }

    pub(super) fn failed(&self, key: &Key, now: OffsetDateTime) {
        let now = now.unix_timestamp();
        let mut table = self.table();
        if table.len() >= TokenEndpoint::REMEMBERED_MAX && !table.contains_key(key) {
            make_room(&mut table, now);
        }
        let failures = table.entry(*key).or_insert(Failures { count: 0, last: now, until: now });
        if is_forgotten(failures, now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        if let Some(over) = failures.count.checked_sub(TokenEndpoint::FAILURES_FREE + 1) {
            let delay = 1_u32.checked_shl(over).unwrap_or(u32::MAX).min(self.delay_max);
            failures.until = now.saturating_add(delay.into());
        }
    }

    pub(super) fn succeeded(&self, key: &Key) {
        self.table().remove(key);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_forgotten(failures: &Failures, now: i64) -> bool {
    now.saturating_sub(failures.last) > FORGET_SECONDS
}

/// Takes out what is forgotten; if that is nothing, whoever has the fewest failures.
fn make_room(table: &mut HashMap<Key, Failures>, now: i64) {
    table.retain(|_, failures| !is_forgotten(failures, now));
    if table.len() >= TokenEndpoint::REMEMBERED_MAX {
        let fewest = table.iter().min_by_key(|(_, failures)| (failures.count, failures.last));
        if let Some(key) = fewest.map(|(key, _)| *key) {
            table.remove(&key);
        }
    }
}

/// After so many seconds without a failure, the next one is the first.
const FORGET_SECONDS: i64 = 900;

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    const START: OffsetDateTime = time::macros::datetime!(2026-01-01 0:00 UTC);

    fn key(id: &str) -> Key {
        Attempt { id, origin: None, now: START }.id_key()
    }

    #[test]
    fn delays_double_up_to_the_longest_and_end() {
        let backoff = Backoff::new(10);
        let key = key("a");
        let mut delays = Vec::new();
        for _ in 0..12 {
            backoff.failed(&key, START);
            delays.push(backoff.delay(&key, START).unwrap_or(0));
        }
        assert_eq!(delays, [0, 0, 0, 0, 0, 1, 2, 4, 8, 10, 10, 10]);
        assert_eq!(backoff.delay(&key, START + Duration::seconds(9)), Some(1));
        assert_eq!(backoff.delay(&key, START + Duration::seconds(10)), None);
        assert_eq!(backoff.delay(&key, START - Duration::days(1)), Some(10));
        backoff.failed(&key, START + Duration::seconds(FORGET_SECONDS + 1));
        assert_eq!(backoff.delay(&key, START + Duration::seconds(FORGET_SECONDS + 1)), None);
        backoff.succeeded(&key);
        assert!(backoff.table().is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_keeps_those_who_fail_most() {
        let backoff = Backoff::new(300);
        for _ in 0..20 {
            backoff.failed(&key("stubborn"), START);
        }
        for number in 0..2 * TokenEndpoint::REMEMBERED_MAX {
            backoff.failed(&key(&number.to_string()), START);
        }
        assert_eq!(backoff.table().len(), TokenEndpoint::REMEMBERED_MAX);
        assert!(backoff.delay(&key("stubborn"), START).is_some());
    }

    #[test]
    fn an_origin_is_an_address_or_a_network() {
        let key = |text: &str| {
            Attempt { id: "", origin: Some(text.parse().unwrap()), now: START }
                .origin_key()
                .unwrap()
        };
        assert!(key("2001:db8::1") == key("2001:db8::ffff:2"));
        assert!(key("2001:db8::1") != key("2001:db8:0:1::1"));
        assert!(key("192.0.2.1") != key("192.0.2.2"));
        assert!(key("192.0.2.1") == key("::ffff:192.0.2.1"));
    }
}
