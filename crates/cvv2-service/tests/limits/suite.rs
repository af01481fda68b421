//! What every store of limits does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cvv2_service::limits::{
    Denied, Limit, LimitError, LimitKind, LimitPolicy, Limits, ListFilter, PolicyError,
};

use crate::stores::{Embedded, Home, at, card, on_every_store, refused_by};

fn policy() -> LimitPolicy {
    LimitPolicy {
        caller_requests_per_minute: 5,
        caller_not_found_per_hour: 2,
        caller_wrong_percent: 50,
        caller_wrong_percent_count_min: 4,
        card_generates_per_day: 3,
        card_requests_per_day: 6,
        card_wrong_soft: 2,
        card_wrong_hard: 4,
        ..LimitPolicy::default()
    }
}

/// Ten wrong ones, and of everything else more than any test asks for.
fn unlimited_but_for_wrong_ones() -> LimitPolicy {
    LimitPolicy {
        caller_requests_per_minute: 1_000_000,
        caller_not_found_per_hour: 1_000_000,
        caller_wrong_percent: 100,
        card_generates_per_day: 1000,
        card_requests_per_day: 1000,
        card_wrong_soft: 10,
        card_wrong_hard: 10,
        ..LimitPolicy::default()
    }
}

fn verify(limits: &Limits, caller: &str, of: u64, second: i64, is_wrong: bool) -> Option<Limit> {
    match limits.charge_verify(caller, card(of), at(second)) {
        Ok(verification) if is_wrong => verification.mismatched().unwrap(),
        Ok(verification) => verification.matched().unwrap(),
        denied => return refused_by(denied),
    }
    None
}

fn generate(limits: &Limits, caller: &str, of: u64, second: i64) -> Option<Limit> {
    refused_by(limits.charge_generate(caller, card(of), at(second)))
}

const DAY: i64 = 86_400;

#[test]
fn a_caller_gets_as_many_requests_as_the_limit_and_the_others_theirs() {
    on_every_store(|home| {
        let limits = home.open(policy());
        for second in 0..5 {
            limits.admit("ivr", at(second)).unwrap();
        }
        let Err(Denied::Refused(refusal)) = limits.admit("ivr", at(59)) else {
            panic!("a sixth request");
        };
        assert_eq!((refusal.limit, refusal.kind()), (Limit::CallerRequests, LimitKind::Caller));
        assert_eq!(refusal.retry_after_seconds, 2);
        limits.admit("app", at(59)).unwrap();
        limits.admit("ivr", at(61)).unwrap();
        let counters = limits.counters();
        assert_eq!((counters.refused_by_caller, counters.refused_by_card), (1, 0));
    });
}

#[test]
fn who_asks_for_cards_that_are_not_there_is_stopped() {
    on_every_store(|home| {
        let limits = home.open(policy());
        limits.not_found("ivr", at(0)).unwrap();
        limits.admit("ivr", at(0)).unwrap();
        limits.not_found("ivr", at(1)).unwrap();
        assert_eq!(refused_by(limits.admit("ivr", at(3600))), Some(Limit::CallerNotFound));
        limits.admit("app", at(3600)).unwrap();
        limits.admit("ivr", at(3660)).unwrap();
    });
}

#[test]
fn who_is_wrong_too_often_is_stopped_whatever_the_cards() {
    on_every_store(|home| {
        let limits = home.open(policy());
        for (number, is_wrong) in [(0, true), (1, true), (2, false), (3, false)] {
            assert_eq!(verify(&limits, "ivr", number, 0, is_wrong), None);
        }
        limits.admit("ivr", at(0)).unwrap();
        assert_eq!(verify(&limits, "ivr", 4, 0, true), None);
        assert_eq!(refused_by(limits.admit("ivr", at(0))), Some(Limit::CallerWrongPercent));
        // A verification that is not finished is not judged yet.
        let unfinished: Vec<_> = (10..20)
            .map(|number| limits.charge_verify("app", card(number), at(0)).unwrap())
            .collect();
        limits.admit("app", at(0)).unwrap();
        drop(unfinished);
        assert_eq!(refused_by(limits.admit("app", at(0))), Some(Limit::CallerWrongPercent));
        limits.admit("ivr", at(3700)).unwrap();
    });
}

