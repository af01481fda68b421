//! Card data and keys that nothing holds by chance go through every path of the service; then everything
//! that it has left behind is searched for them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, io};

use rustix::process::Signal;

use crate::bank::{BIN_WITHOUT_KEY, Bank, Card, EXPIRY};
use crate::client::Client;
use crate::forms::Search;
use crate::probes::Probes;
use crate::program::{self, cvv2, ended};
use crate::server::Server;

const CARDS: usize = 8;
/// A card with this BIN has no CVV2.
const BIN_WITHOUT_CVV2: &str = "412346";
/// Limits that do not end the probes before they are through.
const VARIABLES: [(&str, &str); 4] = [
    ("SERVE__LIMITS__POLICY__CALLER_NOT_FOUND_PER_HOUR", "1000000"),
    ("SERVE__LIMITS__POLICY__CALLER_WRONG_PERCENT", "100"),
    ("SERVE__LIMITS__POLICY__CARD_WRONG_SOFT", "10"),
    ("SERVICE__NO_CVV2", "[\"412346\"]"),
];
/// What is provoked; of the others, 404 and 501 need a broken machine, and panics have tests in the crate.
const CODES: [&str; 19] = [
    "000", "101", "102", "103", "104", "105", "106", "107", "108", "201", "202", "203", "204",
    "301", "303", "304", "306", "401", "403",
];

pub(crate) fn run() {
    let scopes = "cvv2:generate,cvv2:verify,cvv2:administer";
    let mut bank = Bank::new(0, &[("canary", scopes)]);
    bank.cards = (0..CARDS).map(|_| marked("412345", EXPIRY, &bank)).collect();
    let special = [
        (marked("412345", "2001", &bank), "active"),  // expired
        (marked("412345", EXPIRY, &bank), "blocked"), // not allowed
        (marked(BIN_WITHOUT_CVV2, EXPIRY, &bank), "active"),
        (marked(BIN_WITHOUT_KEY, EXPIRY, &bank), "active"),
    ];
    let cards = bank.cards.iter().map(|card| (card, "active"));
    bank.import(cards.chain(special.iter().map(|(card, status)| (card, *status))));

    let server = Server::start(bank.path(), &VARIABLES);
    let token = Client::new(&bank, server.address).token(&bank, "canary");
    let mut search = secrets(&bank, special.iter().map(|(card, _)| card), &token);
    let of_answers = secrets(&bank, special.iter().map(|(card, _)| card), &token);
    // Answers echo contract numbers, and what else a caller takes for no secret.
    for card in bank.cards.iter().chain(special.iter().map(|(card, _)| card)) {
        search.text("contract number", &card.contract);
        search.value("CVV2", &card.cvv2);
    }

    let mut probes = Probes::new(&bank, &server, &token);
    probes.all();
    for (card, _) in &special {
        probes.get(card);
    }
    // A key that may verify only, from the next SIGHUP on.
    cvv2(
        bank.path(),
        &["key", "set", "live", "--state", "verify-only", "--config", "cvv2.toml"],
        "",
    );
    server.signal(Signal::HUP);
    let begun = Instant::now();
    while probes.get(&bank.cards[1]) == "000" {
        assert!(begun.elapsed() < Duration::from_secs(10), "SIGHUP has no effect");
        thread::sleep(Duration::from_millis(50));
    }
    let metrics = scrape(server.metrics);
    assert!(metrics.contains("# EOF"), "no metrics: {metrics}");
    dump(&bank, &server);
    let (mut codes, mut statuses) = (probes.codes, probes.statuses);
    let (mut answers, values) = (probes.answers, probes.values);
    assert!(server.stop().success(), "it ends in order");

    // A caller that asks too often; at last a process that nothing is left of but what is on the disk.
    let variables =
        [&VARIABLES[..], &[("SERVE__LIMITS__POLICY__CALLER_REQUESTS_PER_MINUTE", "1")]].concat();
    let server = Server::start(bank.path(), &variables);
    let mut probes = Probes::new(&bank, &server, &token);
    for card in &bank.cards {
        probes.successes(card);
    }
    codes.extend(probes.codes);
    statuses.extend(probes.statuses);
    answers.extend(probes.answers);
    server.kill();

    let missing: Vec<_> = CODES.iter().filter(|code| !codes.contains(**code)).collect();
    assert!(missing.is_empty(), "not provoked: {missing:?}");
    assert!(values > 0, "no value was answered");
    bank.verified();
    println!("  {} codes, HTTP {statuses:?}, {values} answers with a value", codes.len());

    let (mut hits, mut count, mut bytes) = (Vec::new(), 0, 0);
    let mut look = |place: &str, content: &[u8], search: &Search| {
        count += 1;
        bytes += content.len();
        hits.extend(search.found(content).into_iter().map(|hit| format!("{place}: {hit}")));
    };
    for path in files(bank.path()) {
        look(&path.display().to_string(), &fs::read(&path).unwrap(), &search);
    }
    look("metrics", metrics.as_bytes(), &search);
    look("answers", &answers, &of_answers);
    println!(
        "  {} forms in {count} files and outputs of {bytes} bytes: {} hits",
        search.len(),
        hits.len()
    );
    let planted = search.found(&search.control()).len();
    println!("  of a planted control: {planted} of {} forms", search.len());
    assert!(hits.is_empty(), "{hits:#?}");
    assert_eq!(planted, search.len(), "the search itself is broken");
}

/// A card whose CVV2 is no code of the contract.
fn marked(bin: &str, expiry: &'static str, bank: &Bank) -> Card {
    loop {
        let card = Card::random(bin, expiry, Some(&bank.cvk));
        if card.cvv2.starts_with(['6', '7', '8']) {
            return card;
        }
    }
}

/// What neither an answer nor anything that stays may hold.
fn secrets<'a>(bank: &'a Bank, special: impl Iterator<Item = &'a Card>, token: &str) -> Search {
    let mut search = Search::default();
    for card in bank.cards.iter().chain(special) {
        search.digits("PAN", &card.pan);
    }
    search.key("CVK", &bank.cvk);
    for client in &bank.clients {
        search.text("client secret", &client.secret);
    }
    // Its head is the same for all tokens, and its body says what records say, too; its signature is what
    // makes it one.
    let signature = token.rsplit('.').next().expect("three parts");
    search.text("token", signature);
    search
}

/// The figures, as Prometheus reads them.
fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Searches the memory of the service for its CVK, in every form of the memory scan, as a debugger writes
/// it to a core file.
fn dump(bank: &Bank, server: &Server) {
    let core = bank.path().join("core");
    let id = server.id().to_string();
    let mut gcore = Command::new("gcore");
    gcore.arg("-o").arg(&core).arg(&id);
    match gcore.output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("  SKIPPED: gcore (of gdb) is not installed");
            assert!(env::var_os("CVV2_REQUIRE_TOOLS").is_none(), "a tool is missing");
        }
        Ok(output) if !output.status.success() => {
            // The service is not dumpable: only root may look into it.
            println!("  SKIPPED: gcore may not look into the service here");
        }
        made => {
            made.unwrap();
            let file = core.with_extension(id);
            let mut scan = Command::new(program::path("check-memory-scan"));
            let scanned = ended(scan.arg("search").arg(&file), &hex::encode(bank.cvk));
            print!("  core file: {}", String::from_utf8_lossy(&scanned.stdout));
            let wiped = cfg!(debug_assertions);
            assert!(scanned.status.success() || wiped, "the CVK is in the core file");
            fs::remove_file(file).unwrap();
        }
    }
}

/// Every file of the directory, the log among them.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}
