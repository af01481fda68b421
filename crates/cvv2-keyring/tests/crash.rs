//! A process that dies, or a disk that fails, in the middle of a change: the keyring is the old one
//! or the new one, whole, and the next change finds its way.
//!
//! `CVV2_KILLS=1000 cargo test -p cvv2-keyring --test crash` kills as often.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use cvv2::key::{Kbpk, ModeOfUse};
use cvv2_keyring::{
    Draft, FileError, FileFault, KeyEntry, Keyring, KeyringError, State, Successor,
};
use support::{bins, block, day, entry, kbpk, kcv, token};
use tempfile::TempDir;

/// Set for the process that changes the keyring: the path of the file.
const FILE: &str = "CVV2_CRASH_FILE";
/// Set too if it is to make one change and end.
const ONCE: &str = "CVV2_CRASH_ONCE";

/// How often a process is killed unless `CVV2_KILLS` says so.
const KILLS: usize = 50;

#[test]
fn killed_at_random_points() {
    if let Some(path) = env::var_os(FILE) {
        return child(Path::new(&path));
    }
    let kills = env::var("CVV2_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let cycle = Cycle::new();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut seen = BTreeMap::<_, usize>::new();
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let before = cycle.at();
        let changes = Changes::start(&cycle.path);
        let wait = random % u64::try_from((cycle.time_of_a_change * 3).as_nanos()).unwrap();
        thread::sleep(Duration::from_nanos(wait));
        let done = changes.kill();

        let after = cycle.at();
        let ahead = (after + STEPS - (before + done) % STEPS) % STEPS;
        assert!(ahead <= 1, "step {before}, then {done} changes acknowledged, then step {after}");
        let left = |name| cycle.folder.path().join(name).exists();
        let what = match (ahead, left(".keyring.toml.new"), left(".keyring.toml.swap")) {
            (0, false, false) => "between changes",
            (0, true, false) => "while the new text was written",
            (0, _, true) => "before the new text took its place",
            (_, _, true) => "before the previous text was kept",
            (_, true, false) => "before the new text's other name was removed",
            (_, false, false) => "before the change was acknowledged",
        };
        *seen.entry(what).or_default() += 1;
    }
    println!("{kills} times killed: {seen:?}");
}

/// One change is made under strace, again and again, until every system call that it makes in the
/// folder has failed once, and been the last one once.
#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn stopped_at_every_system_call() {
    let cycle = Cycle::new();
    for (call, stops) in [
        ("openat", ["error=EIO", "signal=KILL"].as_slice()),
        ("flock", &["error=EIO", "signal=KILL"]),
        ("read", &["error=EIO", "signal=KILL"]),
        ("write", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
        ("fchmod", &["error=EIO", "signal=KILL"]),
        ("fsync", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
        ("/^linkat", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
        ("/^rename", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
        ("/^unlink", &["error=EIO", "signal=KILL"]),
    ] {
        for stop in stops {
            let mut reached = 0;
            while cycle.stop(call, stop, reached + 1) {
                reached += 1;
            }
            assert!(reached > 0, "no {call} was made");
        }
    }
}

#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn what_is_acknowledged_is_on_disk() {
    let cycle = Cycle::new();
    let log = cycle.folder.path().join("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=fsync,write,/^linkat,/^rename", "-o"]).arg(&log);
    let done = changes(Some(strace), &cycle.path).env(ONCE, "1").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let log = fs::read_to_string(log).unwrap();
    let mut calls = log.lines();
    let folder = format!("{}>)", cycle.folder.path().display());
    for (call, of) in [
        ("write(", "/.keyring.toml.new>"),
        ("fsync(", "/.keyring.toml.new>)"),
        ("linkat(", "/.keyring.toml.swap\""),
        ("rename", "RENAME_EXCHANGE"),
        ("rename", "/keyring.toml.previous\""),
        ("fsync(", &folder),
        ("write(1", "change done"),
    ] {
        let made = |line: &str| line.contains(call) && line.contains(of);
        assert!(calls.any(made), "no {call} of {of}, or not in this order:\n{log}");
    }
}

/// The steps of a keyring through imports and rotations, after which it is what it was.
const STEPS: usize = 7;

/// A folder with a keyring, and the texts that it has one after the other.
struct Cycle {
    folder: TempDir,
    path: PathBuf,
    texts: Vec<String>,
    keys: Keys,
    time_of_a_change: Duration,
}

impl Cycle {
    fn new() -> Self {
        // What a killed process has written is the system's to keep, disk or not.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let path = folder.path().join("keyring.toml");
        let other = entry("other", 9, &kbpk());
        let other = KeyEntry { bins: bins(&["512345"]), ..other };
        fs::write(&path, support::text(&[other], &kbpk())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

        let mut texts = Vec::new();
        let keys = Keys::new();
        let start = Instant::now();
        for _ in 0..STEPS {
            texts.push(fs::read_to_string(&path).unwrap());
            keys.change(&path).unwrap();
        }
        let time_of_a_change = start.elapsed() / u32::try_from(STEPS).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), texts[0]);
        Self { folder, path, texts, keys, time_of_a_change }
    }

    /// At which step the keyring is, which has to be whole and to load.
    fn at(&self) -> usize {
        Keyring::read(&self.path, &kbpk()).unwrap();
        let previous = self.folder.path().join("keyring.toml.previous");
        assert!(self.texts.contains(&fs::read_to_string(previous).unwrap()));
        let text = fs::read_to_string(&self.path).unwrap();
        self.texts.iter().position(|step| *step == text).expect("a text of the cycle")
    }

    /// Makes a change that is stopped at the system call of this number, and then one that is not.
    /// `false` if there was no such call.
    fn stop(&self, call: &str, stop: &str, number: usize) -> bool {
        let log = self.folder.path().join("strace.log");
        let before = self.at();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-o"]).arg(&log);
        for name in [
            "",
            ".keyring.lock",
            "keyring.toml",
            "keyring.toml.previous",
            ".keyring.toml.new",
            ".keyring.toml.swap",
        ] {
            strace.arg("-P").arg(self.folder.path().join(name));
        }
        strace.args(["-e", &format!("trace={call}"), "-e"]);
        strace.arg(format!("inject={call}:{stop}:when={number}"));
        let output = changes(Some(strace), &self.path).env(ONCE, "1").output().unwrap();
        let log = fs::read_to_string(log).unwrap();
        let stopped = log.contains("(INJECTED)") || log.contains("killed by SIGKILL");

        let said = String::from_utf8(output.stdout).unwrap();
        let case =
            format!("{call} {number}: {stop}: {said}{}", String::from_utf8_lossy(&output.stderr));
        let after = self.at();
        let [old, new] = [before, (before + 1) % STEPS];
        match said.lines().find(|line| line.starts_with("change ")) {
            Some("change done" | "change unfinished") => assert_eq!(after, new, "{case}"),
            Some("change refused") => assert_eq!(after, old, "{case}"),
            _ => assert!(stop == "signal=KILL" && [old, new].contains(&after), "{case}"),
        }
        self.keys.change(&self.path).unwrap();
        assert_eq!(self.at(), (after + 1) % STEPS, "{case}");
        for name in fs::read_dir(self.folder.path()).unwrap() {
            let name = name.unwrap().file_name();
            let stays = name == ".keyring.lock" || !name.as_encoded_bytes().starts_with(b".");
            assert!(stays, "{case}: left {}", name.display());
        }
        stopped
    }
}

