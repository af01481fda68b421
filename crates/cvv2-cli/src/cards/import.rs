//! `cvv2 cards import`: cards from a CSV file, bad rows left out and reported.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cvv2_resolver::{
    CardImport, ImportError, ImportOptions, ImportProgress, ImportStage, ImportWatcher, RefusedRow,
    dry_run,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{Place, store_failure};
use crate::args::CardsImportArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// How many refused rows are told on standard error; the file of `--refused` has all.
const TOLD_MAX: u64 = 20;

/// Streams the file into the store and sums up.
pub(crate) fn run(args: &CardsImportArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let (mut input, bytes) = open(&args.file)?;
    let mut options = ImportOptions::default();
    options.delimiter = args.delimiter;
    options.begin_anew = args.anew;
    let mut watcher =
        Watcher { progress: Progress::new(bytes), refused: Refused::new(args.refused.as_deref())? };
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
        self.progress.show(progress);
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

/// A bar on a terminal for whatever takes longer than a second.
struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// `bytes` is the length of the input where it is known.
    fn new(bytes: Option<u64>) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let form = "{msg} {bytes} of {total_bytes} {wide_bar} {eta}";
            let bar = ProgressBar::hidden();
            bar.set_style(ProgressStyle::with_template(form).expect("a constant template"));
            if let Some(bytes) = bytes {
                bar.set_length(bytes);
            }
            bar
        });
        Self { bar, start: Instant::now() }
    }

    fn show(&self, progress: &ImportProgress) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() {
            if self.start.elapsed() < Duration::from_secs(1) {
                return;
            }
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_message(match progress.stage {
            ImportStage::Reading => "reading",
            ImportStage::Comparing => "comparing",
            _ => "storing",
        });
        bar.set_position(progress.bytes);
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
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

fn import_failure(path: &Path, error: &ImportError) -> Failure {
    match error {
        ImportError::Store(error) => store_failure(error),
        ImportError::Input(error) => Failure::file(path, error),
        ImportError::Watcher(_) => Failure::system(error),
        ImportError::Unfinished { .. } => Failure::BadInput(format!("{error} by --anew")),
        _ => Failure::BadInput(format!("{}: {error}", path.display())),
    }
}
