//! Searches what debuggers and the system write of a process while it has a key.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use cvv2::Kernel;
use cvv2::secret::Protection;

use crate::elf;
use crate::process::Watched;
use crate::search::{Search, describe, is_nothing, missed, unlike_keys};
use crate::stage::Stage;

/// Dumps a child with keys of one protection in every way; false if a key was found where it must
/// not be, or was not where it must be.
pub(crate) fn run(protection: Protection) -> bool {
    let directory = tempfile::tempdir().expect("there is a place for temporary files");
    let [key, other] = unlike_keys();
    let dumped = Dumped { protection, of_key: Search::new(&key), of_other: Search::new(&other) };
    let mut child = Watched::start(Kernel::detect(), protection, directory.path());
    child.after(Stage::Plant, &other);
    child.after(Stage::Load, &key);
    child.after(Stage::Use, &key);
    // The last thing is a computation, so that the dumps hold the registers that it leaves.
    let loaded = child.after(Stage::Fill, &key).loaded;
    assert_eq!(loaded, Some(protection), "the child gets what it is allowed");

    // `gcore` leaves out what is not to be dumped, as the system does, unless it is told (`-a`) not
    // to: then it takes what root can read.
    let (nothing, readable) =
        (protection < Protection::Locked, protection < Protection::MemfdSecret);
    let mut passed = dumped.by_gcore(&child, directory.path(), &[], nothing);
    passed &= dumped.by_gcore(&child, directory.path(), &["-a"], readable);
    if core_files_come_here() {
        passed &= dumped.by_the_system(child, directory.path(), nothing);
    }
    passed
}

/// A child that forbids core dumps leaves no core file; false if it does.
pub(crate) fn run_without() -> bool {
    if !core_files_come_here() {
        return true;
    }
    let directory = tempfile::tempdir().expect("there is a place for temporary files");
    let mut child = Watched::start(Kernel::detect(), Protection::Wiped, directory.path());
    child.after(Stage::ForbidCoreDumps, &[0; 16]);
    child.abort();
    let count = files(directory.path()).len();
    println!("core dumps forbidden: the system wrote {count} core files");
    count == 0
}

/// What a dump has to show.
struct Dumped {
    protection: Protection,
    of_key: Search,
    of_other: Search,
}

impl Dumped {
    /// Has a debugger write a core file of the child as it stands.
    fn by_gcore(&self, child: &Watched, directory: &Path, args: &[&str], expected: bool) -> bool {
        let name = [&["gcore"], args].concat().join(" ");
        let (prefix, id) = (directory.join("gcore"), child.id().to_string());
        let mut command = Command::new("gcore");
        command.args(args).arg("-o").args([prefix.as_os_str(), id.as_ref()]);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("SKIPPED: {name} (of gdb) is not installed");
                env::var_os("CVV2_REQUIRE_TOOLS").is_none()
            }
            made => {
                assert!(made.expect("gcore runs").success(), "gcore may look into a child");
                self.shows(&name, &prefix.with_extension(id), expected)
            }
        }
    }

    /// Ends the child by a signal, so that the system writes a core file.
    fn by_the_system(&self, mut child: Watched, directory: &Path, expected: bool) -> bool {
        child.abort();
        let files = files(directory);
        let [file] = files.as_slice() else {
            println!("{}: the system wrote {} core files", self.protection, files.len());
            return false;
        };
        self.shows("core file", file, expected)
    }

    fn shows(&self, name: &str, file: &Path, expected: bool) -> bool {
        let segments = elf::segments(&fs::read(file).expect("it was just written"));
        fs::remove_file(file).expect("it is ours");
        let found = self.of_key.hits(&segments);
        let missed = missed(&self.of_other.hits(&segments));
        println!("{}, {name}: search finds {}", self.protection, describe(&found));
        println!("{}, {name}: of a planted key it misses {missed:?}", self.protection);
        is_nothing(&found) != expected && missed.is_empty()
    }
}

/// Whether the system writes core files to the directory of the process that ends.
fn core_files_come_here() -> bool {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("Linux has it");
    let elsewhere = pattern.contains(['|', '/']);
    if elsewhere {
        println!("SKIPPED: core files of the system go to `{}`", pattern.trim());
    }
    !elsewhere
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is there");
    entries.map(|entry| entry.expect("it can be listed").path()).collect()
}
