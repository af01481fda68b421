//! A portfolio of any size, for measurements: writes it as CSV, imports it, looks cards up.
//!
//! ```text
//! cargo run --release -p cvv2-resolver --example portfolio -- csv 10000000 > cards.csv
//! cargo run --release -p cvv2-resolver --example portfolio -- import STORE cards.csv
//! cargo run --release -p cvv2-resolver --example portfolio -- lookup STORE 10000000 1
//! ```
//!
//! A store is made if there is none; its keys are written beside it, in clear, because the cards
//! are invented.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Instant;

use cvv2_resolver::{
    BankId, CardImport, CardRef, CardStore, EmbeddedStore, Exid, ExidForm, ImportOptions,
    ImportProgress, ImportStage, ImportWatcher, RefusedRow, StoreKeys,
};

#[path = "../benches/portfolio/mod.rs"]
mod portfolio;

use portfolio::{BANK, contract_number, exid, write_csv};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["csv", cards] => write_csv(&mut BufWriter::new(io::stdout().lock()), 0..cards.parse()?)?,
        ["csv", first, cards] => {
            let first = first.parse()?;
            let all = first..first + cards.parse::<u64>()?;
            write_csv(&mut BufWriter::new(io::stdout().lock()), all)?;
        }
        ["import", store, file] => import(store, file)?,
        ["lookup", store, cards, threads] => lookup(store, cards.parse()?, threads.parse()?)?,
        ["check", store] => println!("{:?}", open(store)?.check()?),
        _ => {
            return Err(
                "csv [FIRST] CARDS | import STORE FILE | lookup STORE CARDS THREADS | check STORE"
                    .into(),
            );
        }
    }
    Ok(())
}

fn open(place: &str) -> Result<EmbeddedStore, Box<dyn Error>> {
    let keys_file = format!("{place}.keys");
    if Path::new(&keys_file).exists() {
        let keys = StoreKeys::from_hex(&fs::read_to_string(keys_file)?)?;
        return Ok(EmbeddedStore::open(place, &keys)?);
    }
    let keys = StoreKeys::generate()?;
    fs::write(keys_file, keys.to_hex().as_bytes())?;
    Ok(EmbeddedStore::create(place, &keys)?)
}

fn import(place: &str, file: &str) -> Result<(), Box<dyn Error>> {
    struct Stages(Option<ImportStage>, Instant);
    impl ImportWatcher for Stages {
        fn progress(&mut self, progress: &ImportProgress) {
            if self.0 != Some(progress.stage) {
                self.0 = Some(progress.stage);
                let rows = progress.rows;
                eprintln!(
                    "{:6.2} s, {rows} rows: {:?}",
                    self.1.elapsed().as_secs_f64(),
                    progress.stage
                );
            }
        }
        fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
            eprintln!("row {}, {}: {}", refused.row, refused.field, refused.reason);
            Ok(())
        }
    }
    let store = open(place)?;
    let start = Instant::now();
    let mut input = File::open(file)?;
    let summary = store.import(&mut input, &ImportOptions::default(), &mut Stages(None, start))?;
    let seconds = start.elapsed().as_secs_f64();
    let cards = store.len()?;
    #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
    let rate = (summary.added + summary.replaced) as f64 / seconds;
    println!("{summary:?} in {seconds:.2} s: {rate:.0} cards/s; {cards} cards in the store");
    Ok(())
}

fn lookup(place: &str, cards: u64, threads: u64) -> Result<(), Box<dyn Error>> {
    let keys = StoreKeys::from_hex(&fs::read_to_string(format!("{place}.keys"))?)?;
    let store = EmbeddedStore::open_read_only(place, &keys)?;
    let bank = BankId::parse(BANK)?;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let store = &store;
            scope.spawn(move || {
                let mut times = Vec::with_capacity(1_000_000);
                let mut random = portfolio::Random(thread + 1);
                let start = Instant::now();
                for i in 0..1_000_000_u64 {
                    let card = random.next() % cards;
                    let reference: CardRef = if i % 2 == 0 {
                        Exid::parse(&exid(card), ExidForm::Strict).expect("right").into()
                    } else {
                        contract_number(card)
                    };
                    let asked = Instant::now();
                    let found = store.resolve(&bank, &reference).expect("sound");
                    times.push(asked.elapsed().as_nanos());
                    assert!(found.is_some());
                }
                let seconds = start.elapsed().as_secs_f64();
                times.sort_unstable();
                let at = |share: usize| times[times.len() * share / 1000];
                let total: u128 = times.iter().sum();
                println!(
                    "mean {} ns, p50 {} ns, p99 {} ns, p99.9 {} ns, {:.2} s in all",
                    total / times.len() as u128,
                    at(500),
                    at(990),
                    at(999),
                    seconds
                );
            });
        }
    });
    Ok(())
}
