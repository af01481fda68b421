//! How fast the embedded store is, every figure beside its peer, in one run.
//!
//! ```text
//! cargo run --release -p cvv2-resolver --example embedded -- CARDS [FOLDER]
//! ```
//!
//! Writes a CSV file of so many invented cards, two identifiers each, in an order that is none of the
//! keys'. Imports it into an empty store, beside the disk's own rate for as large a file. Puts single
//! cards, durably, in turns with the disk's own `fdatasync`. Imports a tenth as many more into that
//! store, and as many again, with nobody beside; and a tenth while two threads look cards up. Looks a
//! million cards up, beside as many bare reads of LMDB in the same file. Ten million cards take some
//! 12 GB of disk in FOLDER, or else in the temporary directory, and some minutes; a hundred thousand
//! are for routine runs.
#![expect(unsafe_code, reason = "the peer maps the file as the store does")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, CardStore, EmbeddedStore, Exid, ExidForm,
    ImportOptions, ImportWatcher, Plastic, RefusedRow, StoreKeys,
};
use heed::EnvOpenOptions;
use heed::types::Bytes;

#[path = "../benches/portfolio/mod.rs"]
mod portfolio;

use portfolio::{BANK, Random, contract_number, exid, pan, write_csv};

type Failable<T> = Result<T, Box<dyn Error>>;

/// How many look-ups, and bare reads.
const LOOKUPS: u64 = 1_000_000;
/// How long single puts and bare `fdatasync`s are measured at a time, each, in how many turns.
const WRITING: Duration = Duration::from_secs(2);
const TURNS: usize = 5;
/// The first card that is put alone: no import has so many.
const FIRST_PUT: u64 = 5_000_000_000;

fn main() -> Failable<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (cards, home) = match &words[..] {
        [cards] => (cards.parse()?, tempfile::tempdir()?),
        [cards, folder] => (cards.parse()?, tempfile::tempdir_in(folder)?),
        _ => return Err("CARDS [FOLDER]".into()),
    };
    let home = home.path();
    let (keys, place) = (StoreKeys::generate()?, home.join("cards"));
    let store = EmbeddedStore::create(&place, &keys)?;

    let (seconds, anonymous) = import(&store, home, 0..cards)?;
    println!("import into an empty store   {} cards/s", rate(cards, seconds));
    println!("  memory beside mapped pages {} MiB at most", anonymous / 1024);
    let bytes = size(&place)?;
    println!("file                         {} bytes a card", bytes / cards);
    println!("  the disk writes as much in {:.1} s", write_bare(home, bytes)?);
    puts(&store, home)?;

    let mut there = cards;
    for more in [cards / 10, cards] {
        let (seconds, anonymous) = import(&store, home, there..there + more)?;
        println!("{more} more into {there}  {} cards/s, {seconds:.1} s", rate(more, seconds));
        println!("  memory beside mapped pages {} MiB at most", anonymous / 1024);
        there += more;
        println!("  the disk writes it all in  {:.1} s", write_bare(home, size(&place)?)?);
    }
    let more = cards / 10;
    let beside = look_up_beside(&store, home, there..there + more)?;
    println!("{more} more beside readers  {} cards/s", rate(more, beside.seconds));
    for reader in beside.readers {
        println!("  a reader meanwhile         {}", reader.times);
        println!(
            "    the longest one had a processor for {} ns, waited for one {} ns, pages read {}",
            reader.longest.ran, reader.longest.waited, reader.longest.read
        );
    }
    drop(store);

    let mut lookups = Vec::new();
    let mut reads = Vec::new();
    for turn in 1..=3 {
        let store = EmbeddedStore::open_read_only(&place, &keys)?;
        lookups.push(look_up(&store, cards, turn, LOOKUPS));
        drop(store);
        reads.push(read_bare(&place, turn)?);
    }
    lookups.sort_by_key(|times| times.mean);
    reads.sort_by_key(|times| times.mean);
    println!("look-up, one thread          {}", lookups[1]);
    println!("bare LMDB                    {}", reads[1]);
    Ok(())
}

/// Writes cards as CSV.
fn csv(home: &Path, cards: Range<u64>) -> Failable<PathBuf> {
    let path = home.join(format!("{}.csv", cards.start));
    let mut file = BufWriter::new(File::create(&path)?);
    write_csv(&mut file, cards)?;
    file.flush()?;
    // What is measured next does not have to share the disk with it.
    file.get_ref().sync_all()?;
    Ok(path)
}

/// Imports cards; returns seconds and the most memory, in KiB, that was not of mapped files.
fn import(store: &EmbeddedStore, home: &Path, cards: Range<u64>) -> Failable<(f64, u64)> {
    let file = csv(home, cards)?;
    let imported = import_file(store, &file);
    fs::remove_file(file)?;
    imported
}

