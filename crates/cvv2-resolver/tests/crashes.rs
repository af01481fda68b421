//! Kills and failing disks: nothing that was acknowledged is lost, nothing is half done, and the
//! next open succeeds.
//!
//! `CVV2_KILLS=2000 cargo test --release -p cvv2-resolver --test crashes` kills that often; without
//! it a few dozen kills have to do. `CVV2_FAULTS=all` likewise fails every call.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use cvv2_resolver::{EmbeddedStore, StoreKeys};
use tempfile::TempDir;

mod processes;
mod steps;

use processes::{Task, command, said, say, wrapped};
use steps::{assert_whole, do_step, kill_after};

struct Home {
    directory: PathBuf,
    keys: StoreKeys,
    _dropped_with_it: TempDir,
}

fn home() -> Home {
    let home = tempfile::tempdir().unwrap();
    let mut keys = StoreKeys::generate().unwrap();
    // The store begins with the first of them.
    let directory = home.path().join("cards");
    drop(EmbeddedStore::create(&directory, &keys).unwrap());
    for _ in 0..9 {
        keys.add_sealing().unwrap();
    }
    Home { directory, keys, _dropped_with_it: home }
}

#[test]
fn nothing_acknowledged_is_lost_to_a_kill_and_nothing_is_half_done() {
    let kills: u64 = std::env::var("CVV2_KILLS").map_or(50, |kills| kills.parse().unwrap());
    let mut acknowledged = 0;
    let mut seed = 1_u64;
    for first in (0..kills).step_by(50) {
        // A store that grows for ever would take ever longer to check.
        let home = home();
        let mut done = 0;
        for kill in first..kills.min(first + 50) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let patience = Duration::from_micros(seed >> 33 & 0xFFFF);
            let before = done;
            let task = command(&home.directory, &home.keys, &format!("step {done}"));
            let kill_it = |child: &mut Child| child.kill().unwrap();
            done = kill_after(task, done, patience, kill % 4 == 0, &kill_it);
            acknowledged += done - before;

            let store = EmbeddedStore::open(&home.directory, &home.keys).unwrap();
            assert_whole(&store, done, &format!("kill {kill}"));
        }
        // Whatever was cut short can be brought to its end.
        let store = EmbeddedStore::open(&home.directory, &home.keys).unwrap();
        (done..done + 16).for_each(|step| do_step(&store, step).unwrap());
        assert_whole(&store, done + 16, "afterwards");
    }
    println!("{kills} kills, {acknowledged} acknowledged steps, none lost");
    assert!(acknowledged > kills, "it was killed too early to have done anything");
}

/// Calls of which none may fail unnoticed: by them something gets to the disk. (`ftruncate` also makes
/// pages of secret memory, which are of another kind where it fails, so it may go unnoticed.)
const WRITES: [&str; 9] = [
    "fsync",
    "fdatasync",
    "msync",
    "pwrite64",
    "pwritev",
    "write",
    "writev",
    "rename",
    "ftruncate",
];

/// Calls that may fail without harm, some of them: what cannot be taken away now is taken away
/// later.
const NAMES: [&str; 3] = ["openat", "mkdir", "unlinkat"];

/// Steps that come to all kinds of writing: a put, a batch, an import, sealing again, a new key.
const FAULTY_STEPS: [u64; 5] = [0, 3, 7, 10, 14];

/// `CVV2_FAULTS=all` fails every call with every error; without it, one in three calls that write,
/// with one error or the other.
fn all_faults() -> bool {
    std::env::var("CVV2_FAULTS").is_ok_and(|faults| faults == "all")
}

#[test]
#[cfg_attr(not(has_strace), ignore = "strace is not installed")]
fn a_failing_disk_is_an_error_and_never_an_acknowledgement() {
    let mut failed = 0;
    for step in FAULTY_STEPS {
        let home = home();
        for before in 0..step {
            // What sealing again finds to do.
            let store = EmbeddedStore::open(&home.directory, &home.keys).unwrap();
            do_step(&store, before).unwrap();
        }
        let task = format!("do {step}");
        failed += fail_everywhere(&home, &task, &|directory, is_acknowledged, what| {
            let store = EmbeddedStore::open(directory, &home.keys)
                .unwrap_or_else(|error| panic!("{error}; {what}"));
            assert_whole(&store, step + u64::from(is_acknowledged), what);
            // And without a fault it is done.
            do_step(&store, step).unwrap_or_else(|error| panic!("{error}; {what}"));
            assert_whole(&store, step + 1, what);
        });
    }
    println!("{failed} calls failed, none of them unnoticed");
    assert!(failed > 30, "{failed}");
}

