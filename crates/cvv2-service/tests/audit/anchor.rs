//! What the anchor is for when a log is opened.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cvv2_service::audit::{AnchorOptions, AuditError, AuditLog, AuditOptions};

use crate::home::{Home, NOW, append, key};

fn refused(home: &Home) -> AuditError {
    AuditLog::open(&home.options(), &key(), || NOW).unwrap_err()
}

fn home_with_records() -> Home {
    let home = Home::new();
    for restart in 0..3 {
        let log = home.open();
        append(&log, &format!("record {restart}")).wait().unwrap();
        log.close().unwrap();
    }
    home
}

#[test]
fn a_log_that_was_shortened_is_not_continued() {
    let home = home_with_records();
    let files = home.files();
    let last = files.0.len() - 1;
    let lines = files.lines(last);
    fs::write(&files.0[last].0, lines[..lines.len() - 1].concat()).unwrap();
    let whole = 3 + 2 * 3;
    let shortened = refused(&home);
    let AuditError::Shortened { anchored, last: found, .. } = shortened else {
        panic!("{shortened}")
    };
    assert_eq!((anchored, found), (whole, whole - 1));

    fs::remove_file(&files.0[last].0).unwrap();
    assert!(matches!(refused(&home), AuditError::Shortened { .. }));
    fs::remove_dir_all(home.directory()).unwrap();
    assert!(matches!(refused(&home), AuditError::Shortened { last: 0, .. }));
    // Nobody has to believe that there was a log.
    fs::remove_file(home.anchor()).unwrap();
    home.open();
}

#[test]
fn an_anchor_of_another_log_is_refused() {
    let (home, other) = (home_with_records(), home_with_records());
    fs::copy(other.anchor(), home.anchor()).unwrap();
    assert!(matches!(refused(&home), AuditError::AnchorOfAnother { .. }));
    fs::set_permissions(home.anchor(), fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(refused(&home), AuditError::OpenToOthers { .. }));
}

#[test]
fn the_head_is_anchored_in_time_and_after_so_many_records() {
    let home = Home::new();
    let anchor = AnchorOptions {
        interval: Duration::from_hours(1),
        records_max: 10,
        ..AnchorOptions::new(home.anchor())
    };
    let options = AuditOptions {
        file_bytes_max: 1 << 20,
        anchor: Some(anchor),
        ..AuditOptions::new(home.directory())
    };
    let log = AuditLog::open(&options, &key(), || NOW).unwrap();
    let wait_for = |sequence| {
        while log.status().anchored.is_none_or(|head| head.sequence < sequence) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // Else its thread, if it is slow to start, has one point for both.
    wait_for(1);
    for number in 0..10 {
        append(&log, &format!("record {number}")).wait().unwrap();
    }
    wait_for(11);
    append(&log, "one more").wait().unwrap();
    assert_eq!(log.status().anchored.unwrap().sequence, 11, "not yet");
    log.close().unwrap();
    let report = home.verify();
    // At the start, after ten records, and at the end.
    assert_eq!((report.anchored, report.head.sequence), (3, 13));
}

#[test]
fn an_anchor_that_cannot_be_written_is_refused() {
    let home = Home::new();
    let at = |path| AuditOptions { anchor: Some(AnchorOptions::new(path)), ..home.options() };
    let refused = AuditLog::open(&at("/dev/full".into()), &key(), || NOW).unwrap_err();
    assert!(matches!(refused, AuditError::NotRegular { .. }));
    let missing = home.path().join("not mounted").join("anchor");
    let refused = AuditLog::open(&at(missing), &key(), || NOW).unwrap_err();
    assert!(matches!(refused, AuditError::Io { .. }));
}
