//! A machine that fails: what was acknowledged is in the log again when it is opened, though its file
//! was not synced.

use std::fs::{self, OpenOptions};
use std::path::Path;

use cvv2_service::audit::{AuditLog, AuditOptions};

use crate::home::{Home, NOW, append, key};

/// Copies a log as it would be found if of its newest file `lost` bytes had not been synced.
fn failed(home: &Home, lost: u64) -> Home {
    let copy = Home::new();
    fs::create_dir(copy.directory()).unwrap();
    set_private(&copy.directory());
    for entry in fs::read_dir(home.directory()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.directory().join(entry.file_name())).unwrap();
    }
    let newest = home.files().0.pop().unwrap().0;
    let newest = copy.directory().join(newest.file_name().unwrap());
    let file = OpenOptions::new().write(true).open(newest).unwrap();
    file.set_len(file.metadata().unwrap().len() - lost).unwrap();
    copy
}

fn set_private(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
}

fn open(options: &AuditOptions) -> AuditLog {
    AuditLog::open(options, &key(), || NOW).unwrap()
}

#[test]
fn records_that_no_file_has_yet_are_in_the_redo_log() {
    let home = Home::new();
    let options = AuditOptions { redo: true, anchor: None, ..home.options() };
    let log = open(&options);
    let texts: Vec<_> = (0..40).map(|number| format!("record {number}")).collect();
    for text in &texts {
        append(&log, text).wait().unwrap();
    }
    let written = home.files().0.pop().unwrap().1;
    let first_line = written.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let appended = (written.len() - first_line) as u64;
    for lost in (0..=appended).step_by(211) {
        let copy = failed(&home, lost);
        // Whoever opens it next need not have a redo log.
        let redo = lost % 2 == 0;
        let options = AuditOptions { redo, directory: copy.directory(), ..options.clone() };
        let again = open(&options);
        append(&again, "after").wait().unwrap();
        again.close().unwrap();
        let report = copy.files().verify(None).unwrap();
        assert_eq!(report.records, 41, "{lost} bytes were lost");
        let found = copy.files().texts();
        assert!(texts.iter().all(|text| found.contains(text)), "{lost} bytes were lost");
        let left = fs::read_dir(copy.directory()).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(left.into_iter().all(|name| !name.starts_with(".redo")), "it was applied");
    }
    log.close().unwrap();
    assert_eq!(home.files().verify(None).unwrap().records, 40);
}

#[test]
fn a_log_that_is_longer_than_its_redo_log_lacks_nothing() {
    let home = Home::new();
    let options =
        AuditOptions { redo: true, anchor: None, file_bytes_max: 1 << 30, ..home.options() };
    let log = open(&options);
    // Each record has a block of the redo log to itself, so its halves are used four times.
    for number in 0..1000 {
        append(&log, &format!("record {number}")).wait().unwrap();
    }
    let block_records = 200;
    let newest = home.files().0.pop().unwrap().1;
    let lines: Vec<_> = newest.split_inclusive(|byte| *byte == b'\n').collect();
    let lost: usize = lines[lines.len() - block_records..].iter().map(|line| line.len()).sum();
    let copy = failed(&home, lost as u64);
    let options = AuditOptions { directory: copy.directory(), ..options };
    open(&options).close().unwrap();
    assert_eq!(copy.files().verify(None).unwrap().records, 1000);
}
