//! Steps that another process does, one after the other, until it is killed; and whether everything
//! that it acknowledged is there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::mpsc::channel;
use std::time::Duration;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardImport, CardRecord, CardRef, CardStatus, ContractNumber, EmbeddedStore,
    ImportOptions, ImportWatcher, KeyVersion, NewCard, Plastic, RefusedRow, Resealed, StoreError,
};

use crate::processes::said;

/// A store whose sealing key can be replaced while it is used.
pub(crate) trait Rotating: CardImport {
    fn current_key(&self) -> KeyVersion;
    fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError>;
    fn reseal(&self, rows: usize) -> Result<Resealed, StoreError>;
}

macro_rules! rotating {
    ($store:ty) => {
        impl Rotating for $store {
            fn current_key(&self) -> KeyVersion {
                self.current_key()
            }
            fn begin_rotation(&self, to: KeyVersion) -> Result<(), StoreError> {
                self.begin_rotation(to)
            }
            fn reseal(&self, rows: usize) -> Result<Resealed, StoreError> {
                self.reseal(rows)
            }
        }
    };
}

rotating!(EmbeddedStore);
#[cfg(feature = "postgres")]
rotating!(cvv2_resolver::PostgresStore);

fn bank() -> BankId {
    BankId::parse("IBTF").unwrap()
}

fn references(number: u64) -> [CardRef; 2] {
    ["C", "D"].map(|kind| ContractNumber::parse(&format!("{kind}{number}")).unwrap().into())
}

fn card(number: u64) -> CardRecord {
    let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
    let pan = Pan::parse(&format!("4123{number:012}")).unwrap();
    CardRecord::new(pan, CardStatus::Active, vec![plastic]).unwrap()
}

fn holds(store: &dyn Rotating, number: u64) -> bool {
    references(number)
        .iter()
        .all(|reference| store.resolve(&bank(), reference).unwrap() == Some(card(number)))
}

/// What another process does, one step after the other, by the number of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Puts one card.
    Put,
    /// Puts many, in one step.
    Batch,
    /// Four threads put a card each, and share a commit or not.
    Together,
    /// Imports a file whose rows have nothing to do with each other.
    Import,
    /// Seals some rows again, or begins with a new key.
    Reseal,
}

impl Kind {
    fn of(step: u64) -> Self {
        match step % 16 {
            3 | 9 => Self::Batch,
            5 | 12 => Self::Together,
            7 => Self::Import,
            10 | 14 => Self::Reseal,
            _ => Self::Put,
        }
    }

    /// The numbers of the cards that a step stores.
    fn cards(self, step: u64) -> std::ops::Range<u64> {
        let count = match self {
            Self::Put => 1,
            Self::Batch | Self::Import => 40,
            Self::Together => 4,
            Self::Reseal => 0,
        };
        step * 100..step * 100 + count
    }
}

struct NobodyCares;

impl ImportWatcher for NobodyCares {
    fn refused(&mut self, refused: &RefusedRow<'_>) -> std::io::Result<()> {
        panic!("{refused:?}");
    }
}

fn file_of(cards: std::ops::Range<u64>) -> String {
    let row = |n| format!("IBTF,C{n} D{n},4123{n:012},2701,1\n");
    cards.map(row).fold("bank,contract_number,pan,expiry,sequence\n".to_owned(), |f, r| f + &r)
}

pub(crate) fn do_step(store: &dyn Rotating, step: u64) -> Result<(), Box<dyn std::error::Error>> {
    let kind = Kind::of(step);
    let put = |number| store.put(&bank(), &references(number), &card(number));
    match kind {
        Kind::Put => put(kind.cards(step).start)?,
        Kind::Batch => {
            let cards: Vec<_> =
                kind.cards(step).map(|number| (references(number), card(number))).collect();
            let bank = bank();
            let new: Vec<_> =
                cards.iter().map(|(refs, record)| NewCard { bank: &bank, refs, record }).collect();
            store.put_many(&new)?;
        }
        Kind::Together => std::thread::scope(|scope| {
            let threads = kind.cards(step).map(|number| scope.spawn(move || put(number)));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().try_for_each(|thread| thread.join().unwrap())
        })?,
        Kind::Import => {
            let file = file_of(kind.cards(step));
            store.import(&mut file.as_bytes(), &ImportOptions::default(), &mut NobodyCares)?;
        }
        Kind::Reseal => {
            if store.reseal(100)?.is_all()
                && let Some(next) = store.current_key().next()
                && next.number() <= 10
            {
                store.begin_rotation(next)?;
            }
        }
    }
    Ok(())
}

/// Everything that the steps below `done` have stored is there, and everything fits.
pub(crate) fn assert_whole(store: &dyn Rotating, done: u64, what: &str) {
    for step in 0..=done {
        let mut cards = Kind::of(step).cards(step);
        let count = cards.end - cards.start;
        let there = cards.by_ref().filter(|&number| holds(store, number)).count() as u64;
        if step < done {
            assert_eq!(there, count, "step {step} of {done} was acknowledged; {what}");
        } else if matches!(Kind::of(step), Kind::Batch | Kind::Import) {
            assert!(there == 0 || there == count, "step {step} is half done; {what}");
        }
    }
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{report:?}; {what}");
    assert_eq!(report.references, 2 * report.cards);
}

/// Has another process do one step after the other, and calls `kill` some time after it was started,
/// or after its first step. Returns the number of the first step that it has not acknowledged.
pub(crate) fn kill_after(
    mut task: Command,
    first: u64,
    patience: Duration,
    at_once: bool,
    kill: &dyn Fn(&mut Child),
) -> u64 {
    let mut child = Killed(task.spawn().unwrap());
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let (tell, told) = channel();
    let reader = std::thread::spawn(move || {
        let done = |line: &str| said(line)?.strip_prefix("done ")?.parse::<u64>().ok();
        lines.map_while(Result::ok).filter_map(|line| done(&line)).for_each(|step| {
            // Nobody listens any more, and that is no harm.
            let _ = tell.send(step);
        });
    });
    let mut done = first;
    if !at_once {
        done = told.recv().expect("the other process does at least one step") + 1;
    }
    std::thread::sleep(patience);
    kill(&mut child.0);
    child.0.wait().unwrap();
    reader.join().unwrap();
    told.try_iter().last().map_or(done, |step| step + 1)
}

/// Ends the child even where the test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
