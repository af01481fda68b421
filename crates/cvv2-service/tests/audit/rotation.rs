//! Files follow one another, and the chain goes through.

use std::fs;
use std::sync::{Arc, Mutex};

use cvv2_service::audit::{AuditLog, AuditOptions};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::home::{Files, Home, NOW, append, key};

/// A clock that a test sets.
#[derive(Clone)]
struct Hand(Arc<Mutex<OffsetDateTime>>);

impl Hand {
    fn new(now: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    fn set(&self, now: OffsetDateTime) {
        *self.0.lock().unwrap() = now;
    }

    fn open(&self, options: &AuditOptions) -> AuditLog {
        let Self(now) = self.clone();
        AuditLog::open(options, &key(), move || *now.lock().unwrap()).unwrap()
    }
}

fn names(files: &Files) -> Vec<&str> {
    files.0.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn a_file_ends_when_it_has_its_size() {
    let home = Home::new();
    let log = home.open();
    for number in 0..100 {
        append(&log, &format!("record {number}")).wait().unwrap();
    }
    log.close().unwrap();
    let files = home.files();
    let report = home.verify();
    assert_eq!(report.records, 100);
    assert!(report.files > 8);
    for file in 0..files.0.len() {
        let last = files.lines(file).len() - 1;
        let is_newest = file + 1 == files.0.len();
        assert_eq!(files.member(file, last, "event"), "file_end");
        assert_eq!(files.member(file, last, "cause"), if is_newest { "stop" } else { "size" });
        let cause = if file == 0 { "new" } else { "size" };
        assert_eq!(files.member(file, 0, "cause"), cause);
        assert_eq!(files.member(file, 0, "number"), (file + 1).to_string());
        if !is_newest {
            // The last record may go over the size, and the closing line comes after it.
            assert!((4096..4096 + 1000).contains(&files.0[file].1.len()));
            let mac = files.member(file, last, "mac");
            assert_eq!(files.member(file + 1, 0, "previous"), mac);
            let bytes = files.0[file].1.len().to_string();
            assert_eq!(files.member(file + 1, 0, "previous_bytes"), bytes);
        }
    }
}

#[test]
fn a_file_ends_with_its_day() {
    let home = Home::new();
    let options = || AuditOptions { file_bytes_max: 1 << 20, ..home.options() };
    let hand = Hand::new(datetime!(2026-01-02 03:59:59.999999 +4));
    let log = hand.open(&options());
    append(&log, "on the first").wait().unwrap();
    hand.set(datetime!(2026-01-02 04:00 +4));
    append(&log, "on the second").wait().unwrap();
    append(&log, "also on the second").wait().unwrap();
    // Set back, and on.
    hand.set(datetime!(2025-12-31 12:00 UTC));
    append(&log, "by a wrong clock").wait().unwrap();
    log.close().unwrap();
    let log = hand.open(&options());
    append(&log, "after a restart").wait().unwrap();
    hand.set(datetime!(2026-01-04 12:00 UTC));
    append(&log, "on the fourth").wait().unwrap();
    log.close().unwrap();

    let files = home.files();
    assert_eq!(
        names(&files),
        [
            "audit-20260101-00000001.jsonl",
            "audit-20260102-00000002.jsonl",
            "audit-20260102-00000003.jsonl",
            "audit-20260104-00000004.jsonl",
        ]
    );
    let causes: Vec<_> = (0..4).map(|file| files.member(file, 0, "cause")).collect();
    assert_eq!(causes, ["new", "day", "start", "day"]);
    assert_eq!(home.verify().records, 6);

    // And not where that is switched off.
    let log = hand.open(&AuditOptions { daily: false, ..options() });
    hand.set(datetime!(2026-02-01 12:00 UTC));
    append(&log, "much later").wait().unwrap();
    log.close().unwrap();
    assert_eq!(home.files().0.len(), 5);
}

#[test]
fn many_at_once_are_in_the_log_in_their_order() {
    const THREADS: usize = 8;
    const RECORDS: usize = 500;
    let home = Home::new();
    let options =
        AuditOptions { file_bytes_max: 64 << 10, group_records_max: 32, ..home.options() };
    let log = AuditLog::open(&options, &key(), || NOW + Duration::SECOND).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                let pending: Vec<_> =
                    (0..RECORDS).map(|at| append(log, &format!("{thread} {at}"))).collect();
                for pending in pending {
                    pending.wait().unwrap();
                }
            });
        }
    });
    let head = log.head();
    assert_eq!(log.status().queued, 0);
    log.close().unwrap();
    let report = home.verify();
    assert_eq!(report.records, (THREADS * RECORDS) as u64);
    assert_eq!(report.head.sequence, head.sequence + 1, "the closing line");

    let files = home.files();
    let mut next = [0; THREADS];
    for file in 0..files.0.len() {
        for line in files.lines(file) {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            let Some(text) = line["client"].as_str() else { continue };
            let (thread, at) = text.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(at.parse(), Ok(*next));
            *next += 1;
        }
    }
    assert_eq!(next, [RECORDS; THREADS]);
}

#[tokio::test]
async fn a_record_can_be_awaited() {
    let home = Home::new();
    let log = home.open();
    append(&log, "awaited").await.unwrap();
    assert!(home.files().texts().contains("awaited"), "on disk before the answer");
    drop(append(&log, "of a caller who went away"));
    drop(log);
    assert!(home.files().texts().contains("of a caller who went away"));
    assert_eq!(fs::read_dir(home.directory()).unwrap().count(), 2, "the file and the lock");
}
