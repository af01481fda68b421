//! Whatever is done to a log is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cvv2_service::audit::{Fault, Verifier, VerifyError};

use crate::home::{Files, Home, append, key, key_of};

/// Records of a log that has two files, and of one that has three.
const TWO_FILES: u64 = 11;
const THREE_FILES: u64 = 21;
/// The last line of a log of three files: each has a first and a last line besides records.
const LAST: u64 = THREE_FILES + 2 * 3;

/// A log, and its anchor, which knows the last line.
fn log(records: u64) -> (Files, Vec<u8>) {
    let home = Home::new();
    let log = home.open();
    for number in 0..records {
        append(&log, &format!("record {number}")).wait().unwrap();
    }
    log.close().unwrap();
    let files = home.files();
    assert_eq!(files.0.len(), if records == TWO_FILES { 2 } else { 3 });
    (files, fs::read(home.anchor()).unwrap())
}

/// What is found, where, without an anchor and with it.
#[track_caller]
fn found(files: &Files, anchor: Option<&[u8]>) -> (usize, u64, Fault) {
    match files.verify(anchor) {
        Err(VerifyError::Found(finding)) => {
            let file = files.0.iter().position(|(path, _)| *path == finding.path).unwrap();
            (file, finding.line, finding.fault)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_that_nobody_touched_is_whole() {
    let (files, anchor) = log(THREE_FILES);
    let report = files.verify(Some(&anchor)).unwrap();
    assert_eq!((report.files, report.records, report.first), (3, THREE_FILES, 1));
    assert!(report.is_closed && report.torn_bytes == 0 && report.abandoned_bytes == 0);
    assert_eq!(report.head.sequence, LAST);
    assert!(report.anchored > 0);
}

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let (mut files, anchor) = log(TWO_FILES);
    let last = TWO_FILES + 2 * 2;
    for file in 0..2 {
        let mut line = 1;
        for at in 0..files.0[file].1.len() {
            let byte = files.0[file].1[at];
            for bit in 0..8 {
                files.0[file].1[at] = byte ^ (1 << bit);
                if file == 1 && at + 1 == files.0[file].1.len() {
                    // Without its end the line may be one that was being written.
                    let report = files.verify(None).unwrap();
                    assert_eq!(report.head.sequence, last - 1);
                    assert!(report.torn_bytes > 100);
                    let fault = found(&files, Some(&anchor)).2;
                    assert_eq!(fault, Fault::Truncated { last: last - 1, anchored: last });
                } else {
                    let (in_file, in_line, _) = found(&files, None);
                    assert_eq!((in_file, in_line), (file, line), "bit {bit} of byte {at}");
                }
            }
            files.0[file].1[at] = byte;
            line += u64::from(byte == b'\n');
        }
    }
}

#[test]
fn every_cut_is_found_against_the_anchor() {
    let (files, anchor) = log(THREE_FILES);
    for file in 0..files.0.len() {
        for len in 0..files.0[file].1.len() {
            let mut cut = files.clone();
            cut.0.truncate(file + 1);
            cut.0[file].1.truncate(len);
            let fault = found(&cut, Some(&anchor)).2;
            let is_cut = matches!(fault, Fault::Truncated { anchored: LAST, .. });
            assert!(is_cut || fault == Fault::NoHeader, "{fault}");
            // And with the files behind it in place, without an anchor.
            if file < 2 {
                let mut cut = files.clone();
                cut.0[file].1.truncate(len);
                found(&cut, None);
            }
        }
    }
}

#[test]
fn every_removed_doubled_or_moved_line_is_found() {
    let (files, anchor) = log(THREE_FILES);
    for file in 0..3 {
        let lines: Vec<_> = files.lines(file);
        let with = |lines: &[&[u8]]| {
            let mut changed = files.clone();
            changed.0[file].1 = lines.concat();
            changed
        };
        let sequence =
            |line: usize| -> u64 { files.member(file, line, "sequence").parse().unwrap() };
        for at in 0..lines.len() {
            let number = at as u64 + 1;
            let mut less = lines.clone();
            less.remove(at);
            let less = with(&less);
            if at + 1 < lines.len() || file < 2 {
                let expected = match at {
                    0 => Fault::NoHeader,
                    _ => Fault::Removed { first: sequence(at), last: sequence(at) },
                };
                let place = if at + 1 < lines.len() { (file, number) } else { (file + 1, 1) };
                assert_eq!(found(&less, None), (place.0, place.1, expected));
            } else {
                less.verify(None).unwrap();
                let truncated = Fault::Truncated { last: LAST - 1, anchored: LAST };
                assert_eq!(found(&less, Some(&anchor)).2, truncated);
            }

            let mut more = lines.clone();
            more.insert(at, lines[at]);
            let moved = Fault::Moved { expected: sequence(at) + 1, found: sequence(at) };
            assert_eq!(found(&with(&more), None), (file, number + 1, moved));

            for other in at + 1..lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(at, other);
                let fault = match at {
                    0 => Fault::NoHeader,
                    _ => Fault::Moved { expected: sequence(at), found: sequence(other) },
                };
                assert_eq!(found(&with(&swapped), None), (file, number, fault));

                let mut gap = lines.clone();
                gap.drain(at..other);
                let fault = match at {
                    0 => Fault::NoHeader,
                    _ => Fault::Removed { first: sequence(at), last: sequence(other) - 1 },
                };
                assert_eq!(found(&with(&gap), None), (file, number, fault));
            }
        }
    }
}

#[test]
fn every_removed_doubled_or_moved_file_is_found() {
    let (files, anchor) = log(THREE_FILES);
    let with = |order: &[usize]| Files(order.iter().map(|&at| files.0[at].clone()).collect());
    let first: Vec<u64> =
        (0..3).map(|file| files.member(file, 0, "sequence").parse().unwrap()).collect();
    let removed = Fault::Removed { first: first[1], last: first[2] - 1 };
    assert_eq!(found(&with(&[0, 2]), None), (1, 1, removed));
    let late = Fault::BeginsLate { first: first[1] };
    assert_eq!(found(&with(&[1, 2]), None), (0, 1, late));
    let doubled = Fault::Moved { expected: first[2], found: first[1] };
    assert_eq!(found(&with(&[0, 1, 1, 2]), None).2, doubled);
    let swapped = Fault::Removed { first: first[1], last: first[2] - 1 };
    assert_eq!(found(&with(&[0, 2, 1]), None), (1, 1, swapped));
    with(&[0, 1]).verify(None).unwrap();
    let truncated = Fault::Truncated { last: first[2] - 1, anchored: LAST };
    assert_eq!(found(&with(&[0, 1]), Some(&anchor)).2, truncated);

    let partial = || Verifier::new(&key()).unwrap().partial();
    let report = with(&[1, 2]).verify_by(partial()).unwrap();
    assert_eq!((report.first, report.head.sequence), (first[1], LAST));
    assert!(with(&[1]).verify_by(partial()).is_ok());
    assert!(matches!(with(&[]).verify(None).unwrap_err(), VerifyError::NoFile));
}

#[test]
fn another_key_and_another_log_are_told_apart() {
    let (files, anchor) = log(THREE_FILES);
    let foreign = files.verify_by(Verifier::new(&key_of(8)).unwrap()).unwrap_err();
    assert!(matches!(foreign, VerifyError::Found(finding) if finding.fault == Fault::ForeignKey));

    let (other, other_anchor) = log(THREE_FILES);
    assert_eq!(found(&files, Some(&other_anchor)).2, Fault::OtherChain);
    let mixed = Files(vec![files.0[0].clone(), other.0[1].clone(), files.0[2].clone()]);
    assert_eq!(found(&mixed, None), (1, 1, Fault::OtherChain));
    let unknown = String::from_utf8(files.0[0].1.clone()).unwrap().replace("audit-1", "audit-2");
    let unknown = Files(vec![(files.0[0].0.clone(), unknown.into_bytes())]);
    assert_eq!(found(&unknown, None), (0, 1, Fault::UnknownFormat));

    // A point of the anchor that is not before the one that it stands behind.
    let text = String::from_utf8(anchor).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.reverse();
    if lines.len() > 1 {
        let reversed = files.verify(Some(lines.join("\n").as_bytes())).unwrap_err();
        assert!(matches!(reversed, VerifyError::Anchor { line: 2 }), "{reversed}");
    }
}

#[test]
fn a_log_that_was_set_back_and_continued_is_found() {
    let home = Home::new();
    let log = home.open();
    append(&log, "first").wait().unwrap();
    log.close().unwrap();
    let copy = home.files();
    let log = home.open();
    append(&log, "to be hidden").wait().unwrap();
    log.close().unwrap();
    let anchor = fs::read(home.anchor()).unwrap();

    // The copy is put in place again, out of the anchor's sight.
    for (path, _) in home.files().0 {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in &copy.0 {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::remove_file(home.anchor()).unwrap();
    let log = home.open();
    append(&log, "instead").wait().unwrap();
    log.close().unwrap();
    let files = home.files();
    files.verify(None).unwrap();
    let fault = found(&files, Some(&anchor)).2;
    assert_eq!(fault, Fault::AnchorDiffers);
}
