//! Somebody with one token guesses with ten clients, over all expiries, while the service is stopped, killed
//! and started again: no card has more wrong answers than its limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::bank::{Bank, EXPIRY};
use crate::client::{Client, VERIFY, request};
use crate::program::{count, random};
use crate::server::Server;

const CARDS: usize = 5;
const CLIENTS: usize = 10;
/// The limit of a card in the hard window, whoever asks: the default.
const WRONG_MAX: u64 = 10;

/// Limits of callers, and the soft limit of one caller, would end the attack before.
const POLICY: [(&str, &str); 4] = [
    ("SERVE__LIMITS__POLICY__CALLER_REQUESTS_PER_MINUTE", "1000000"),
    ("SERVE__LIMITS__POLICY__CALLER_NOT_FOUND_PER_HOUR", "1000000"),
    ("SERVE__LIMITS__POLICY__CALLER_WRONG_PERCENT", "100"),
    ("SERVE__LIMITS__POLICY__CARD_WRONG_SOFT", "10"),
];

#[derive(Default)]
struct Told {
    wrong: u64,
    right: u64,
    limited: u64,
    not_found: u64,
}

pub(crate) fn run() {
    let guesses = count("CVV2_GUESSES", 2000);
    let bank = Bank::new(CARDS, &[("stolen", "cvv2:verify")]);
    let (begun, mut token, mut restarts) = (AtomicU64::new(0), None, 0_u32);
    let mut told: HashMap<usize, Told> = HashMap::new();
    while begun.load(Ordering::Relaxed) < guesses {
        let server = Server::start(bank.path(), &POLICY);
        let address = server.address;
        let token = token.get_or_insert_with(|| Client::new(&bank, address).token(&bank, "stolen"));
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (bank, token, begun) = (&bank, &*token, &begun);
                    scope.spawn(move || {
                        guess(&Client::new(bank, address), bank, token, begun, guesses)
                    })
                })
                .collect();
            let end = Duration::from_millis(300 + random(700));
            for _ in 0..100 {
                thread::sleep(end / 100);
                if begun.load(Ordering::Relaxed) >= guesses {
                    break;
                }
            }
            restarts += 1;
            if restarts.is_multiple_of(2) {
                server.kill();
            } else {
                assert!(server.stop().success(), "it ends in order");
            }
            for client in clients {
                for (card, answer) in client.join().unwrap() {
                    told.entry(card).or_default().count(&answer);
                }
            }
        });
    }
    bank.verified();
    let sum = |part: fn(&Told) -> u64| told.values().map(part).sum::<u64>();
    println!(
        "  {guesses} guesses, {restarts} ends of the service: {} wrong, {} right, {} limited, {} not found",
        sum(|it| it.wrong),
        sum(|it| it.right),
        sum(|it| it.limited),
        sum(|it| it.not_found)
    );
    for Told { wrong, limited, .. } in told.values() {
        assert!(*wrong <= WRONG_MAX, "{wrong} wrong answers for a card");
        assert!(*limited > 0, "the attack is too small to show anything: give more CVV2_GUESSES");
    }
    println!(
        "  at most {} wrong for a card (limit {WRONG_MAX})",
        told.values().map(|it| it.wrong).max().unwrap()
    );
}

impl Told {
    fn count(&mut self, answer: &str) {
        match answer {
            "MISMATCH" => self.wrong += 1,
            "MATCH" => self.right += 1,
            "204" => self.limited += 1,
            "301" => self.not_found += 1,
            other => panic!("{other} is no answer to a guess"),
        }
    }
}

/// Guesses until nobody answers, or it was often enough; cards with verdicts and codes.
fn guess(
    client: &Client,
    bank: &Bank,
    token: &str,
    begun: &AtomicU64,
    guesses: u64,
) -> Vec<(usize, String)> {
    let mut answers = Vec::new();
    loop {
        let number = begun.fetch_add(1, Ordering::Relaxed);
        if number >= guesses {
            return answers;
        }
        let at = usize::try_from(random(CARDS as u64)).unwrap();
        // The expiries of a decade, and every sixth time the right one: the attacker has seen the card.
        let expiry = match random(6) {
            0 => EXPIRY.to_owned(),
            _ => format!("{:02}{:02}", 40 + random(10), 1 + random(12)),
        };
        let typed = format!("{:03}", random(1000));
        let msg_id = format!("g{number}");
        let body = request(&msg_id, &bank.cards[at], &expiry, Some(&typed)).to_string();
        let Some(reply) = client.post(VERIFY, token, &body) else { return answers };
        let answer = reply.field("verification").or_else(|| reply.code());
        answers.push((at, answer.unwrap_or_else(|| reply.status.to_string())));
    }
}