/// A process that makes one change after the other.
struct Changes {
    process: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Changes {
    /// Starts it, and waits until it begins.
    fn start(path: &Path) -> Self {
        let mut process = changes(None, path).stdout(Stdio::piped()).spawn().unwrap();
        let mut says = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.ends_with("begins\n") {
            line.clear();
            assert!(says.read_line(&mut line).unwrap() > 0, "the process ended");
        }
        Self { process, says }
    }

    /// Kills it, and tells how many changes it has acknowledged.
    fn kill(mut self) -> usize {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).unwrap();
        rest.matches("change done\n").count()
    }
}

/// A command that runs this test program as the process that makes changes, under another program
/// or by itself.
fn changes(under: Option<Command>, path: &Path) -> Command {
    let this = env::current_exe().unwrap();
    let mut command = match under {
        None => Command::new(this),
        Some(mut program) => {
            program.arg(this);
            program
        }
    };
    command.args(["--exact", "killed_at_random_points", "--nocapture", "--test-threads=1"]);
    command.env(FILE, path);
    command
}

/// Makes changes of the keyring and says so, until it is killed.
fn child(path: &Path) {
    let say = |what: &str| {
        // One system call, so that what is said is said as a whole.
        std::io::stdout().lock().write_all(format!("\n{what}\n").as_bytes()).unwrap();
    };
    let keys = Keys::new();
    say("begins");
    loop {
        let change = keys.change(path);
        say(match change {
            Ok(_) => "change done",
            Err(KeyringError::File(FileError { fault: FileFault::Unfinished(_), .. })) => {
                "change unfinished"
            }
            Err(_) => "change refused",
        });
        if env::var_os(ONCE).is_some() {
            return;
        }
        change.unwrap();
    }
}

/// The keys that come and go.
struct Keys {
    kbpk: Kbpk,
    first: KeyEntry,
    second: Successor,
}

impl Keys {
    fn new() -> Self {
        let kbpk = kbpk();
        let first = KeyEntry { state: State::Pending, ..entry("first", 1, &kbpk) };
        let second = Successor {
            name: token("second"),
            from: day(100),
            cards_expiring_from: None,
            kcv: kcv(2),
            block: block(2, ModeOfUse::GenerateAndVerify, &kbpk),
        };
        Self { kbpk, first, second }
    }

    /// Takes the keyring one step on.
    fn change(&self, path: &Path) -> Result<Keyring, KeyringError> {
        let mut draft = Draft::open(path, &self.kbpk)?;
        let keys = draft.entries();
        let state = |name: &str| keys.iter().find(|key| *key.name == *name).map(|key| key.state);
        match (state("first"), state("second")) {
            (None, _) => draft.import(self.first.clone())?,
            (Some(State::Pending), _) => draft.set_state("first", State::Active)?,
            (Some(State::Active), None) => draft.rotate("first", self.second.clone())?,
            (_, Some(State::Active)) => draft.set_state("second", State::Retired)?,
            (Some(State::Active), _) => draft.set_state("first", State::Retired)?,
            (_, Some(_)) => draft.remove("second")?,
            (Some(_), None) => draft.remove("first")?,
        }
        draft.commit()
    }
}
