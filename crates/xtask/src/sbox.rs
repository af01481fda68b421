//! `xtask sbox`: the S-boxes of DES as circuits, from data to Rust, and the search for better data.

mod circuit;
mod data;
mod emit;
mod gate;
mod search;
mod table;

use core::fmt;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{fs, io};

use self::circuit::{Circuit, Flaw};
use self::data::{Circuits, ParseError};
use self::gate::Library;
use self::search::{Outcome, Plan};
use self::table::BOXES;

/// What `xtask sbox` can do.
pub(crate) const USAGE: &str = "\
  sbox            prove the S-box circuits in crates/xtask/data and write them as Rust
  sbox --check    fail if the Rust in src/kernel/bitslice is not what would be written
  sbox --search   look for smaller circuits; keeps them in crates/xtask/data
      --gates lut2|select|lut3   the gates to use (lut3)
      --boxes 1,2,...            the S-boxes (all)
      --minutes M                CPU time for each S-box (10)
      --threads N                S-boxes at a time (1)
      --seed S                   where chance begins (1)
      --data DIR, --out DIR      other places for circuits and Rust, with any of the three";

/// Does what the arguments behind `sbox` ask for.
///
/// # Errors
/// When the arguments are not understood, a file cannot be read or written, a circuit is wrong, or
/// a check fails.
pub(crate) fn run(args: impl IntoIterator<Item = String>) -> Result<(), String> {
    Command::parse(args).and_then(|command| command.run()).map_err(|error| error.to_string())
}

#[derive(Clone, Debug)]
struct Command {
    task: Task,
    data: PathBuf,
    out: PathBuf,
}

#[derive(Clone, Debug)]
enum Task {
    Check,
    Emit,
    Search(Plan),
}

impl Command {
    fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut data = crate_root.join("data");
        let mut out = crate_root.join("../../src/kernel/bitslice");
        let mut plan = Plan {
            library: Library::Lut3,
            boxes: (0..BOXES).collect(),
            time: Duration::from_mins(10),
            threads: 1,
            seed: 1,
        };
        let (mut check, mut search, mut planned) = (false, false, false);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = String::new();
            let known = match arg.as_str() {
                "--check" | "--search" => {
                    check |= arg == "--check";
                    search |= arg == "--search";
                    Some(())
                }
                _ => {
                    value = args.next().unwrap_or_default();
                    planned |= arg != "--data" && arg != "--out";
                    match arg.as_str() {
                        "--data" => parse_folder(&value).map(|folder| data = folder),
                        "--out" => parse_folder(&value).map(|folder| out = folder),
                        "--gates" => parse_gates(&value).map(|library| plan.library = library),
                        "--boxes" => parse_boxes(&value).map(|boxes| plan.boxes = boxes),
                        "--minutes" => parse_minutes(&value).map(|time| plan.time = time),
                        "--threads" => parse_threads(&value).map(|count| plan.threads = count),
                        "--seed" => value.parse().ok().map(|seed| plan.seed = seed),
                        _ => None,
                    }
                }
            };
            known.ok_or_else(|| Error::Argument { what: format!("{arg} {value}") })?;
        }
        let task = match (check, search) {
            (false, true) => Task::Search(plan),
            (true, false) if !planned => Task::Check,
            (false, false) if !planned => Task::Emit,
            _ => {
                return Err(Error::Argument {
                    what: "a search that is also something else".into(),
                });
            }
        };
        Ok(Self { task, data, out })
    }

    fn run(&self) -> Result<(), Error> {
        match &self.task {
            Task::Check => self.emit(|path, source| match fs::read_to_string(path) {
                Ok(text) if text == source => Ok(()),
                Ok(_) => Err(Error::Stale { path: path.into() }),
                Err(cause) => Err(Error::File { path: path.into(), cause }),
            }),
            Task::Emit => self.emit(|path, source| {
                data::save(path, source).map_err(|cause| Error::File { path: path.into(), cause })
            }),
            Task::Search(plan) => self.search(plan),
        }
    }

    /// Proves all circuits, and gives each Rust file that comes from them to `each`.
    fn emit(&self, each: impl Fn(&Path, &str) -> Result<(), Error>) -> Result<(), Error> {
        for library in Library::ALL {
            let circuits = self.load(library)?;
            println!("{:6} {}", library.name(), Sizes(&circuits));
            if library != Library::Select {
                let path = self.out.join(format!("sbox_{}.rs", library.name()));
                each(&path, &emit::module(library, &circuits))?;
            }
        }
        Ok(())
    }

    fn search(&self, plan: &Plan) -> Result<(), Error> {
        let path = self.data_path(plan.library);
        let circuits = Mutex::new(self.load(plan.library)?);
        let known = circuits.lock().expect("nobody else has it").clone().map(Some);
        let failed = Mutex::new(Ok(()));
        let outcomes = search::run(plan, &known, |index, circuit| {
            let mut circuits = circuits.lock().expect("no other thread panicked");
            circuits[index].clone_from(circuit);
            if let Err(cause) = data::save(&path, &data::format(plan.library, &circuits)) {
                let error = Error::File { path: path.clone(), cause };
                *failed.lock().expect("no other thread panicked") = Err(error);
            }
        });
        print_outcomes(plan, &outcomes);
        let circuits = circuits.into_inner().expect("no thread panicked");
        println!("{:6} {}", plan.library.name(), Sizes(&circuits));
        failed.into_inner().expect("no thread panicked")
    }

    /// The circuits of the data file, proved.
    fn load(&self, library: Library) -> Result<Circuits, Error> {
        let path = self.data_path(library);
        let text =
            fs::read_to_string(&path).map_err(|cause| Error::File { path: path.clone(), cause })?;
        let circuits =
            data::parse(&text).map_err(|cause| Error::Parse { path: path.clone(), cause })?;
        for (index, circuit) in circuits.iter().enumerate() {
            circuit.prove(library, index).map_err(|flaw| Error::Proof {
                path: path.clone(),
                index,
                flaw,
            })?;
        }
        Ok(circuits)
    }

    fn data_path(&self, library: Library) -> PathBuf {
        self.data.join(format!("sbox_{}.txt", library.name()))
    }
}

