//! An attacker who tries values of all expiries of some cards, with many clients at a time, across
//! restarts and kills: it never gets more wrong answers for a card than the limit allows.
//!
//! `CVV2_GUESSES=1000000 cargo test --release -p cvv2-service --test limits guess` tries a million
//! times; without it some thousands have to do.

use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::Duration;

use cvv2::secret::{Protection, Secret};
use cvv2::{CvkPair, Expiry, ExpiryOrder, Pan, Policy, Verdict};
use cvv2_service::limits::{Denied, LimitPolicy, Limits};
use cvv2_service::{CardHasher, CardKey, ServiceKey};

use crate::processes::{Task, command, said, say};
use crate::stores::{Embedded, at, on_every_store};

const CLIENTS: u64 = 10;
const CARDS: u64 = 20;
const HOUR: i64 = 3600;

/// Limits of the card only: those of callers would end the attack before.
fn policy() -> LimitPolicy {
    LimitPolicy {
        caller_requests_per_minute: 1_000_000,
        caller_wrong_percent: 100,
        card_requests_per_day: 1000,
        card_wrong_soft: 3,
        card_wrong_soft_window_hours: 24,
        card_wrong_hard: 10,
        card_wrong_hard_window_hours: 48,
        journal_bytes_min: 4096,
        ..LimitPolicy::default()
    }
}

/// In all, as long as five hard windows.
const TICKS: u64 = 200;
const TICK: i64 = 5 * 48 * HOUR / TICKS.cast_signed();

/// Whose token the clients use.
#[derive(Clone, Copy)]
enum Tokens {
    /// One for all of them.
    One,
    /// Each has its own.
    Own,
}

impl Tokens {
    fn caller(self, client: u64) -> String {
        match self {
            Self::One => "stolen".to_owned(),
            Self::Own => format!("client {client}"),
        }
    }
}

/// What the attacker tries to find out.
struct Bank {
    cvk: CvkPair,
    pans: Vec<Pan>,
    keys: Vec<CardKey>,
}

impl Bank {
    fn new() -> Self {
        let key = ServiceKey::new(Secret::new([7; 32], Protection::Wiped).unwrap());
        let hasher = CardHasher::new(&key).unwrap();
        let pans: Vec<_> =
            (0..CARDS).map(|n| Pan::parse(&format!("4123{n:012}")).unwrap()).collect();
        let keys = pans.iter().map(|pan| hasher.hash(pan)).collect();
        let hex = "0123456789ABCDEFFEDCBA9876543210";
        let cvk = CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::Strict).unwrap();
        Self { cvk, pans, keys }
    }

    /// One try at a time, the answer to which has left when this returns.
    fn answer(&self, limits: &Limits, caller: &str, guess: u64, now: i64) -> Answer {
        let card = usize::try_from(guess % CARDS).unwrap();
        // All expiries of ten years, one after the other.
        let month = guess / CARDS % 120;
        let expiry = format!("{:02}{:02}", 27 + month / 12, month % 12 + 1);
        let expiry = Expiry::parse_yymm(&expiry).unwrap();
        let digits = format!("{:03}", guess.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32 & 0x3FF);
        let verification = match limits.charge_verify(caller, self.keys[card], at(now)) {
            Ok(verification) => verification,
            Err(Denied::Refused(_)) => return Answer::Refused,
            Err(Denied::Unavailable(error)) => panic!("{error}"),
        };
        let answer = match self.cvk.verify_cvv2(&self.pans[card], &expiry, &digits[..3]).unwrap() {
            Verdict::Match => {
                verification.matched().unwrap();
                Answer::Right
            }
            Verdict::Mismatch => {
                verification.mismatched().unwrap();
                Answer::Wrong { card, now }
            }
        };
        limits.durable().wait().unwrap();
        answer
    }
}

enum Answer {
    Refused,
    Right,
    Wrong { card: usize, now: i64 },
}

fn guesses() -> u64 {
    std::env::var("CVV2_GUESSES").map_or(20_000, |guesses| guesses.parse().unwrap())
}

/// For each card, when the attacker was told that it is wrong.
#[derive(Default)]
struct Told(Vec<Vec<i64>>);

impl Told {
    fn new() -> Self {
        Self(vec![Vec::new(); usize::try_from(CARDS).unwrap()])
    }

    /// No stretch of the window's length has more than the limit; and it has as many, or this would
    /// show nothing.
    fn assert_within(mut self, limit: usize, window: i64, what: &str) -> usize {
        for (card, times) in self.0.iter_mut().enumerate() {
            times.sort_unstable();
            for pair in times.windows(limit + 1) {
                let took = pair[limit] - pair[0];
                assert!(took >= window, "{} wrong in {took} s for card {card}; {what}", limit + 1);
            }
        }
        self.0.iter().map(Vec::len).sum()
    }
}

