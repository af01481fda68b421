//! The service killed under load: nothing that was answered is forgotten.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::bank::{Bank, Card, EXPIRY};
use crate::client::{Client, GET, VERIFY, request};
use crate::program::{count, random};
use crate::server::Server;

/// After so many kills it begins again, so that the log does not grow too long to be verified each time.
const KILLS_OF_A_BANK: u64 = 25;
const CARDS: usize = 20;
const CLIENTS: usize = 6;
/// The limits that must survive.
const WRONG_MAX: usize = 10;
const GENERATES_MAX: usize = 30;

/// Only the limits of cards matter here, whoever asks.
const POLICY: [(&str, &str); 7] = [
    ("SERVE__LIMITS__POLICY__CALLER_REQUESTS_PER_MINUTE", "1000000"),
    ("SERVE__LIMITS__POLICY__CALLER_WRONG_PERCENT", "100"),
    ("SERVE__LIMITS__POLICY__CARD_WRONG_SOFT", "10"),
    ("SERVE__LIMITS__POLICY__CARD_WRONG_HARD", "10"),
    ("SERVE__LIMITS__POLICY__CARD_GENERATES_PER_DAY", "30"),
    ("SERVE__LIMITS__POLICY__CARD_REQUESTS_PER_DAY", "1000"),
    ("SERVE__LIMITS__POLICY__JOURNAL_BYTES_MIN", "4096"),
];

/// An answer that a client has read.
struct Answered {
    msg_id: String,
    card: usize,
    status: u16,
    code: String,
    /// That of a verification.
    verdict: Option<String>,
}

pub(crate) fn run() {
    let kills = count("CVV2_KILLS", 10);
    let (mut answers, mut records, mut most_wrong, mut most_generated) = (0, 0, 0, 0);
    for begun in (0..kills).step_by(usize::try_from(KILLS_OF_A_BANK).unwrap()) {
        let mut round = Round::new();
        for _ in begun..kills.min(begun + KILLS_OF_A_BANK) {
            round.kill_once();
        }
        answers += round.answered;
        records += round.recorded.len();
        most_wrong = most_wrong.max(round.wrong.values().copied().max().unwrap_or(0));
        most_generated = most_generated.max(round.generated.values().copied().max().unwrap_or(0));
    }
    println!(
        "  {kills} kills: each of {answers} answers is among {records} records, and the chain was whole"
    );
    println!(
        "  of a card at most {most_wrong} wrong verifications (limit {WRONG_MAX}) and {most_generated} \
         values (limit {GENERATES_MAX}) were answered"
    );
}

/// One bank, and what its clients have been told.
struct Round {
    bank: Bank,
    token: Option<String>,
    number: AtomicU64,
    answered: usize,
    recorded: HashSet<String>,
    read: HashSet<PathBuf>,
    wrong: HashMap<usize, usize>,
    generated: HashMap<usize, usize>,
}

impl Round {
    fn new() -> Self {
        Self {
            bank: Bank::new(CARDS, &[("load", "cvv2:generate,cvv2:verify")]),
            token: None,
            number: AtomicU64::new(0),
            answered: 0,
            recorded: HashSet::new(),
            read: HashSet::new(),
            wrong: HashMap::new(),
            generated: HashMap::new(),
        }
    }

    fn kill_once(&mut self) {
        let server = Server::start(self.bank.path(), &POLICY);
        let address = server.address;
        let token = self
            .token
            .get_or_insert_with(|| Client::new(&self.bank, address).token(&self.bank, "load"));
        let (bank, token, number) = (&self.bank, &*token, &self.number);
        let answers: Vec<Answered> = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(move || load(&Client::new(bank, address), bank, token, number))
                })
                .collect();
            thread::sleep(Duration::from_millis(100 + random(500)));
            server.kill();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        self.bank.verified();
        self.look(&answers);
    }

    /// Holds what clients were told against the records and the limits.
    fn look(&mut self, answers: &[Answered]) {
        let mut last = None;
        for path in self.bank.audit_files() {
            if !self.read.contains(&path) {
                let text = fs::read_to_string(&path).unwrap();
                // The last line may be torn.
                let records =
                    text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let ids = records.filter_map(|record| Some(record["msg_id"].as_str()?.to_owned()));
                self.recorded.extend(ids);
                last = Some(path.clone());
                self.read.insert(path);
            }
        }
        assert!(last.is_some(), "a service that starts begins a file");
        self.answered += answers.len();
        for Answered { msg_id, card, status, code, verdict } in answers {
            assert!(self.recorded.contains(msg_id), "{msg_id} was answered and is not recorded");
            assert!(*status == 200 && ["000", "204"].contains(&code.as_str()), "{status} {code}");
            match verdict.as_deref() {
                Some("MISMATCH") => *self.wrong.entry(*card).or_default() += 1,
                None if code == "000" => *self.generated.entry(*card).or_default() += 1,
                _ => {}
            }
        }
        assert!(self.wrong.values().all(|wrong| *wrong <= WRONG_MAX), "{:?}", self.wrong);
        assert!(self.generated.values().all(|n| *n <= GENERATES_MAX), "{:?}", self.generated);
    }
}

/// Asks until nobody answers any more.
fn load(client: &Client, bank: &Bank, token: &str, number: &AtomicU64) -> Vec<Answered> {
    let mut answers = Vec::new();
    loop {
        let msg_id = format!("m{:08}", number.fetch_add(1, Ordering::Relaxed));
        let at = usize::try_from(random(CARDS as u64)).unwrap();
        let card = &bank.cards[at];
        let typed = match random(4) {
            0 | 1 => Some(wrong_value(card)),
            2 => Some(card.cvv2.clone()),
            _ => None,
        };
        let path = if typed.is_some() { VERIFY } else { GET };
        let body = request(&msg_id, card, EXPIRY, typed.as_deref()).to_string();
        let Some(reply) = client.post(path, token, &body) else { return answers };
        let code = reply.code().unwrap();
        let value = reply.field("cvv2");
        assert!(value.is_none_or(|value| value == card.cvv2), "another CVV2 was answered");
        let verdict = reply.field("verification");
        if let Some(verdict) = &verdict {
            let right = typed.as_ref() == Some(&card.cvv2);
            assert_eq!(verdict == "MATCH", right, "another verdict was answered");
        }
        answers.push(Answered { msg_id, card: at, status: reply.status, code, verdict });
    }
}

fn wrong_value(card: &Card) -> String {
    let right: u64 = card.cvv2.parse().unwrap();
    format!("{:03}", (right + 1 + random(999)) % 1000)
}
