//! How fast a store in PostgreSQL is beside PostgreSQL itself, in one run, on a server of its own.
//!
//! ```text
//! cargo run --release -p cvv2-resolver --features postgres --example postgres -- CARDS SECONDS
//! ```
//!
//! - An import of a CSV file, beside a bare COPY of the very rows that it has stored into tables of the
//!   same shape.
//! - Look-ups by a pool of 8 connections, beside `pgbench -M prepared` with 8 clients that run the same
//!   SELECT.
//!
//! Each side is measured several times, in turns, because a machine is not the same from one minute to
//! the next; of each the median counts.
//!
//! `pgbench` cannot compute keyed hashes, so its tables have rows of the same number and length under
//! SHA-256 of numbers, which it has the server compute: that costs the server about a microsecond.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use cvv2_resolver::{
    BankId, CardImport, CardRef, CardStore, Exid, ExidForm, ImportOptions, ImportWatcher,
    PostgresOptions, PostgresPool, PostgresServer, PostgresStore, RefusedRow, StoreKeys,
};

#[path = "../benches/portfolio/mod.rs"]
mod portfolio;
#[path = "../tests/postgres_server/mod.rs"]
mod postgres_server;

use portfolio::{BANK, Random, contract_number, exid, write_csv};
use postgres_server::{PROGRAMS, Server};

type Failable<T> = Result<T, Box<dyn Error>>;

/// How often each side is measured.
const TURNS: usize = 3;
const CLIENTS: u32 = 8;

fn main() -> Failable<()> {
    let words: Vec<u64> =
        std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [cards, seconds] = words[..] else { return Err("CARDS SECONDS".into()) };
    let server =
        Server::start("-c shared_buffers=512MB -c max_wal_size=8GB -c checkpoint_timeout=1h");

    let mut csv = Vec::new();
    write_csv(&mut csv, 0..cards)?;
    let keys = StoreKeys::generate()?;
    let (mut imports, mut copies) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let options = options(&server, &format!("import_{turn}"));
        let store = PostgresStore::create(&options, &keys)?;
        store.pool().with(|client| client.batch_execute("CHECKPOINT"))?;
        let start = Instant::now();
        store.import(&mut &csv[..], &ImportOptions::default(), &mut NobodyCares)?;
        imports.push(per_second(cards, start.elapsed()));
        copies.push(per_second(cards, copy(&server, store.pool(), turn)?));
    }
    compare("import", "cards/s", &mut imports, "bare COPY", &mut copies);

    let options = options(&server, "import_0");
    let store = PostgresStore::open(&options, &keys)?;
    fill_for_pgbench(&server, store.pool(), cards)?;
    let (mut lookups, mut selects) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        lookups.push(look_up(&store, cards, Duration::from_secs(seconds)));
        selects.push(pgbench(&server, 2 * cards, seconds)?);
    }
    compare("look-up", "per second", &mut lookups, "pgbench", &mut selects);
    Ok(())
}

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
        panic!("{refused:?}");
    }
}

fn options(server: &Server, schema: &str) -> PostgresOptions {
    let socket = PostgresServer::Socket { directory: server.directory().to_owned(), port: 5432 };
    let mut options = PostgresOptions::new(socket, "postgres", "cvv2");
    schema.clone_into(&mut options.schema);
    options.connections = CLIENTS;
    options.statement_timeout = Duration::from_hours(1);
    options
}

