//! `cvv2 cards import`: cards from a CSV file, bad rows left out and reported.

use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use csv::StringRecord;
use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStore, ContractNumber, EmbeddedStore, Exid, ExidForm, NewCard,
    Plastic, PutOutcome,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Place, add, store_failure};
use crate::args::CardsImportArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// How many cards go into one transaction.
const BATCH: usize = 4096;
/// How many refused rows are told on standard error; the file of `--refused` has all.
const TOLD_MAX: u64 = 20;

/// Streams the file into the store and sums up.
pub(crate) fn run(args: &CardsImportArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let (input, bytes) = open(&args.file)?;
    let mut progress = Progress::new(bytes);
    // The csv crate gives no way to wipe its buffers: the reader's, and that of a record, hold rows
    // of the input file and are freed as they are.
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(args.delimiter)
        .flexible(true)
        .from_reader(progress.counting(input));
    let headers = csv.headers().map_err(|e| csv_failure(&args.file, &e))?;
    let columns = Columns::of(headers)
        .map_err(|why| Failure::BadInput(format!("{}: {why}", args.file.display())))?;
    let mut import = Import {
        store: if args.dry_run { None } else { Some(place.open()?) },
        refused: Refused::new(args.refused.as_deref())?,
        batch: Vec::with_capacity(BATCH),
        added: 0,
        replaced: 0,
    };

    let mut record = StringRecord::new();
    let mut row = 1;
    loop {
        // Row 1 is the header, as spreadsheets count.
        row += 1;
        match csv.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => match columns.card(&record) {
                Ok(card) => import.take(row, card)?,
                Err(flaw) => import.refused.tell(row, &flaw)?,
            },
            Err(error) => match error.kind() {
                csv::ErrorKind::Utf8 { .. } => {
                    import.refused.tell(row, &Flaw::new("row", "not UTF-8"))?;
                }
                _ => return Err(csv_failure(&args.file, &error)),
            },
        }
        progress.tick();
    }
    import.flush()?;
    progress.finish();
    import.refused.finish()?;

    let Import { added, replaced, refused, .. } = import;
    let verb = if args.dry_run { "would be read" } else { "stored" };
    print.answer(
        format_args!(
            "{} cards {verb}: {added} new, {replaced} replaced; {} rows refused",
            added + replaced,
            refused.count
        ),
        &json!({
            "dry_run": args.dry_run, "added": added, "replaced": replaced,
            "refused": refused.count,
        }),
    )?;
    Ok(if refused.count == 0 { Answer::Done } else { Answer::Negative })
}

/// A card of one row.
struct Card {
    bank: BankId,
    refs: Vec<CardRef>,
    record: CardRecord,
}

/// Why a row was refused: a field and a reason, never what was in it.
struct Flaw {
    field: &'static str,
    reason: String,
}

impl Flaw {
    fn new(field: &'static str, reason: impl Display) -> Self {
        Self { field, reason: reason.to_string() }
    }
}

/// Where each field is, by header name.
struct Columns {
    bank: usize,
    pan: usize,
    expiry: usize,
    exid: Option<usize>,
    contract_number: Option<usize>,
    status: Option<usize>,
    sequence: Option<usize>,
}

impl Columns {
    const NAMES: [&str; 7] =
        ["bank", "pan", "expiry", "exid", "contract_number", "status", "sequence"];

    fn of(headers: &StringRecord) -> Result<Self, String> {
        // Spreadsheets start UTF-8 files with a byte-order mark.
        let names: Vec<_> = headers
            .iter()
            .map(|name| name.trim_start_matches('\u{FEFF}').trim().to_ascii_lowercase())
            .collect();
        let known = Self::NAMES.join(", ");
        for (i, name) in names.iter().enumerate() {
            if !Self::NAMES.contains(&name.as_str()) {
                return Err(format!(
                    "column {} of the header row is none of {known}; is the delimiter right?",
                    i + 1
                ));
            }
            if names[..i].contains(name) {
                return Err(format!("the column {name} is there twice"));
            }
        }
        let find = |name| names.iter().position(|n| n == name);
        let need = |name| find(name).ok_or_else(|| format!("the column {name} is missing"));
        let columns = Self {
            bank: need("bank")?,
            pan: need("pan")?,
            expiry: need("expiry")?,
            exid: find("exid"),
            contract_number: find("contract_number"),
            status: find("status"),
            sequence: find("sequence"),
        };
        if columns.exid.or(columns.contract_number).is_none() {
            return Err("neither a column exid nor contract_number is there".to_owned());
        }
        Ok(columns)
    }