/// The attack in this process, with a restart every now and then.
fn attack(open: &(dyn Fn() -> Limits + Sync), tokens: Tokens, guesses: u64) -> Told {
    let bank = Bank::new();
    // Whoever guesses holds it for reading, so that all guesses of one time are at that time.
    let world = RwLock::new((0_i64, Some(open())));
    let next = AtomicU64::new(0);
    let told = Mutex::new(Told::new());
    let every = (guesses / TICKS).max(1);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (bank, world, next, told) = (&bank, &world, &next, &told);
            scope.spawn(move || {
                let caller = tokens.caller(client);
                loop {
                    let guess = next.fetch_add(1, Ordering::Relaxed);
                    if guess >= guesses {
                        return;
                    }
                    if guess % every == every - 1 {
                        let mut world = world.write().unwrap();
                        world.0 += TICK;
                        if guess / every % 20 == 19 {
                            world.1 = None;
                            world.1 = Some(open());
                        }
                    }
                    let world = world.read().unwrap();
                    let limits = world.1.as_ref().expect("it is open again");
                    if let Answer::Wrong { card, now } =
                        bank.answer(limits, &caller, guess, world.0)
                    {
                        told.lock().unwrap().0[card].push(now);
                    }
                }
            });
        }
    });
    told.into_inner().unwrap()
}

#[test]
fn one_token_in_ten_clients_never_gets_past_the_soft_limit() {
    on_every_store(|home| {
        let guesses = guesses() / home.dearness();
        let told = attack(&|| home.open(policy()), Tokens::One, guesses);
        let wrong = told.assert_within(3, 24 * HOUR, "one token");
        // Ten soft windows.
        assert!(wrong > 20 * 3 * 8, "{wrong}");
        println!("{guesses} guesses, {wrong} were told that they are wrong, none too many");
    });
}

#[test]
fn ten_tokens_never_get_past_the_hard_limit() {
    on_every_store(|home| {
        let guesses = guesses() / home.dearness();
        let told = attack(&|| home.open(policy()), Tokens::Own, guesses);
        let wrong = told.assert_within(10, 48 * HOUR, "ten tokens");
        assert!(wrong > 20 * 10 * 4, "{wrong}");
        println!("{guesses} guesses, {wrong} were told that they are wrong, none too many");
    });
}

#[test]
fn neither_do_kills_help() {
    let home = Embedded::new();
    let mut told = Told::new();
    let (mut kills, mut now, mut wrong) = (0, 0, 0);
    let (kills_min, guesses) = (20, guesses());
    for kill in 0..kills_min {
        let first = guesses * kill / kills_min;
        let task = format!("guess {first} {now}");
        let mut child = command(&home.directory(), &task).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let patience = Duration::from_millis(20 + 13 * (kill % 7));
        let killer = thread::spawn(move || {
            thread::sleep(patience);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        for line in lines.map_while(Result::ok) {
            let Some(words) = said(&line) else { continue };
            let words: Vec<i64> = words.split(' ').map_while(|word| word.parse().ok()).collect();
            // The last line may have been cut short; a time is never.
            let [card, time, 0] = words[..] else { continue };
            told.0[usize::try_from(card).unwrap()].push(time);
            now = now.max(time);
            wrong += 1;
        }
        killer.join().unwrap();
        kills += 1;
        // Some time passes, sometimes.
        now += if kill % 3 == 2 { 7 * HOUR } else { 0 };
    }
    told.assert_within(10, 48 * HOUR, "killed");
    println!("{kills} kills, {wrong} were told that they are wrong, none too many");
    assert!(wrong > 100, "{wrong}");
}

/// The attack in another process, which tells every wrong answer, until it is killed.
pub(crate) fn guess(task: &Task) {
    let (first, start) = (task.number(1), i64::try_from(task.number(2)).unwrap());
    let bank = Bank::new();
    let limits = task.open(policy()).unwrap();
    let next = AtomicU64::new(first);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (bank, limits, next) = (&bank, &limits, &next);
            scope.spawn(move || {
                let caller = Tokens::Own.caller(client);
                loop {
                    let guess = next.fetch_add(1, Ordering::Relaxed);
                    if let Answer::Wrong { card, now } = bank.answer(limits, &caller, guess, start)
                    {
                        say(format_args!("{card} {now} 0"));
                    }
                }
            });
        }
    });
}
