//! What a log that is opened again may look like, and what not.

use std::fs::{self, OpenOptions};
use std::io::Write;

use cvv2_service::audit::{AuditError, AuditLog};

use crate::home::{Home, NOW, append, key, key_of};

/// A log of one file that was not closed: its process was killed.
fn home() -> Home {
    let home = Home::new();
    let log = home.open();
    for number in 0..3 {
        append(&log, &format!("record {number}")).wait().unwrap();
    }
    log.close().unwrap();
    let (path, _) = &home.files().0[0];
    let lines = home.files();
    fs::write(path, lines.lines(0)[..4].concat()).unwrap();
    fs::remove_file(home.anchor()).unwrap();
    home
}

fn refused(home: &Home) -> AuditError {
    AuditLog::open(&home.options(), &key(), || NOW).unwrap_err()
}

#[test]
fn a_torn_end_is_cut_off_and_that_is_recorded() {
    let group = |len| [&[0; 600][..], &vec![b'x'; len], b"\n"].concat();
    let tears = [
        Vec::new(),
        b"{".to_vec(),
        b"{\"sequence\":5,\"time\":\"".to_vec(),
        vec![0; 5000],
        // Pages of a group that were written out of order.
        group(0),
        group(200_000),
    ];
    for tear in tears {
        let home = home();
        let before = home.files();
        let path = &before.0[0].0;
        OpenOptions::new().append(true).open(path).unwrap().write_all(&tear).unwrap();
        let torn = home.files().verify(None).unwrap();
        assert_eq!((torn.torn_bytes, torn.head.sequence), (tear.len() as u64, 4));

        let log = home.open();
        append(&log, "after").wait().unwrap();
        log.close().unwrap();
        let files = home.files();
        assert_eq!(files.0[0], before.0[0]);
        assert_eq!(files.member(1, 0, "cause"), "start");
        assert_eq!(files.member(1, 0, "cut_bytes"), tear.len().to_string());
        let report = home.verify();
        assert_eq!((report.records, report.torn_bytes), (4, 0));
        assert_eq!(report.cut_bytes, tear.len() as u64);
    }
}

#[test]
fn a_changed_file_is_not_continued_and_not_touched() {
    let home = home();
    let before = home.files();
    let path = &before.0[0].0;
    let bytes = &before.0[0].1;
    let lines = before.lines(0);
    let mut ends: Vec<Vec<u8>> = Vec::new();
    for at in [10, lines[0].len() + 30, bytes.len() - lines[3].len() + 50, bytes.len() - 10] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        ends.push(changed);
    }
    ends.push([&bytes[..], b"not a line\n"].concat());
    ends.push([&bytes[..], lines[3]].concat());
    ends.push([lines[0], lines[2], lines[3]].concat());
    // More than a group ever is.
    ends.push([&bytes[..], &vec![0; (4 << 20) + 1]].concat());
    ends.push(Vec::new());
    ends.push(lines[0][..100].to_vec());
    for changed in ends {
        fs::write(path, &changed).unwrap();
        let refused = refused(&home);
        assert!(matches!(refused, AuditError::Damaged { .. }), "{refused}");
        assert_eq!(fs::read(path).unwrap(), changed);
        assert_eq!(home.files().0.len(), 1);
    }
    fs::write(path, bytes).unwrap();
    home.open();
}

#[test]
fn another_key_or_another_writer_is_refused() {
    let home = home();
    let foreign = AuditLog::open(&home.options(), &key_of(8), || NOW).unwrap_err();
    assert!(matches!(foreign, AuditError::ForeignKey { .. }));
    let log = home.open();
    assert!(matches!(refused(&home), AuditError::Busy { .. }));
    drop(log);
    home.open();
}

#[test]
fn a_file_under_another_name_is_refused() {
    let home = home();
    let path = home.files().0[0].0.clone();
    fs::rename(&path, path.with_file_name("audit-20260102-00000002.jsonl")).unwrap();
    assert!(matches!(refused(&home), AuditError::Damaged { line: 1, .. }));
}
