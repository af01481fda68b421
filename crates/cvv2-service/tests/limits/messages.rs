//! Messages that come twice.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cvv2_service::limits::{LimitPolicy, MessageUse};
use time::Duration;

use crate::stores::{Embedded, Home, at, message, on_every_store};

fn policy() -> LimitPolicy {
    LimitPolicy { message_window_minutes: 10, ..LimitPolicy::default() }
}

const MINUTE: i64 = 60;

#[test]
fn a_message_is_used_once_in_its_window_and_that_begins_with_the_first() {
    on_every_store(|home| {
        let limits = home.open(policy());
        let used = |number, time| limits.first_use(message(number), time).unwrap();
        assert_eq!(used(1, at(0)), MessageUse::First);
        assert_eq!(used(1, at(0)), MessageUse::Again);
        assert_eq!(used(2, at(1)), MessageUse::First);
        let end = at(10 * MINUTE);
        assert_eq!(used(1, end - Duration::milliseconds(1)), MessageUse::Again);
        assert_eq!(used(1, end), MessageUse::First);
        assert_eq!(used(2, end), MessageUse::Again);
        assert_eq!(
            used(1, end + Duration::minutes(10) - Duration::milliseconds(1)),
            MessageUse::Again
        );
        // A clock that goes back opens nothing.
        assert_eq!(used(1, at(0)), MessageUse::Again);
        assert_eq!(used(1, at(-400 * 86_400)), MessageUse::Again);
        assert_eq!(used(1, end + Duration::minutes(10)), MessageUse::First);
    });
}

#[test]
fn of_many_at_once_one_is_the_first() {
    on_every_store(|home| {
        let limits = home.open(policy());
        let firsts: Vec<_> = (0..20).map(|_| AtomicU32::new(0)).collect();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for (number, firsts) in (0..).zip(&firsts) {
                        if limits.first_use(message(number), at(0)).unwrap() == MessageUse::First {
                            firsts.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(firsts.into_iter().all(|firsts| firsts.into_inner() == 1));
    });
}

#[test]
fn what_was_used_is_used_after_restarts() {
    on_every_store(|home| {
        let limits = home.open(policy());
        for number in 0..300 {
            assert_eq!(limits.first_use(message(number), at(0)).unwrap(), MessageUse::First);
        }
        limits.durable().wait().unwrap();
        drop(limits);
        for second in [1, 10 * MINUTE - 1] {
            let limits = home.open(policy());
            for number in 0..300 {
                let used = limits.first_use(message(number), at(second)).unwrap();
                assert_eq!(used, MessageUse::Again);
            }
        }
        let limits = home.open(policy());
        assert_eq!(limits.first_use(message(7), at(10 * MINUTE)).unwrap(), MessageUse::First);
    });
}

#[test]
fn what_is_kept_in_mind_is_bounded_and_makes_room_by_itself() {
    let home = Embedded::new();
    let limits = home.open(LimitPolicy { messages_max: 1000, ..policy() });
    let used = |number, second| limits.first_use(message(number), at(second)).unwrap();
    (0..1000).for_each(|number| assert_eq!(used(number, 0), MessageUse::First));
    assert_eq!(used(1000, 0), MessageUse::Unknown);
    assert_eq!(used(1000, 0), MessageUse::Unknown);
    assert_eq!(used(999, 0), MessageUse::Again);
    let counters = limits.counters();
    assert_eq!((counters.messages, counters.unknown_messages), (1000, 2));
    // A sixtieth of the window later than the last of it.
    let later = 10 * MINUTE + 10;
    (1000..2000).for_each(|number| assert_eq!(used(number, later), MessageUse::First));
    assert_eq!(limits.counters().messages, 1000);
    assert_eq!(used(2000, later), MessageUse::Unknown);
}

#[test]
fn a_journal_that_is_written_anew_all_the_time_keeps_them_and_forgets_the_past() {
    let home = Embedded::new();
    let policy = LimitPolicy { journal_bytes_min: 4096, ..policy() };
    let limits = home.open(policy.clone());
    for number in 0..3000 {
        // A window is 600 of them.
        let second = i64::try_from(number).unwrap();
        assert_eq!(limits.first_use(message(number), at(second)).unwrap(), MessageUse::First);
        if number % 5 == 0 {
            limits.durable().wait().unwrap();
        }
    }
    limits.durable().wait().unwrap();
    let counters = limits.counters();
    assert!((600..620).contains(&counters.messages), "{counters:?}");
    drop(limits);
    let limits = home.open(policy);
    for number in 2401..3000 {
        assert_eq!(limits.first_use(message(number), at(2999)).unwrap(), MessageUse::Again);
    }
    assert_eq!(limits.first_use(message(2400), at(3000)).unwrap(), MessageUse::First);
}