/// Why the command failed.
#[derive(Debug)]
#[non_exhaustive]
enum Error {
    /// An argument is not understood.
    Argument {
        /// The argument, with its value.
        what: String,
    },
    /// A file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A data file is not understood.
    Parse {
        /// The file.
        path: PathBuf,
        /// The line and what was expected there.
        cause: ParseError,
    },
    /// A circuit is not the S-box it claims to be.
    Proof {
        /// The file.
        path: PathBuf,
        /// The S-box, 0 for S1.
        index: usize,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A generated file is not what its data says.
    Stale {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { what } => {
                write!(f, "not understood: {what}\nusage: cargo xtask TASK\n\n{USAGE}")
            }
            Self::File { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::Parse { path, cause } => write!(f, "{}: {cause}", path.display()),
            Self::Proof { path, index, flaw } => {
                write!(f, "{}: S{}: {flaw}", path.display(), index + 1)
            }
            Self::Stale { path } => write!(
                f,
                "{} is not what the circuits give; run `cargo xtask sbox` and commit it",
                path.display()
            ),
        }
    }
}

impl core::error::Error for Error {}

/// Gate counts of eight circuits and their average.
struct Sizes<'a>(&'a Circuits);

impl fmt::Display for Sizes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = 0;
        for Circuit { gates, .. } in self.0 {
            total += gates.len();
            write!(f, "{:3}", gates.len())?;
        }
        // An eighth has three decimals.
        write!(f, "   average {}.{:03} gates", total / BOXES, total % BOXES * 1000 / BOXES)
    }
}

fn print_outcomes(plan: &Plan, outcomes: &[Outcome]) {
    println!("\n{} gates: box  before  after  found after  rounds", plan.library.name());
    for outcome in outcomes {
        println!(
            "{:>15}  {:6}  {:5}  {:9.0} s  {:6}",
            format!("S{}", outcome.index + 1),
            outcome.before,
            outcome.after,
            outcome.found.as_secs_f64(),
            outcome.rounds,
        );
    }
}

fn parse_folder(value: &str) -> Option<PathBuf> {
    (!value.is_empty()).then(|| value.into())
}

fn parse_gates(value: &str) -> Option<Library> {
    Library::ALL.into_iter().find(|library| library.name() == value)
}

fn parse_boxes(value: &str) -> Option<Vec<usize>> {
    value
        .split(',')
        .map(|number| number.parse().ok().filter(|n| (1..=BOXES).contains(n)).map(|n| n - 1))
        .collect()
}

fn parse_minutes(value: &str) -> Option<Duration> {
    let minutes: f64 = value.parse().ok()?;
    Duration::try_from_secs_f64(minutes * 60.0).ok()
}

fn parse_threads(value: &str) -> Option<usize> {
    value.parse().ok().filter(|count| (1..=BOXES).contains(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, Error> {
        Command::parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn a_search_can_be_narrowed() {
        let line = "--search --gates select --boxes 8,1 --minutes 0.5 --threads 2 --seed 9";
        let Task::Search(plan) = command(line).expect("the line is right").task else {
            panic!("the line asks for a search");
        };
        assert_eq!(plan.library, Library::Select);
        assert_eq!(plan.boxes, [7, 0]);
        assert_eq!(plan.time, Duration::from_secs(30));
        assert_eq!((plan.threads, plan.seed), (2, 9));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--chekc",
            "--check --search",
            "--check --gates lut2",
            "--boxes 3",
            "--data",
            "--search --boxes 0",
            "--search --boxes 1,,2",
            "--search --boxes 9",
            "--search --gates lut4",
            "--search --minutes -1",
            "--search --minutes inf",
            "--search --threads 0",
            "--search --seed",
        ] {
            assert!(matches!(command(line), Err(Error::Argument { .. })), "{line}");
        }
    }

    /// Writes, checks, spoils and checks again, in a folder of its own.
    #[test]
    fn a_check_fails_when_a_file_is_not_what_would_be_written() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let out = folder.path().display();
        command(&format!("--out {out}")).and_then(|emit| emit.run()).expect("all circuits prove");

        let check = command(&format!("--out {out} --check")).expect("the line is right");
        check.run().expect("nothing has changed");

        let path = folder.path().join("sbox_lut3.rs");
        let source = fs::read_to_string(&path).expect("it has just been written");
        fs::write(&path, source.replacen("n7", "n6", 1)).expect("it is ours");
        assert!(matches!(check.run(), Err(Error::Stale { path: stale }) if stale == path));

        fs::remove_file(&path).expect("it is ours");
        assert!(matches!(check.run(), Err(Error::File { .. })));
    }
}
