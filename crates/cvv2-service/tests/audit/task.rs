//! The test program itself as another process, which writes a log and says what it was told.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use cvv2_service::audit::{AppendError, AuditLog, AuditOptions};

use crate::home::{NOW, append, directory, key, options};

const TASK: &str = "CVV2_AUDIT_TEST_TASK";
const HOME: &str = "CVV2_AUDIT_TEST_HOME";

/// The other process, under `wrapper`, a program that takes a command line behind its arguments.
pub(crate) fn command(wrapper: Option<Command>, home: &Path, task: &str) -> Command {
    let this = env::current_exe().unwrap();
    let mut command = match wrapper {
        None => Command::new(this),
        Some(mut wrapper) => {
            wrapper.arg(this);
            wrapper
        }
    };
    command
        .args(["--exact", "task::of_another_process", "--ignored", "--nocapture", "--quiet"])
        .env(TASK, task)
        .env(HOME, home)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What it has said of this kind, such as the texts of the records that it was told are written.
pub(crate) fn said<'o>(output: &'o str, what: &str) -> Vec<&'o str> {
    // A line that was cut off by its end is none.
    let lines = output.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.filter_map(|line| line.strip_prefix(what)?.strip_prefix(": ")).collect()
}

/// Says something in one call, so that it is said whole.
fn say(what: &str, of: &str) {
    std::io::stdout().lock().write_all(format!("\n{what}: {of}\n").as_bytes()).unwrap();
}

#[test]
#[ignore = "no test of its own: what other tests start as another process"]
fn of_another_process() {
    let Ok(task) = env::var(TASK) else { return };
    let home = PathBuf::from(env::var_os(HOME).unwrap());
    match task.split_once(' ').unwrap() {
        ("load", name) => load(&home, name),
        ("few", name) => few(&home, name),
        ("fill", _) => fill(&home),
        (other, _) => panic!("no such task: {other}"),
    }
}

/// With a redo log if the name begins so.
fn options_of(home: &Path, name: &str) -> AuditOptions {
    AuditOptions { redo: name.starts_with("redo"), ..options(home) }
}

/// Writes from many threads until it is killed.
fn load(home: &Path, name: &str) {
    let options = AuditOptions { file_bytes_max: 64 << 10, ..options_of(home, name) };
    let log = AuditLog::open(&options, &key(), || NOW).unwrap();
    say("begins", name);
    thread::scope(|scope| {
        for worker in 0..16 {
            let log = &log;
            scope.spawn(move || {
                for number in 0.. {
                    let text = format!("{name} {worker} {number}");
                    append(log, &text).wait().unwrap();
                    say("written", &text);
                }
            });
        }
    });
}

/// Writes a few records, one after the other, over the end of a file.
fn few(home: &Path, name: &str) {
    let log = match AuditLog::open(&options_of(home, name), &key(), || NOW) {
        Ok(log) => log,
        Err(error) => return say("not opened", &error.to_string()),
    };
    for number in 0..12 {
        let text = format!("{name} {number}");
        match append(&log, &text).wait() {
            Ok(()) => say("written", &text),
            Err(error) => {
                say("refused", &error.to_string());
                thread::sleep(options(home).retry_interval);
            }
        }
    }
    say("ended", if log.close().is_ok() { "in order" } else { "not in order" });
}

/// Fills the file system that the log is on, which is this process's alone, and makes room again.
fn fill(home: &Path) {
    let disk = directory(home);
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "none"])
        .arg(&disk)
        .status();
    assert!(mounted.unwrap().success());
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![0; 128 << 10]).unwrap();

    let options = AuditOptions { file_bytes_max: 64 << 10, ..options(home) };
    let log = AuditLog::open(&options, &key(), || NOW).unwrap();
    let mut number = 0;
    let mut write = || {
        number += 1;
        let text = format!("record {number}");
        append(&log, &text).wait().inspect(|()| say("written", &text))
    };
    while write().is_ok() {}
    // Nothing gets through while it is full, however often it is tried.
    for _ in 0..20 {
        thread::sleep(options.retry_interval);
        assert!(matches!(write(), Err(AppendError::Failed(_))));
    }
    assert!(log.status().failure.is_some());
    fs::remove_file(ballast).unwrap();
    // It finds out by itself.
    while log.status().failure.is_some() {
        thread::sleep(options.retry_interval);
    }
    for _ in 0..20 {
        write().unwrap();
    }
    log.close().unwrap();
    // Where others can see it.
    let copied = Command::new("cp").arg("-a").arg(&disk).arg(home.join("copy")).status();
    assert!(copied.unwrap().success());
    say("ended", "in order");
}