#[test]
fn a_card_gives_as_many_values_as_the_limit_whoever_asks() {
    on_every_store(|home| {
        let limits = home.open(policy());
        for caller in ["ivr", "app", "ivr"] {
            assert_eq!(generate(&limits, caller, 1, 0), None);
        }
        assert_eq!(generate(&limits, "new", 1, 1), Some(Limit::CardGenerates));
        assert_eq!(generate(&limits, "new", 2, 1), None);
        // Right verifications are requests too.
        for _ in 0..3 {
            assert_eq!(verify(&limits, "ivr", 1, 1, false), None);
        }
        assert_eq!(verify(&limits, "ivr", 1, 1, false), Some(Limit::CardRequests));
        assert_eq!(generate(&limits, "ivr", 1, DAY - 1), Some(Limit::CardGenerates));
        assert_eq!(generate(&limits, "ivr", 1, DAY), None);
        assert_eq!(limits.counters().refused_by_card, 3);
    });
}

#[test]
fn wrong_verifications_end_softly_for_one_and_hard_for_all() {
    on_every_store(|home| {
        let limits = home.open(policy());
        assert_eq!(verify(&limits, "ivr", 1, 0, true), None);
        assert_eq!(verify(&limits, "ivr", 1, 1, true), None);
        assert_eq!(verify(&limits, "ivr", 1, 2, true), Some(Limit::CardWrongSoft));
        // Neither may it try a right one.
        assert_eq!(verify(&limits, "ivr", 1, 2, false), Some(Limit::CardWrongSoft));
        assert_eq!(verify(&limits, "app", 1, 3, false), None);
        assert_eq!(verify(&limits, "app", 1, 3, true), None);
        // Nobody said how it ended: it was wrong.
        drop(limits.charge_verify("app", card(1), at(4)).unwrap());
        assert_eq!(verify(&limits, "new", 1, 5, false), Some(Limit::CardWrongHard));
        assert_eq!(verify(&limits, "new", 1, 30 * DAY - 1, false), Some(Limit::CardWrongHard));
        assert_eq!(verify(&limits, "new", 1, 30 * DAY, true), None);
        assert_eq!(verify(&limits, "new", 1, 30 * DAY, true), Some(Limit::CardWrongHard));
    });
}