    fn card(&self, row: &StringRecord) -> Result<Card, Flaw> {
        let at = |column: usize| row.get(column).map_or("", str::trim);
        let optional = |column: Option<usize>| column.map(at).filter(|text| !text.is_empty());

        let bank = BankId::parse(at(self.bank)).map_err(|e| Flaw::new("bank", e))?;
        let pan = Pan::parse(at(self.pan)).map_err(|e| Flaw::new("pan", e))?;
        let status = add::status(optional(self.status)).map_err(|e| Flaw::new("status", e))?;
        let mut refs = Vec::with_capacity(2);
        if let Some(exid) = optional(self.exid) {
            let exid = Exid::parse(exid, ExidForm::Any).map_err(|e| Flaw::new("exid", e))?;
            refs.push(exid.into());
        }
        for number in optional(self.contract_number).unwrap_or("").split_ascii_whitespace() {
            let number =
                ContractNumber::parse(number).map_err(|e| Flaw::new("contract_number", e))?;
            refs.push(number.into());
        }
        if refs.is_empty() {
            return Err(Flaw::new("exid", "neither exid nor contract_number; give one"));
        }

        // Two plastics circulate during renewal: several expiries, and as many sequence numbers.
        let expiries: Vec<_> = at(self.expiry).split_ascii_whitespace().collect();
        let sequences: Vec<_> =
            optional(self.sequence).unwrap_or("").split_ascii_whitespace().collect();
        if !sequences.is_empty() && sequences.len() != expiries.len() {
            return Err(Flaw::new("sequence", "give as many as expiries, or none"));
        }
        let mut plastics = Vec::with_capacity(expiries.len());
        for (i, expiry) in expiries.iter().enumerate() {
            let expiry = Expiry::parse_yymm(expiry).map_err(|e| Flaw::new("expiry", e))?;
            let sequence = match sequences.get(i) {
                None => 0,
                Some(text) => {
                    text.parse().map_err(|_| Flaw::new("sequence", "not a number 0 to 255"))?
                }
            };
            plastics.push(Plastic::new(expiry, sequence, status));
        }
        let record = CardRecord::new(pan, status, plastics).map_err(|e| Flaw::new("expiry", e))?;
        Ok(Card { bank, refs, record })
    }
}

struct Import {
    /// `None` in a dry run.
    store: Option<EmbeddedStore>,
    refused: Refused,
    batch: Vec<(u64, Card)>,
    added: u64,
    replaced: u64,
}

impl Import {
    fn take(&mut self, row: u64, card: Card) -> Result<(), Failure> {
        self.batch.push((row, card));
        if self.batch.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Stores what has been collected, in one transaction.
    fn flush(&mut self) -> Result<(), Failure> {
        let Some(store) = &self.store else {
            self.added += self.batch.drain(..).count() as u64;
            return Ok(());
        };
        let cards: Vec<_> = self
            .batch
            .iter()
            .map(|(_, Card { bank, refs, record })| NewCard { bank, refs, record })
            .collect();
        let outcomes = store.put_many(&cards).map_err(|e| store_failure(&e))?;
        for ((row, _), outcome) in self.batch.drain(..).zip(outcomes) {
            match outcome {
                PutOutcome::Added => self.added += 1,
                PutOutcome::Replaced => self.replaced += 1,
                PutOutcome::Taken { .. } => {
                    let reason = "an identifier belongs to another card of the bank";
                    self.refused.tell(row, &Flaw::new("exid or contract_number", reason))?;
                }
                PutOutcome::References { count } => {
                    let reason = format!("the card would have {count} identifiers");
                    self.refused.tell(row, &Flaw::new("contract_number", reason))?;
                }
                _ => self.refused.tell(row, &Flaw::new("row", "the store refused it"))?,
            }
        }
        Ok(())
    }
}

/// The rows that were left out: the first on standard error, all in a file where one is asked for.
struct Refused {
    count: u64,
    file: Option<csv::Writer<File>>,
}

impl Refused {
    fn new(path: Option<&Path>) -> Result<Self, Failure> {
        let file = path
            .map(|path| {
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(path)
                    .map_err(|e| Failure::file(path, &e))?;
                let mut writer = csv::Writer::from_writer(file);
                writer
                    .write_record(["row", "field", "reason"])
                    .map_err(|e| csv_failure(path, &e))?;
                Ok(writer)
            })
            .transpose()?;
        Ok(Self { count: 0, file })
    }

    fn tell(&mut self, row: u64, Flaw { field, reason }: &Flaw) -> Result<(), Failure> {
        self.count += 1;
        match self.count {
            1..=TOLD_MAX => eprintln!("cvv2: row {row}, {field}: {reason}"),
            n if n == TOLD_MAX + 1 => {
                eprintln!("cvv2: more rows are refused; --refused FILE lists all of them");
            }
            _ => {}
        }
        match &mut self.file {
            Some(file) => file
                .write_record([&row.to_string(), *field, reason])
                .map_err(|e| Failure::System(format!("the file of refused rows: {e}"))),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match &mut self.file {
            Some(file) => {
                file.flush().map_err(|e| Failure::System(format!("the file of refused rows: {e}")))
            }
            None => Ok(()),
        }
    }
}

/// A bar on a terminal for whatever takes longer than a second.
struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// `bytes` is the length of the input where it is known.
    fn new(bytes: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let form = "{bytes} of {total_bytes} {wide_bar} {eta}";
            let bar = ProgressBar::hidden();
            bar.set_style(ProgressStyle::with_template(form).expect("a constant template"));
            if let Some(bytes) = bytes {
                bar.set_length(bytes);
            }
            bar
        });
        Self { bar, start: Instant::now() }
    }

    /// `input`, with what is read of it counted.
    fn counting(&self, input: Box<dyn Read>) -> Box<dyn Read> {
        match &self.bar {
            Some(bar) => Box::new(bar.wrap_read(input)),
            None => input,
        }
    }

    fn tick(&mut self) {
        if let Some(bar) = &self.bar
            && bar.is_hidden()
            && self.start.elapsed() > Duration::from_secs(1)
        {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(path).map_err(|e| Failure::file(path, &e))?;
    let bytes = file.metadata().map_err(|e| Failure::file(path, &e))?.len();
    Ok((Box::new(file), Some(bytes)))
}

fn csv_failure(path: &Path, error: &csv::Error) -> Failure {
    match error.kind() {
        csv::ErrorKind::Io(error) => Failure::file(path, error),
        _ => Failure::BadInput(format!("{}: {error}", path.display())),
    }
}
