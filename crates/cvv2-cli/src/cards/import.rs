//! `cvv2 cards import`: cards from a CSV file, bad rows left out and reported.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cvv2_resolver::{
    ImportError, ImportOptions, ImportProgress, ImportStage, ImportWatcher, RefusedRow, dry_run,
};
use serde_json::json;

use super::progress::Progress;
use super::sealed;
use crate::args::CardsImportArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;
use crate::store::{Place, store_failure};

/// How many refused rows are told on standard error; the file of `--refused` has all.
const TOLD_MAX: u64 = 20;

/// Streams the file into the store and sums up.
pub(super) fn run(args: &CardsImportArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let (mut input, bytes) = open(args)?;
    let mut options = ImportOptions::default();
    options.delimiter = args.delimiter;
    options.begin_anew = args.anew;
    let mut watcher = Watcher {
        progress: Progress::of_bytes(bytes),
        refused: Refused::new(args.refused.as_deref())?,
    };
    let imported = if args.dry_run {
        dry_run(&mut *input, &options, &mut watcher)
    } else {
        place.open()?.import(&mut *input, &options, &mut watcher)
    };
    watcher.progress.finish();
    let summary = imported.map_err(|error| import_failure(&args.file, &error))?;
    watcher.refused.finish()?;

    let (added, replaced, refused) = (summary.added, summary.replaced, summary.refused);
    let verb = if args.dry_run { "would be read" } else { "stored" };
    print.answer(
        format_args!(
            "{} cards {verb}: {added} new, {replaced} replaced; {refused} rows refused",
            added + replaced,
        ),
        &json!({
            "dry_run": args.dry_run, "added": added, "replaced": replaced, "refused": refused,
            "continued": summary.continued,
        }),
    )?;
    Ok(if refused == 0 { Answer::Done } else { Answer::Negative })
}

struct Watcher {
    progress: Progress,
    refused: Refused,
}

impl ImportWatcher for Watcher {
    fn progress(&mut self, progress: &ImportProgress) {
        let stage = match progress.stage {
            ImportStage::Reading => "reading",
            ImportStage::Comparing => "comparing",
            _ => "storing",
        };
        self.progress.show(stage, progress.bytes);
    }

    fn refused(&mut self, refused: &RefusedRow<'_>) -> io::Result<()> {
        self.refused.tell(refused)
    }
}

/// The rows that were left out: the first on standard error, all in a file where one is asked for.
struct Refused {
    count: u64,
    file: Option<RefusedFile>,
}

/// It has its name once it is whole: an import that was cut short is run again with the same
/// arguments.
struct RefusedFile {
    name: PathBuf,
    unfinished: PathBuf,
    rows: csv::Writer<File>,
}

impl Refused {
    fn new(name: Option<&Path>) -> Result<Self, Failure> {
        let file = name.map(RefusedFile::new).transpose()?;
        Ok(Self { count: 0, file })
    }

    fn tell(&mut self, RefusedRow { row, field, reason, .. }: &RefusedRow<'_>) -> io::Result<()> {
        self.count += 1;
        match self.count {
            1..=TOLD_MAX => eprintln!("cvv2: row {row}, {field}: {reason}"),
            n if n == TOLD_MAX + 1 => {
                eprintln!("cvv2: more rows are refused; --refused FILE lists all of them");
            }
            _ => {}
        }
        match &mut self.file {
            Some(file) => Ok(file.rows.write_record([&row.to_string(), *field, *reason])?),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(), Failure> {
        match self.file {
            Some(file) => {
                let name = file.name.clone();
                file.finish().map_err(|error| Failure::file(&name, &error))
            }
            None => Ok(()),
        }
    }
}

impl RefusedFile {
    fn new(name: &Path) -> Result<Self, Failure> {
        if name.exists() {
            return Err(Failure::file(name, &io::ErrorKind::AlreadyExists.into()));
        }
        let mut unfinished = name.as_os_str().to_owned();
        unfinished.push(".part");
        let unfinished = PathBuf::from(unfinished);
        let begin = || {
            let mut rows = csv::Writer::from_writer(File::create(&unfinished)?);
            rows.write_record(["row", "field", "reason"])?;
            Ok(rows)
        };
        let rows = begin().map_err(|error| Failure::file(&unfinished, &error))?;
        Ok(Self { name: name.to_owned(), unfinished, rows })
    }

    fn finish(mut self) -> io::Result<()> {
        self.rows.flush()?;
        fs::rename(&self.unfinished, &self.name)
    }
}

/// Opens the input, and its seal if it has one; its length as far as that is known.
fn open(args: &CardsImportArgs) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    let path = &args.file;
    let (input, bytes): (Box<dyn Read>, _) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(path).map_err(|e| Failure::file(path, &e))?;
        let bytes = file.metadata().map_err(|e| Failure::file(path, &e))?.len();
        (Box::new(file), Some(bytes))
    };
    match &args.identity {
        // What is in the seal is hardly shorter.
        Some(identity) => Ok((sealed::open(path, input, identity)?, bytes)),
        None => Ok((input, bytes)),
    }
}

fn import_failure(path: &Path, error: &ImportError) -> Failure {
    match error {
        ImportError::Store(error) => store_failure(error),
        ImportError::Input(error) => Failure::file(path, error),
        ImportError::Watcher(_) => Failure::system(error),
        ImportError::Unfinished { .. } => Failure::BadInput(format!("{error} by --anew")),
        _ => Failure::BadInput(format!("{}: {error}", path.display())),
    }
}