fn import_file(store: &EmbeddedStore, file: &Path) -> Failable<(f64, u64)> {
    let (is_done, most) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Relaxed) {
                most.fetch_max(anonymous(), Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let start = Instant::now();
        let mut input = File::open(file)?;
        let imported = store.import(&mut input, &ImportOptions::default(), &mut NobodyCares);
        let seconds = start.elapsed().as_secs_f64();
        is_done.store(true, Relaxed);
        imported?;
        Ok((seconds, most.load(Relaxed)))
    })
}

/// `RssAnon` of this process, in KiB.
fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let words = line.and_then(|line| line.split_ascii_whitespace().next());
    words.and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// Writes a file of so many bytes, durably; returns seconds.
fn write_bare(home: &Path, bytes: u64) -> Failable<f64> {
    let path = home.join("written");
    let (start, block) = (Instant::now(), vec![7; 256 * 1024]);
    let mut file = File::create(&path)?;
    for _ in 0..bytes / block.len() as u64 {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    let seconds = start.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(seconds)
}

struct Beside {
    seconds: f64,
    readers: Vec<Reader>,
}

struct Reader {
    times: Times,
    /// What came about during the longest look-up.
    longest: Waits,
}

/// Imports cards while two threads look up some that were there before.
fn look_up_beside(store: &EmbeddedStore, home: &Path, cards: Range<u64>) -> Failable<Beside> {
    let is_done = AtomicBool::new(false);
    let before = cards.start;
    let file = csv(home, cards)?;
    thread::scope(|scope| {
        let readers = [1, 2].map(|seed| {
            let is_done = &is_done;
            scope.spawn(move || {
                let (mut random, mut all) = (Random(seed), Vec::new());
                let (mut longest, mut time_of_longest) = (Waits::default(), 0);
                let clock = Waits::open().expect("Linux tells");
                while !is_done.load(Relaxed) {
                    let waits = Waits::so_far(&clock);
                    let time = time_of_one(store, random.next() % before);
                    if time > time_of_longest {
                        (longest, time_of_longest) = (Waits::so_far(&clock).since(waits), time);
                    }
                    all.push(time);
                }
                Reader { times: Times::of(all), longest }
            })
        });
        let imported = import_file(store, &file);
        is_done.store(true, Relaxed);
        let readers = readers.map(|reader| reader.join().expect("a reader does not panic"));
        Ok(Beside { seconds: imported?.0, readers: readers.into() })
    })
}

/// What a thread has waited for.
#[derive(Clone, Copy, Default)]
struct Waits {
    /// How long it had a processor, in nanoseconds.
    ran: u64,
    /// How long it was ready and had no processor, in nanoseconds.
    waited: u64,
    /// Pages that were read from the disk for it.
    read: u64,
}

impl Waits {
    /// The files in which the system tells it of this thread.
    fn open() -> io::Result<[File; 2]> {
        Ok([File::open("/proc/thread-self/schedstat")?, File::open("/proc/thread-self/stat")?])
    }

    fn so_far([schedule, stat]: &[File; 2]) -> Self {
        let number = |file: &File, at: usize| {
            let mut text = [0; 512];
            let len = file.read_at(&mut text, 0).unwrap_or_default();
            let text = String::from_utf8_lossy(&text[..len]);
            // The name of a thread may have blanks; it is in parentheses.
            let words = text.rsplit(')').next().and_then(|text| text.split_whitespace().nth(at));
            words.and_then(|number| number.parse().ok()).unwrap_or_default()
        };
        // The tenth number behind the name is that of major faults.
        Self { ran: number(schedule, 0), waited: number(schedule, 1), read: number(stat, 9) }
    }

    fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran - before.ran,
            waited: self.waited - before.waited,
            read: self.read - before.read,
        }
    }
}

