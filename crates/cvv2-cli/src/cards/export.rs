//! `cvv2 cards export`: all cards as CSV, sealed to recipients.
//!
//! The rows go from the store through the seal to the file: what is on disk is ciphertext from its
//! first byte on.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;

use age::x25519::Recipient;
use cvv2_resolver::{BankId, CardRecord, CardRef, CardStore};
use serde_json::json;

use super::progress::Progress;
use super::sealed;
use super::show::yymm;
use crate::args::CardsExportArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;
use crate::store::store_failure;

/// The columns, by the names that an import knows.
const COLUMNS: [&str; 8] =
    ["bank", "pan", "expiry", "exid", "contract_number", "status", "sequence", "plastic_status"];

/// Cards between two looks at the clock.
const CARDS_PER_LOOK: u64 = 1024;

/// Writes all cards to a new file or to standard output.
pub(super) fn run(
    args: &CardsExportArgs,
    store: &dyn CardStore,
    print: Print,
) -> Result<Answer, Failure> {
    let recipients = sealed::recipients(&args.recipients)?;
    let number = recipients.len();
    if args.file == Path::new("-") {
        let out = io::stdout().lock();
        if out.is_terminal() {
            return Err(Failure::bad_input(
                "a sealed export is nothing to look at; name a file, or send it on through a pipe",
            ));
        }
        let (_, cards) = export(store, &recipients, out).map_err(|e| e.of(Path::new("-")))?;
        eprintln!("cvv2: {cards} cards, sealed to {number} recipients");
        return Ok(Answer::Done);
    }
    let cards = export_to_file(store, &recipients, &args.file)?;
    let file = args.file.display();
    print.answer(
        format_args!("{file} holds {cards} cards, sealed to {number} recipients"),
        &json!({ "file": args.file, "cards": cards, "recipients": number }),
    )?;
    Ok(Answer::Done)
}

/// Makes a file that has its name when it is whole, and gives the number of cards in it.
fn export_to_file(
    store: &dyn CardStore,
    recipients: &[Recipient],
    path: &Path,
) -> Result<u64, Failure> {
    let failed = |error: &io::Error| Failure::file(path, error);
    if path.symlink_metadata().is_ok() {
        // Before all cards are read; the last word is said below.
        return Err(failed(&io::ErrorKind::AlreadyExists.into()));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Of mode 0600.
    let unfinished = tempfile::Builder::new()
        .prefix(".cvv2-export-")
        .tempfile_in(folder)
        .map_err(|e| failed(&e))?;
    let out = BufWriter::new(unfinished.as_file());
    let (out, cards) = export(store, recipients, out).map_err(|e| e.of(path))?;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(File::sync_all)
        .map_err(|e| failed(&e))?;
    unfinished.persist_noclobber(path).map_err(|e| failed(&e.error))?;
    // The name is durable when its folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(&e))?;
    Ok(cards)
}

/// Seals all cards into `out`, and gives it back with their number.
fn export<W: Write>(
    store: &dyn CardStore,
    recipients: &[Recipient],
    out: W,
) -> Result<(W, u64), ExportError> {
    let progress = Progress::of_cards(store.len()?);
    let mut rows = csv::Writer::from_writer(sealed::seal(out, recipients)?);
    rows.write_record(COLUMNS).map_err(io::Error::from)?;
    let (mut cards, mut failed) = (0, None);
    store.each_card(&mut |bank, refs, record| {
        if let Err(error) = write_card(&mut rows, bank, refs, record) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        cards += 1;
        if cards % CARDS_PER_LOOK == 0 {
            progress.show("exporting", cards);
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(io::Error::from(error).into());
    }
    let sealed = rows.into_inner().map_err(csv::IntoInnerError::into_error)?;
    let out = sealed.finish()?;
    progress.finish();
    Ok((out, cards))
}

/// Writes a card as one row, or as one for each of its EXIDs: a row has room for one.
fn write_card<W: Write>(
    rows: &mut csv::Writer<W>,
    bank: &BankId,
    refs: &[CardRef],
    record: &CardRecord,
) -> csv::Result<()> {
    let words = |word: &dyn Fn(&cvv2_resolver::Plastic) -> String| {
        let words: Vec<_> = record.plastics().iter().map(word).collect();
        words.join(" ")
    };
    let expiries = words(&yymm);
    let sequences = words(&|plastic| plastic.sequence().to_string());
    let statuses = words(&|plastic| plastic.status().name().to_owned());
    let numbers: Vec<_> = refs
        .iter()
        .filter(|card| matches!(card, CardRef::ContractNumber(_)))
        .map(CardRef::expose)
        .collect();
    let numbers = zeroize::Zeroizing::new(numbers.join(" "));
    let mut row = |exid: &str, numbers: &str| {
        rows.write_record([
            bank.as_str(),
            record.pan().expose(),
            &expiries,
            exid,
            numbers,
            record.status().name(),
            &sequences,
            &statuses,
        ])
    };
    let mut exids = refs.iter().filter(|card| matches!(card, CardRef::Exid(_)));
    row(exids.next().map_or("", CardRef::expose), &numbers)?;
    exids.try_for_each(|exid| row(exid.expose(), ""))
}

/// Why an export came to nothing.
#[derive(Debug)]
enum ExportError {
    Store(cvv2_resolver::StoreError),
    Output(io::Error),
}

impl ExportError {
    fn of(&self, path: &Path) -> Failure {
        match self {
            Self::Store(error) => store_failure(error),
            Self::Output(error) if path == Path::new("-") => Failure::output(error),
            Self::Output(error) => Failure::file(path, error),
        }
    }
}

impl From<cvv2_resolver::StoreError> for ExportError {
    fn from(error: cvv2_resolver::StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