#[test]
fn threads_together_get_no_more_than_the_limit() {
    on_every_store(|home| {
        let limits = home.open(unlimited_but_for_wrong_ones());
        let let_through = AtomicU32::new(0);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (limits, let_through) = (limits.clone(), &let_through);
                scope.spawn(move || {
                    for guess in 0..20 {
                        let caller = format!("client {thread}");
                        if verify(&limits, &caller, 1, guess, true).is_none() {
                            let_through.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(let_through.into_inner(), 10);
    });
}

#[test]
fn tasks_await_their_tickets() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let home = Embedded::new();
    let limits = home.open(unlimited_but_for_wrong_ones());
    runtime.block_on(async {
        let tasks: Vec<_> = (0..500)
            .map(|number| {
                let limits = limits.clone();
                runtime.spawn(async move {
                    limits.admit("ivr", at(0)).unwrap();
                    limits.charge_generate("ivr", card(number % 50), at(0)).unwrap();
                    limits.durable().await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let counters = limits.counters();
    assert_eq!((counters.card_charges, counters.journal_lag), (500, 0));
}

#[test]
fn what_was_charged_is_charged_after_a_restart() {
    on_every_store(|home| {
        let limits = home.open(policy());
        for _ in 0..5 {
            limits.admit("ivr", at(0)).unwrap();
        }
        (0..2).for_each(|_| limits.not_found("app", at(0)).unwrap());
        (0..4).for_each(|n| assert_eq!(verify(&limits, "web", 10 + n, 0, true), None));
        (0..3).for_each(|_| assert_eq!(generate(&limits, "ivr", 1, 0), None));
        (0..2).for_each(|_| assert_eq!(verify(&limits, "ivr", 2, 0, true), None));
        let unfinished = limits.charge_verify("app", card(2), at(0)).unwrap();
        assert_eq!(verify(&limits, "app", 2, 0, true), None);
        assert_eq!(verify(&limits, "new", 3, 0, false), None);
        limits.durable().wait().unwrap();
        drop(unfinished);
        drop(limits);

        for _ in 0..2 {
            let limits = home.open(policy());
            assert_eq!(refused_by(limits.admit("ivr", at(60))), Some(Limit::CallerRequests));
            assert_eq!(refused_by(limits.admit("app", at(60))), Some(Limit::CallerNotFound));
            assert_eq!(refused_by(limits.admit("web", at(60))), Some(Limit::CallerWrongPercent));
            assert_eq!(generate(&limits, "ivr", 1, 60), Some(Limit::CardGenerates));
            assert_eq!(verify(&limits, "new", 2, 60, true), Some(Limit::CardWrongHard));
            let usage = limits.show_card(card(3), at(60)).unwrap().unwrap().usage;
            let used: Vec<_> = usage.iter().map(|usage| (usage.limit, usage.used)).collect();
            let none = [(Limit::CardGenerates, 0), (Limit::CardWrongHard, 0)];
            assert_eq!(used, [&[(Limit::CardRequests, 1)][..], &none].concat());
        }
    });
}

#[test]
fn a_clock_that_jumped_ahead_and_came_back_has_nothing_forgotten() {
    on_every_store(|home| {
        let policy = LimitPolicy { card_wrong_hard: 10, journal_bytes_min: 4096, ..policy() };
        let limits = home.open(policy.clone());
        (0..3).for_each(|_| assert_eq!(generate(&limits, "ivr", 1, 0), None));
        assert_eq!(generate(&limits, "ivr", 2, 400 * DAY), None);
        limits.durable().wait().unwrap();
        // What was charged ahead of time stands, and keeps its time.
        assert_eq!(generate(&limits, "ivr", 2, 1), None);
        assert_eq!(generate(&limits, "ivr", 2, 1), None);
        assert_eq!(generate(&limits, "ivr", 2, 350 * DAY), Some(Limit::CardGenerates));
        // Meanwhile a journal is written anew, one piece with each wait.
        for number in 100..600 {
            assert_eq!(generate(&limits, "ivr", number, 2), None);
            limits.durable().wait().unwrap();
        }
        assert_eq!(generate(&limits, "ivr", 1, 3), Some(Limit::CardGenerates));
        limits.durable().wait().unwrap();
        drop(limits);
        let limits = home.open(policy.clone());
        assert_eq!(generate(&limits, "ivr", 1, 3), Some(Limit::CardGenerates));
    });
}

#[test]
fn an_administrator_sees_and_clears() {
    on_every_store(|home| {
        let limits = home.open(policy());
        (0..2).for_each(|_| assert_eq!(verify(&limits, "ivr", 1, 0, true), None));
        assert_eq!(verify(&limits, "app", 1, 0, true), None);
        assert_eq!(generate(&limits, "app", 2, 0), None);
        (0..2).for_each(|_| limits.not_found("web", at(0)).unwrap());

        let shown = limits.show_card(card(1), at(10)).unwrap().unwrap();
        let shown: Vec<_> = shown
            .usage
            .iter()
            .map(|u| (u.limit, u.caller.as_deref(), u.used, u.max, u.retry_after_seconds))
            .collect();
        assert_eq!(
            shown,
            [
                (Limit::CardRequests, None, 3, 6, None),
                (Limit::CardGenerates, None, 0, 3, None),
                (Limit::CardWrongHard, None, 3, 4, None),
                (Limit::CardWrongSoft, Some("ivr"), 2, 2, Some(86_390)),
                (Limit::CardWrongSoft, Some("app"), 1, 2, None),
            ]
        );
        assert!(limits.show_card(card(3), at(10)).unwrap().is_none());
        assert!(limits.show_caller("nobody", at(10)).unwrap().is_none());
        let web = limits.show_caller("web", at(10)).unwrap().unwrap();
        assert_eq!((web.usage[1].limit, web.usage[1].used), (Limit::CallerNotFound, 2));
        assert_eq!(web.usage[1].retry_after_seconds, Some(3660 - 10));

        let reached = limits.list_cards(&ListFilter::default(), at(10)).unwrap();
        assert_eq!(reached.iter().map(|row| row.card).collect::<Vec<_>>(), [card(1)]);
        let all = ListFilter { reached_only: false, ..ListFilter::default() };
        assert_eq!(limits.list_cards(&all, at(10)).unwrap().len(), 2);
        let one = ListFilter { rows_max: 1, ..all.clone() };
        assert_eq!(limits.list_cards(&one, at(10)).unwrap().len(), 1);
        let reached = limits.list_callers(&ListFilter::default(), at(10)).unwrap();
        assert_eq!(reached.iter().map(|row| &*row.caller).collect::<Vec<_>>(), ["web"]);
        assert_eq!(limits.list_callers(&all, at(10)).unwrap().len(), 3);

        assert_eq!(verify(&limits, "ivr", 1, 10, true), Some(Limit::CardWrongSoft));
        assert!(limits.clear_card(card(1)).unwrap());
        assert!(!limits.clear_card(card(3)).unwrap());
        assert!(limits.clear_caller("web").unwrap());
        assert!(!limits.clear_caller("nobody").unwrap());
        limits.durable().wait().unwrap();
        drop(limits);
        let limits = home.open(policy());
        assert_eq!(verify(&limits, "ivr", 1, 10, true), None);
        limits.admit("web", at(10)).unwrap();
    });
}

#[test]
fn a_verification_that_was_under_way_when_its_card_was_cleared_gives_nothing_back() {
    on_every_store(|home| {
        let limits = home.open(policy());
        let before = limits.charge_verify("ivr", card(1), at(0)).unwrap();
        assert!(limits.clear_card(card(1)).unwrap());
        (1..3).for_each(|second| assert_eq!(verify(&limits, "ivr", 1, second, true), None));
        before.matched().unwrap();
        assert_eq!(verify(&limits, "ivr", 1, 3, true), Some(Limit::CardWrongSoft));
    });
}

#[test]
fn names_of_1_to_255_bytes() {
    on_every_store(|home| {
        let limits = home.open(policy());
        for name in ["x".repeat(255), "é".repeat(127)] {
            limits.admit(&name, at(0)).unwrap();
            assert!(limits.show_caller(&name, at(0)).unwrap().is_some());
        }
        for name in ["x".repeat(256), String::new()] {
            let Err(Denied::Unavailable(error)) = limits.admit(&name, at(0)) else {
                panic!("a name of {} bytes", name.len());
            };
            assert!(matches!(error, LimitError::CallerName { bytes_max: 255 }), "{error}");
        }
        assert_eq!(limits.counters().unavailable, 2);
    });
}

#[test]
fn a_policy_out_of_range_is_refused() {
    let home = Embedded::new();
    let policy = LimitPolicy { card_wrong_hard: 0, ..LimitPolicy::default() };
    let error = Limits::open(home.directory(), policy).unwrap_err();
    assert!(matches!(error, LimitError::Policy(PolicyError { setting: "card_wrong_hard", .. })));
    assert!(!home.directory().exists());
}

#[test]
fn a_full_store_refuses_cards_until_events_have_left_their_windows() {
    let home = Embedded::new();
    let limits =
        home.open(LimitPolicy { card_charges_max: 1000, ..unlimited_but_for_wrong_ones() });
    (0..1000).for_each(|number| assert_eq!(generate(&limits, "ivr", number, 0), None));
    let is_full = |second| match limits.charge_generate("ivr", card(5000), at(second)) {
        Ok(()) => false,
        Err(Denied::Unavailable(LimitError::Full { setting: "card_charges_max" })) => true,
        Err(denied) => panic!("{denied}"),
    };
    assert!(is_full(1));
    limits.admit("ivr", at(1)).unwrap();
    assert!(is_full(DAY - 1));
    // Whoever comes first when there is room to be made is still refused; soon there is some.
    assert!(is_full(DAY + 60));
    let is_empty = (0..3000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        limits.counters().card_charges == 0
    });
    assert!(is_empty, "{:?}", limits.counters());
    assert!(!is_full(DAY + 60));
}

#[test]
fn as_many_callers_as_the_policy_says_and_idle_ones_make_room() {
    let home = Embedded::new();
    let limits = home.open(LimitPolicy { callers_max: 2, ..policy() });
    limits.admit("one", at(0)).unwrap();
    limits.admit("two", at(100)).unwrap();
    let full = |outcome| {
        matches!(outcome, Err(Denied::Unavailable(LimitError::Full { setting: "callers_max" })))
    };
    assert!(full(limits.admit("three", at(100))));
    assert!(full(limits.admit("three", at(30 * DAY - 1))));
    limits.admit("three", at(30 * DAY)).unwrap();
    assert!(full(limits.admit("one", at(30 * DAY))));
    assert!(limits.show_caller("two", at(30 * DAY)).unwrap().is_some());
}

#[test]
fn one_process_has_a_directory_and_nobody_else_may_read_it() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    let home = Embedded::new();
    let limits = home.open(policy());
    let error = Limits::open(home.directory(), policy()).unwrap_err();
    assert!(matches!(error, LimitError::InUse { .. }), "{error}");
    limits.admit("ivr", at(0)).unwrap();
    drop(limits);
    let mut paths = vec![home.directory()];
    paths.extend(fs::read_dir(home.directory()).unwrap().map(|entry| entry.unwrap().path()));
    assert_eq!(paths.len(), 3, "{paths:?}");
    for path in &paths {
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{path:?}");
    }
    for path in paths.iter().filter(|path| !path.ends_with("writer.lock")) {
        let was = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, Permissions::from_mode(was.mode() | 0o040)).unwrap();
        let error = Limits::open(home.directory(), policy()).unwrap_err();
        assert!(matches!(error, LimitError::Exposed { .. }), "{error}");
        fs::set_permissions(path, was).unwrap();
    }
    home.open(policy());
}

/// Two who waited for one batch, the second while it was written, left the writer asleep for the next.
#[test]
fn nobody_waits_for_ever_behind_those_who_share_a_batch() {
    on_every_store(|home| {
        let policy = LimitPolicy { caller_requests_per_minute: 1_000_000, ..policy() };
        let limits = home.open(policy);
        let (done, all) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..100 / home.dearness() {
                    limits.charge_generate("ivr", card(round), at(0)).unwrap();
                    thread::scope(|waiters| {
                        for _ in 0..3 {
                            waiters.spawn(|| limits.durable().wait().unwrap());
                        }
                    });
                }
                done.send(()).unwrap();
            });
            let ended = all.recv_timeout(Duration::from_mins(1));
            if ended.is_err() {
                // Whoever hangs would keep this thread, too.
                eprintln!("somebody waits for a charge that nobody writes");
                std::process::abort();
            }
        });
    });
}
