//! A disk that fails, or a process that ends, at each system call: nothing that was not written is
//! acknowledged, and the log goes on.
//!
//! `CVV2_FAULTS=all` fails every call with every error; without it one in five, with one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

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

/// What became of the runs with a fault.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, usize>);

#[test]
#[cfg_attr(not(has_strace), ignore = "needs strace")]
fn stopped_or_failing_at_every_system_call() {
    let all = std::env::var("CVV2_FAULTS").is_ok_and(|faults| faults == "all");
    let mut seen = Seen::default();
    let mut runs = 0;
    for (call, faults) in FAULTS {
        // Once, and from then on.
        for when in ["", "+"] {
            let mut number = 0;
            loop {
                number += 1;
                let mut reached = false;
                for fault in faults {
                    if *fault == "signal=KILL" && when == "+" {
                        continue;
                    }
                    runs += 1;
                    if all || runs % 5 == 0 || number == 1 {
                        let when = format!("{fault}:when={number}{when}");
                        reached |= fail(call, &when, &mut seen);
                    } else {
                        // Whether there are so many calls, another run finds out.
                        reached |= number < 5;
                    }
                }
                if !reached {
                    break;
                }
            }
            assert!(number > 1 || ["ftruncate"].contains(&call), "no {call} was made");
        }
    }
    println!("{seen:?}");
}

/// Writes a log in which a call fails, and then goes on. `false` if there was no such call.
fn fail(call: &str, when: &str, seen: &mut Seen) -> bool {
    let home = Home::new();
    let mut before = vec!["before".to_owned()];
    let log = home.open();
    append(&log, "before").wait().unwrap();
    log.close().unwrap();
    // The start of a group, to be cut off.
    let newest = home.files().0.pop().unwrap().0;
    let torn = [&fs::read(&newest).unwrap()[..], b"{\"sequence\":"].concat();
    fs::write(&newest, torn).unwrap();

    let log = home.path().join("strace.log");
    let output = command(Some(strace(&home, &log, call, when)), home.path(), "few call").output();
    let output = output.unwrap();
    let log = fs::read_to_string(log).unwrap();
    let was_killed = log.contains("killed by SIGKILL");
    let case = format!("{call}: {when}");
    let said_all = String::from_utf8(output.stdout).unwrap();
    let written = said(&said_all, "written");
    let refused = said(&said_all, "refused").len();
    let not_opened = !said(&said_all, "not opened").is_empty();
    assert!(
        was_killed || not_opened || written.len() + refused == 12,
        "{case}: {said_all}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    before.extend(written.iter().map(|&text| text.to_owned()));

    // Whatever happened, the chain is whole, and what was acknowledged is in it.
    let files = home.files();
    let anchor = fs::read(home.anchor()).unwrap();
    let report = files.verify(Some(&anchor)).unwrap_or_else(|error| panic!("{case}: {error}"));
    let texts = files.texts();
    for text in &before {
        assert!(texts.contains(text), "{case}: {text} is missing");
    }
    // What was refused may be in it all the same, if the process ended before it was cut off.
    let records = report.records;
    assert!((before.len() as u64..=before.len() as u64 + 1).contains(&records), "{case}");
    *seen
        .0
        .entry(match (was_killed, not_opened, refused) {
            (true, ..) => "killed",
            (_, true, _) => "not opened",
            (.., 0) => "unharmed",
            (.., 12) => "every record refused",
            _ => "some records refused",
        })
        .or_default() += 1;

    let log = home.open();
    append(&log, "after").wait().unwrap();
    log.close().unwrap();
    let report = home.verify();
    assert_eq!((report.records, report.torn_bytes), (records + 1, 0), "{case}");
    log_says_fault(&home)
}

fn log_says_fault(home: &Home) -> bool {
    let log = fs::read_to_string(home.path().join("strace.log")).unwrap();
    log.contains("(INJECTED)") || log.contains("killed by SIGKILL")
}

/// Fails calls that have to do with the log, no others of the process.
fn strace(home: &Home, log: &Path, call: &str, when: &str) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log);
    let directory = home.directory();
    strace.arg("-P").arg(&directory).arg("-P").arg(home.anchor());
    for name in [".audit.lock", ".audit-next"] {
        strace.arg("-P").arg(directory.join(name));
    }
    for number in 1..=16 {
        strace.arg("-P").arg(directory.join(format!("audit-20260102-{number:08}.jsonl")));
    }
    strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{when}")]);
    strace
}
