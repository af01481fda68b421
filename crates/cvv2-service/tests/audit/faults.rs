//! A disk that fails, or a process that ends, at each system call: nothing that was not written is
//! acknowledged, and the log goes on.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use crate::home::{Home, append};
use crate::task::{command, said};

/// The calls that are failed, and how.
const FAULTS: [(&str, &[&str]); 9] = [
    ("openat", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("mkdir", &["error=EIO", "signal=KILL"]),
    ("flock", &["error=EIO", "signal=KILL"]),
    ("write", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("pwrite64", &["error=EIO", "signal=KILL"]),
    ("fdatasync", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("fsync", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
    ("ftruncate", &["error=EIO", "signal=KILL"]),
    ("/^rename", &["error=EIO", "error=ENOSPC", "signal=KILL"]),
];

#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn stopped_or_failing_at_every_system_call() {
    let seen = at_every_system_call("few");
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn stopped_or_failing_at_every_system_call_with_a_redo_log() {
    // Calls are counted by thread, and a log that is opened has made each of them, so the writer's
    // first call never fails: some records get through.
    let seen = at_every_system_call("redo-few");
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// How often a log that is written by the task of this name ended how.
fn at_every_system_call(name: &str) -> BTreeMap<&'static str, usize> {
    let mut seen = BTreeMap::<_, usize>::new();
    for (call, faults) in FAULTS {
        for fault in faults {
            // Once, and from then on.
            for when in ["", "+"].iter().filter(|when| *fault != "signal=KILL" || when.is_empty()) {
                let mut number = 1;
                while let Some(ended) = fail(name, call, &format!("{fault}:when={number}{when}")) {
                    *seen.entry(ended).or_default() += 1;
                    number += 1;
                }
                assert!(number > 1, "no {call} was made");
            }
        }
    }
    println!("{name}: {seen:?}");
    seen
}

/// Has a call fail while a log is written, and then goes on. How the writer ended; `None` if it
/// made no such call.
fn fail(name: &str, call: &str, when: &str) -> Option<&'static str> {
    let home = home_with_a_record();
    // The start of a group, to be cut off.
    let newest = home.files().0.pop().unwrap().0;
    let torn = [&fs::read(&newest).unwrap()[..], b"{\"sequence\":"].concat();
    fs::write(&newest, torn).unwrap();

    let (output, log) = run(&home, name, call, &[&format!("{call}:{when}")]);
    let case = format!("{name}, {call}: {when}");
    let was_killed = log.contains("killed by SIGKILL");
    let says = String::from_utf8(output.stdout).unwrap();
    let written = said(&says, "written");
    let refused = said(&says, "refused").len();
    let not_opened = !said(&says, "not opened").is_empty();
    assert!(
        was_killed || not_opened || written.len() + refused == 12,
        "{case}: {says}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // Whatever happened, the chain is whole, and what was acknowledged is in it.
    let anchor = fs::read(home.anchor()).unwrap();
    let verified = home.files().verify(Some(&anchor));
    let records = verified.unwrap_or_else(|error| panic!("{case}: {error}")).records;
    let texts = home.files().texts();
    for text in written.iter().chain(&["before"]) {
        assert!(texts.contains(*text), "{case}: {text} is missing");
    }
    // What was refused may be in it all the same, if the process ended before it was cut off.
    let acknowledged = written.len() as u64 + 1;
    assert!((acknowledged..=acknowledged + 1).contains(&records), "{case}");

    let log_again = home.open();
    append(&log_again, "after").wait().unwrap();
    log_again.close().unwrap();
    let report = home.verify();
    assert_eq!((report.records, report.torn_bytes), (records + 1, 0), "{case}");

    let ended = match (was_killed, not_opened, refused) {
        (true, ..) => "killed",
        (_, true, _) => "not opened",
        (.., 0) => "unharmed",
        (.., 12) => "every record refused",
        _ => "some records refused",
    };
    (was_killed || log.contains("(INJECTED)")).then_some(ended)
}

#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn what_cannot_be_cut_off_belongs_to_no_chain() {
    let home = home_with_a_record();
    let faults = ["fdatasync:error=EIO:when=3", "ftruncate:error=EIO"];
    let (output, _) = run(&home, "few", "fdatasync,ftruncate", &faults);
    let says = String::from_utf8(output.stdout).unwrap();
    let written = said(&says, "written");
    assert_eq!((written.len(), said(&says, "refused").len()), (11, 1), "{says}");

    let report = home.verify();
    assert_eq!((report.records, report.refused, report.cut_bytes), (12, 1, 0));
    assert!(report.abandoned_bytes > 100, "a record that was refused");
    let files = home.files();
    let failed = (0..files.0.len()).find(|&file| files.member(file, 0, "cause") == "failure");
    let failed = failed.unwrap() - 1;

    // It can be changed, as it says nothing. What is before it cannot.
    let end: usize = files.member(failed + 1, 0, "previous_bytes").parse().unwrap();
    let len = files.0[failed].1.len();
    assert_eq!((len - end) as u64, report.abandoned_bytes);
    for at in 0..len {
        let mut changed = files.clone();
        changed.0[failed].1[at] ^= 1;
        assert_eq!(changed.verify(None).is_ok(), at >= end, "byte {at}");
    }
    let log = home.open();
    append(&log, "after").wait().unwrap();
    log.close().unwrap();
    assert_eq!(home.verify().records, 13);
}

/// A record is acknowledged when it, and the name of its file, are on disk.
#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn what_is_acknowledged_is_on_disk() {
    let home = home_with_a_record();
    let (output, log) = run(&home, "few", "write,fdatasync,fsync,/^rename", &[]);
    let says = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said(&says, "written").len(), 12);

    // The second file is the first one of this process, and the third follows when it is full.
    let file = |number| format!("audit-20260102-{number:08}.jsonl");
    let begun = |number| {
        [
            ("write(", ".audit-next>".to_owned()),
            ("fsync(", ".audit-next>".to_owned()),
            ("rename", file(number)),
            ("fsync(", format!("{}>", home.directory().display())),
        ]
    };
    let record = |number| [("write(", file(number)), ("fdatasync(", file(number))];
    let mut calls = log.lines();
    let mut expect = |wanted: &[(&str, String)]| {
        for (call, of) in wanted {
            let made = |line: &str| line.contains(call) && line.contains(of.as_str());
            assert!(calls.any(made), "no {call} of {of}, or not in this order:\n{log}");
        }
    };
    expect(&begun(2));
    let in_second = home.files().lines(1).len() - 2;
    assert!((8..12).contains(&in_second));
    for number in 0..12 {
        if number == in_second {
            expect(&record(2));
            expect(&begun(3));
        }
        expect(&record(if number < in_second { 2 } else { 3 }));
        expect(&[("write(1", format!("written: few {number}"))]);
    }
}

fn home_with_a_record() -> Home {
    let home = Home::new();
    let log = home.open();
    append(&log, "before").wait().unwrap();
    log.close().unwrap();
    home
}

/// Writes a few records in another process, where these calls on the log are traced and some of
/// them fail. What it said, and the trace.
fn run(home: &Home, name: &str, traced: &str, faults: &[&str]) -> (Output, String) {
    let log = home.path().join("strace.log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "64", "-o"]).arg(&log);
    if !faults.is_empty() {
        // No other calls of the process.
        let directory = home.directory();
        strace.arg("-P").arg(&directory).arg("-P").arg(home.anchor());
        for file in [".audit.lock", ".audit-next", ".redo-1", ".redo-2"] {
            strace.arg("-P").arg(directory.join(file));
        }
        for number in 1..=20 {
            strace.arg("-P").arg(directory.join(format!("audit-20260102-{number:08}.jsonl")));
        }
    }
    strace.args(["-e", &format!("trace={traced}")]);
    for fault in faults {
        strace.args(["-e", &format!("inject={fault}")]);
    }
    let output = command(Some(strace), home.path(), &format!("few {name}")).output().unwrap();
    (output, fs::read_to_string(log).unwrap())
}