/// Puts single cards, by one thread and by 64, in turns with bare `fdatasync`s of a small append.
fn puts(store: &EmbeddedStore, home: &Path) -> Failable<()> {
    let bank = BankId::parse(BANK)?;
    let next = AtomicU64::new(FIRST_PUT);
    let put = || {
        let card = next.fetch_add(1, Relaxed);
        let plastic =
            Plastic::new(Expiry::parse_yymm("2701").expect("a date"), 1, CardStatus::Active);
        let number = Pan::parse(&pan(card)).expect("a PAN");
        let record = CardRecord::new(number, CardStatus::Active, vec![plastic]).expect("a card");
        store.put(&bank, &[by_exid(card), contract_number(card)], &record).expect("a sound store");
    };
    let mut file = File::create(home.join("synced"))?;
    let (mut syncs, mut by_one, mut by_64) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < WRITING {
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            count += 1;
        }
        syncs.push(rate(count, start.elapsed().as_secs_f64()));
        for (threads, rates) in [(1, &mut by_one), (64, &mut by_64)] {
            let (start, before) = (Instant::now(), next.load(Relaxed));
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        while start.elapsed() < WRITING {
                            put();
                        }
                    });
                }
            });
            let puts = next.load(Relaxed) - before;
            rates.push(rate(puts, start.elapsed().as_secs_f64()));
        }
    }
    let shown = [
        ("fdatasync of the disk", syncs),
        ("puts,  1 at a time", by_one),
        ("puts, 64 at a time", by_64),
    ];
    for (what, mut rates) in shown {
        rates.sort_unstable();
        println!(
            "{what:27}  {} per second ({} to {})",
            rates[TURNS / 2],
            rates[0],
            rates[TURNS - 1]
        );
    }
    Ok(())
}

fn look_up(store: &EmbeddedStore, cards: u64, seed: u64, count: u64) -> Times {
    let mut random = Random(seed);
    Times::of((0..count).map(|_| time_of_one(store, random.next() % cards)).collect())
}

/// The time of one look-up, by EXID or by contract number. The reference is made before: a request
/// has it.
fn time_of_one(store: &EmbeddedStore, card: u64) -> u32 {
    let bank = BankId::parse(BANK).expect("a bank");
    let reference = if card.is_multiple_of(2) { by_exid(card) } else { contract_number(card) };
    let start = Instant::now();
    let found = store.resolve(&bank, &reference).expect("a sound store");
    let time = nanoseconds(start);
    assert!(found.is_some());
    time
}

/// Reads rows of the table of references as they lie there, by their keys in random order.
fn read_bare(place: &Path, seed: u64) -> Failable<Times> {
    let generation = fs::read_dir(place)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.join("data.mdb").exists())
        .ok_or("no generation")?;
    let mut options = EnvOpenOptions::new();
    options.map_size(1 << 40).max_dbs(8);
    // SAFETY: nobody else has the file open: the store of this process was dropped.
    let env = unsafe { options.open(generation) }?;
    let txn = env.read_txn()?;
    let table = env
        .open_databases_and_commit(txn, |opener, txn| {
            let table = opener.open_database::<Bytes, Bytes>(txn, Some("references"))?;
            Ok::<_, heed::Error>(heed::CommitOrAbort::<_, ()>::Commit(table))
        })?
        .unwrap_commit()
        .ok_or("no such table")?;
    let txn = env.read_txn()?;
    let rows = table.len(&txn)?;
    let step = (rows / LOOKUPS).max(1);
    let mut keys = Vec::new();
    for (at, row) in table.iter(&txn)?.enumerate() {
        if (at as u64).is_multiple_of(step) {
            keys.push(row?.0.to_vec());
        }
    }
    let mut random = Random(seed);
    for at in (1..keys.len()).rev() {
        keys.swap(at, usize::try_from(random.next() % (at as u64 + 1))?);
    }
    let mut all = Vec::with_capacity(keys.len());
    for key in &keys {
        let start = Instant::now();
        let found = table.get(&txn, key)?;
        all.push(nanoseconds(start));
        assert!(found.is_some());
    }
    drop(txn);
    env.prepare_for_closing().wait();
    Ok(Times::of(all))
}

fn by_exid(card: u64) -> CardRef {
    Exid::parse(&exid(card), ExidForm::Strict).expect("with its check digit").into()
}

fn nanoseconds(start: Instant) -> u32 {
    u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// Bytes of the store's data files.
fn size(place: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(place)? {
        let data = entry?.path().join("data.mdb");
        bytes += data.metadata().map_or(0, |data| data.len());
    }
    Ok(bytes)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "shown without decimals"
)]
fn rate(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds) as u64
}

/// What many times come to, in nanoseconds.
struct Times {
    mean: u64,
    median: u32,
    p99: u32,
    most: u32,
}

impl Times {
    fn of(mut all: Vec<u32>) -> Self {
        all.sort_unstable();
        let sum: u64 = all.iter().map(|time| u64::from(*time)).sum();
        let at = |percent: usize| all[(all.len() - 1) * percent / 100];
        Self { mean: sum / all.len() as u64, median: at(50), p99: at(99), most: at(100) }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { mean, median, p99, most } = self;
        let rate = 1_000_000_000 / mean;
        write!(f, "{rate} per second, p50 {median} ns, p99 {p99} ns, longest {most} ns")
    }
}

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
        panic!("{refused:?}");
    }
}