/// Copies the rows of a store into tables of the same shape, and returns how long that took.
fn copy(server: &Server, from: &PostgresPool, turn: usize) -> Failable<Duration> {
    let bare = options(server, &format!("bare_{turn}"));
    PostgresStore::migrate(&bare)?;
    let mut took = Duration::ZERO;
    for table in ["cards", "card_references"] {
        let out = format!("COPY (TABLE {}.{table}) TO STDOUT (FORMAT binary)", from.schema());
        let rows = from.with(|client| {
            let mut rows = Vec::new();
            io::copy(&mut client.copy_out(&out)?, &mut rows).expect("memory takes it");
            client.batch_execute("CHECKPOINT")?;
            Ok(rows)
        })?;
        let into = format!("COPY {}.{table} FROM STDIN (FORMAT binary)", bare.schema);
        took += from.with(|client| {
            let start = Instant::now();
            let mut copy = client.copy_in(&into)?;
            copy.write_all(&rows).expect("the server takes it");
            copy.finish()?;
            Ok(start.elapsed())
        })?;
    }
    Ok(took)
}

/// Looks up cards at random by as many threads as there are connections, and returns how many a
/// second.
fn look_up(store: &PostgresStore, cards: u64, time: Duration) -> f64 {
    let bank = BankId::parse(BANK).expect("a bank's code");
    let start = Instant::now();
    let found: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|thread| {
                let bank = &bank;
                scope.spawn(move || {
                    let mut random = Random(u64::from(thread) + 1);
                    let mut found = 0;
                    while start.elapsed() < time {
                        let card = random.next() % cards;
                        let reference: CardRef = if found % 2 == 0 {
                            Exid::parse(&exid(card), ExidForm::Strict).expect("an EXID").into()
                        } else {
                            contract_number(card)
                        };
                        assert!(store.resolve(bank, &reference).expect("sound").is_some());
                        found += 1;
                    }
                    found
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it has not panicked")).sum()
    });
    per_second(found, start.elapsed())
}

/// Fills tables of the same shape with as many rows as the store has references.
fn fill_for_pgbench(server: &Server, pool: &PostgresPool, cards: u64) -> Failable<()> {
    PostgresStore::migrate(&options(server, "pgbench"))?;
    let fill = format!(
        "INSERT INTO pgbench.card_references
         SELECT substring(sha256(int8send(n)) FOR 16), '{BANK}', sealed.row
         FROM generate_series(1, {rows}::bigint) n,
              (SELECT sealed FROM import_0.card_references LIMIT 1) sealed (row);
         VACUUM ANALYZE pgbench.card_references;
         VACUUM ANALYZE import_0.card_references",
        rows = 2 * cards
    );
    for statement in fill.split(';') {
        pool.with(|client| client.batch_execute(statement))?;
    }
    Ok(())
}

/// Has `pgbench` run the same SELECT, and returns how many a second.
fn pgbench(server: &Server, rows: u64, seconds: u64) -> Failable<f64> {
    let script = server.write(
        "lookup.sql",
        &format!(
            "\\set n random(1, {rows})\nSELECT sealed FROM pgbench.card_references \
             WHERE hash = substring(sha256(int8send(:n::bigint)) FOR 16) AND bank = '{BANK}';\n"
        ),
    );
    let output = Command::new(format!("{PROGRAMS}/pgbench"))
        .args(["-M", "prepared", "-n", "-U", "cvv2", "-h"])
        .arg(server.directory())
        .args(["-c", &CLIENTS.to_string(), "-j", &CLIENTS.to_string()])
        .args(["-T", &seconds.to_string(), "-f"])
        .arg(&script)
        .arg("postgres")
        // What the store says of its own connections.
        .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan")
        .output()?;
    fs::remove_file(script)?;
    let said = String::from_utf8(output.stdout)?;
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(tps.ok_or("pgbench has failed")?.parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn compare(what: &str, unit: &str, ours: &mut [f64], peer: &str, theirs: &mut [f64]) {
    println!("{what}: {ours:.0?} {unit}; {peer}: {theirs:.0?}");
    ours.sort_unstable_by(f64::total_cmp);
    theirs.sort_unstable_by(f64::total_cmp);
    let (ours, theirs) = (ours[TURNS / 2], theirs[TURNS / 2]);
    println!("{what}: {:.0} % of {peer}", 100.0 * ours / theirs);
}