#[test]
#[cfg_attr(not(has_strace), ignore = "strace is not installed")]
fn a_store_that_could_not_be_made_can_be_made_again() {
    let home = home();
    fs::remove_dir_all(&home.directory).unwrap();
    fs::create_dir(&home.directory).unwrap();
    fs::set_permissions(&home.directory, PermissionsExt::from_mode(0o700)).unwrap();
    let failed = fail_everywhere(&home, "create 0", &|directory, is_acknowledged, what| {
        let opened = if is_acknowledged {
            EmbeddedStore::open(directory, &home.keys)
        } else {
            // Whether it is a store already depends on which call has failed.
            EmbeddedStore::create(directory, &home.keys)
                .or_else(|_| EmbeddedStore::open(directory, &home.keys))
        };
        let store = opened.unwrap_or_else(|error| panic!("{error}; {what}"));
        do_step(&store, 0).unwrap_or_else(|error| panic!("{error}; {what}"));
        assert_whole(&store, 1, what);
    });
    assert!(failed > 2, "{failed}");
}

/// Fails every call that a task makes, one in each run, on a copy of the store of its own. Shows
/// each copy to `look`, with whether the task was acknowledged, and returns how many calls failed.
fn fail_everywhere(home: &Home, task: &str, look: &dyn Fn(&Path, bool, &str)) -> usize {
    let mut runs = 0_usize;
    let mut failed = 0;
    let errors = ["EIO", "ENOSPC"];
    for (call, count) in calls_of(home, task) {
        for ordinal in 1..=count {
            runs += 1;
            if !all_faults() && !runs.is_multiple_of(3) {
                continue;
            }
            let errors = if all_faults() { &errors } else { &errors[runs % 2..][..1] };
            for error in errors {
                let what = format!("{error} at {call} {ordinal} of {count} in `{task}`");
                let directory = home.directory.with_file_name("failing");
                copy_directory(&home.directory, &directory);
                let mut strace = Command::new("strace");
                strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
                strace.args(["-e", &format!("inject={call}:error={error}:when={ordinal}")]);
                let output = wrapped(strace, &directory, &home.keys, task).output().unwrap();
                let lines = String::from_utf8(output.stdout).unwrap();
                let is_acknowledged = lines.lines().any(|line| said(line) == Some("done"));
                let may_go_unnoticed = call == "ftruncate" || !WRITES.contains(&call.as_str());
                assert!(!is_acknowledged || may_go_unnoticed, "{what}");
                failed += usize::from(!is_acknowledged);
                look(&directory, is_acknowledged, &what);
                fs::remove_dir_all(&directory).unwrap();
            }
        }
    }
    failed
}

/// How often a thread makes each call in a task, up to its acknowledgement, on a copy of the store.
fn calls_of(home: &Home, task: &str) -> BTreeMap<String, usize> {
    let copy = home.directory.with_file_name("copy");
    copy_directory(&home.directory, &copy);
    let log = home.directory.with_file_name("calls");
    let names = if all_faults() { &NAMES[..] } else { &[] };
    let calls = [&WRITES[..], names].concat();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", log.to_str().unwrap()]);
    strace.args(["-e", &format!("trace={}", calls.join(","))]);
    let output = wrapped(strace, &copy, &home.keys, task).output().unwrap();
    assert!(output.status.success());
    fs::remove_dir_all(&copy).unwrap();
    // Strace counts the calls of each thread.
    let mut of_threads = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        if line.contains("task: done") {
            break;
        }
        let mut words = line.split_whitespace();
        let thread = words.next().unwrap();
        let call = words.next().and_then(|rest| rest.split_once('('));
        if let Some((call, _)) = call.filter(|(call, _)| calls.contains(call)) {
            *of_threads.entry((call.to_owned(), thread.to_owned())).or_insert(0) += 1;
        }
    }
    let mut counts = BTreeMap::new();
    for ((call, _), count) in of_threads {
        let most = counts.entry(call).or_insert(0);
        *most = count.max(*most);
    }
    counts
}

fn copy_directory(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
#[ignore = "no test of its own: what other tests start as another process"]
fn task_of_another_process() {
    let Some(task) = Task::of_this_process() else { return };
    let step = task.words[1].parse().unwrap();
    match task.words[0].as_str() {
        "step" => {
            let store = task.open().unwrap();
            for step in step.. {
                do_step(&store, step).unwrap();
                say(format_args!("done {step}"));
            }
        }
        "do" => {
            let store = task.open().unwrap();
            do_step(&store, step).unwrap();
            say("done");
        }
        "create" => {
            drop(task.create().unwrap());
            say("done");
        }
        task => panic!("no such task: {task}"),
    }
}
