//! The limits beside an obvious twin: a list of everything that ever happened.

use cvv2_service::limits::{Denied, Limit, LimitPolicy, Limits, MessageUse, Verification};
use proptest::prelude::*;

use crate::stores::{Embedded, Home, at, card, message};

/// Small numbers, so that every limit is reached.
fn policy() -> LimitPolicy {
    LimitPolicy {
        caller_requests_per_minute: 4,
        caller_not_found_per_hour: 3,
        caller_wrong_percent: 60,
        caller_wrong_percent_count_min: 3,
        caller_wrong_percent_window_minutes: 30,
        card_generates_per_day: 3,
        card_requests_per_day: 7,
        card_wrong_soft: 2,
        card_wrong_soft_window_hours: 2,
        card_wrong_hard: 4,
        card_wrong_hard_window_hours: 50,
        message_window_minutes: 30,
        // Written anew all the time.
        journal_bytes_min: 4096,
        ..LimitPolicy::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Request,
    NotFound,
    Generate(u64),
    Right(u64),
    Wrong(u64),
    Verified { is_wrong: bool },
    Message(u64),
}

/// Everything that happened, by whom and when, in seconds.
#[derive(Default)]
struct Twin(Vec<(usize, What, i64)>);

impl Twin {
    /// How many there are in the last `window`, counted one by one.
    fn of_card(&self, now: i64, window: i64, counts: impl Fn(usize, What) -> bool) -> usize {
        let is_in =
            |(who, what, then): &&(usize, What, i64)| counts(*who, *what) && now - then < window;
        self.0.iter().filter(is_in).count()
    }

    /// How many there are in the last 60 slots and this one.
    fn of_caller(&self, now: i64, slot: i64, counts: impl Fn(usize, What) -> bool) -> usize {
        let is_in = |(who, what, then): &&(usize, What, i64)| {
            counts(*who, *what) && now / slot - then / slot <= 60
        };
        self.0.iter().filter(is_in).count()
    }

    fn admit(&mut self, caller: usize, now: i64) -> Vec<Limit> {
        let count = |slot, what: What| self.of_caller(now, slot, |w, h| w == caller && h == what);
        let wrong = count(30, What::Verified { is_wrong: true });
        let verified = wrong + count(30, What::Verified { is_wrong: false });
        let mut reached = Vec::new();
        if count(1, What::Request) >= 4 {
            reached.push(Limit::CallerRequests);
        }
        if count(60, What::NotFound) >= 3 {
            reached.push(Limit::CallerNotFound);
        }
        if verified >= 3 && wrong * 100 > verified * 60 {
            reached.push(Limit::CallerWrongPercent);
        }
        if reached.is_empty() {
            self.0.push((caller, What::Request, now));
        }
        reached
    }

    fn charge(&mut self, caller: usize, of: u64, what: What, now: i64) -> Vec<Limit> {
        const HOUR: i64 = 3600;
        let is_any = |what| [What::Generate(of), What::Right(of), What::Wrong(of)].contains(&what);
        let wrong = What::Wrong(of);
        let mut reached = Vec::new();
        if self.of_card(now, 24 * HOUR, |_, what| is_any(what)) >= 7 {
            reached.push(Limit::CardRequests);
        }
        if what == wrong {
            if self.of_card(now, 2 * HOUR, |who, what| who == caller && what == wrong) >= 2 {
                reached.push(Limit::CardWrongSoft);
            }
            if self.of_card(now, 50 * HOUR, |_, what| what == wrong) >= 4 {
                reached.push(Limit::CardWrongHard);
            }
        } else if self.of_card(now, 24 * HOUR, |_, w| w == What::Generate(of)) >= 3 {
            reached.push(Limit::CardGenerates);
        }
        if reached.is_empty() {
            self.0.push((caller, what, now));
        }
        reached
    }

    fn first_use(&mut self, of: u64, now: i64) -> MessageUse {
        if self.of_card(now, 30 * 60, |_, what| what == What::Message(of)) > 0 {
            return MessageUse::Again;
        }
        self.0.push((0, What::Message(of), now));
        MessageUse::First
    }

    fn settle(&mut self, place: usize, is_wrong: bool) {
        let (caller, what, then) = self.0[place];
        if let (What::Wrong(of), false) = (what, is_wrong) {
            self.0[place].1 = What::Right(of);
        }
        // Time does not go back for the verifications of a caller.
        let is_own = |(who, what, _): &&(usize, What, i64)| {
            *who == caller && matches!(what, What::Verified { .. })
        };
        let latest = self.0.iter().filter(is_own).map(|(_, _, then)| *then).max();
        self.0.push((caller, What::Verified { is_wrong }, then.max(latest.unwrap_or(then))));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit(usize),
    NotFound(usize),
    Generate(usize, u64),
    Verify(usize, u64),
    Use(u64),
    /// Ends the verification that began first, or last.
    Settle {
        first: bool,
        is_wrong: bool,
    },
    Reopen,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (caller, of) = (0..2_usize, 0..3_u64);
    let step = prop_oneof![
        4 => caller.clone().prop_map(Step::Admit),
        1 => caller.clone().prop_map(Step::NotFound),
        3 => (caller.clone(), of.clone()).prop_map(|(caller, of)| Step::Generate(caller, of)),
        6 => (caller, of).prop_map(|(caller, of)| Step::Verify(caller, of)),
        6 => (any::<bool>(), any::<bool>())
            .prop_map(|(first, is_wrong)| Step::Settle { first, is_wrong }),
        3 => (0..3_u64).prop_map(Step::Use),
        1 => Just(Step::Reopen),
        4 => prop_oneof![0..90_i64, 0..7200_i64, 0..200_000_i64].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..300)
}

fn reached<T>(outcome: Result<T, Denied>) -> Result<T, Limit> {
    outcome.map_err(|denied| match denied {
        Denied::Refused(refusal) => refusal.limit,
        Denied::Unavailable(error) => panic!("{error}"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// They let through what the list of everything lets through, also across restarts.
    #[test]
    fn they_do_what_the_list_of_everything_does(steps in steps()) {
        let home = Embedded::new();
        let callers = ["ivr", "app"];
        let mut limits: Limits = home.open(policy());
        let mut twin = Twin::default();
        let mut unfinished: Vec<(Verification, usize)> = Vec::new();
        let mut now = 0;
        for step in steps {
            let (seen, expected) = match step {
                Step::Wait(seconds) => {
                    now += seconds;
                    continue;
                }
                Step::Reopen => {
                    // Those that are not finished are wrong, and of the caller's percentage too.
                    for (verification, place) in unfinished.drain(..) {
                        drop(verification);
                        twin.settle(place, true);
                    }
                    drop(limits);
                    limits = home.open(policy());
                    continue;
                }
                Step::NotFound(caller) => {
                    limits.not_found(callers[caller], at(now)).unwrap();
                    twin.0.push((caller, What::NotFound, now));
                    continue;
                }
                Step::Use(of) => {
                    let seen = limits.first_use(message(of), at(now)).unwrap();
                    prop_assert_eq!(seen, twin.first_use(of, now));
                    continue;
                }
                Step::Settle { first, is_wrong } => {
                    if unfinished.is_empty() {
                        continue;
                    }
                    let place = if first { 0 } else { unfinished.len() - 1 };
                    let (verification, place) = unfinished.remove(place);
                    if is_wrong {
                        verification.mismatched().unwrap();
                    } else {
                        verification.matched().unwrap();
                    }
                    twin.settle(place, is_wrong);
                    continue;
                }
                Step::Admit(caller) => {
                    (reached(limits.admit(callers[caller], at(now))), twin.admit(caller, now))
                }
                Step::Generate(caller, of) => (
                    reached(limits.charge_generate(callers[caller], card(of), at(now))),
                    twin.charge(caller, of, What::Generate(of), now),
                ),
                Step::Verify(caller, of) => {
                    let seen = reached(limits.charge_verify(callers[caller], card(of), at(now)));
                    let expected = twin.charge(caller, of, What::Wrong(of), now);
                    (seen.map(|v| unfinished.push((v, twin.0.len() - 1))), expected)
                }
            };
            match seen {
                Ok(()) => prop_assert_eq!(expected, []),
                Err(limit) => prop_assert!(expected.contains(&limit), "{:?} of {:?}", limit, expected),
            }
        }
    }
}
