//! The slow, obvious twin of `verify`: everything in memory, one rule after the other.

use cvv2_service::Purpose;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;

use crate::home::{Files, Home, append, key};

/// Whether a log from its first line on, without torn or abandoned bytes, is as it was written.
fn is_whole(files: &Files) -> bool {
    let mac_key = key().derive(Purpose::Audit).unwrap();
    let mut previous = "0".repeat(64);
    let mut sequence = 0;
    let mut chain = None;
    for (_, bytes) in &files.0 {
        let Ok(text) = str::from_utf8(bytes) else { return false };
        let Some(text) = text.strip_suffix('\n') else { return false };
        for (number, line) in text.split('\n').enumerate() {
            let Ok(value) = serde_json::from_str::<Value>(line) else { return false };
            let Some((body, _)) = line.split_once(",\"mac\":\"") else { return false };
            let mut mac = Hmac::<Sha256>::new_from_slice(&*mac_key).unwrap();
            mac.update(&hex::decode(&previous).unwrap());
            mac.update(body.as_bytes());
            let mac = hex::encode(mac.finalize().into_bytes());
            sequence += 1;
            let is_first = value["event"] == "file";
            if line != format!("{body},\"mac\":\"{mac}\"}}")
                || value["sequence"] != sequence
                || is_first != (number == 0)
                || (is_first && value["previous"] != *previous)
                || (is_first && value["chain"] != *chain.get_or_insert(value["chain"].clone()))
            {
                return false;
            }
            previous = mac;
        }
    }
    !files.0.is_empty()
}

/// Something that somebody does to a log.
#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    Delete(prop::sample::Index, prop::sample::Index),
    Double(prop::sample::Index, prop::sample::Index),
    SwapFiles,
    DropFile(bool),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, byte)| Self::Byte(at, byte)),
            (at(), at()).prop_map(|(from, to)| Self::Delete(from, to)),
            (at(), at()).prop_map(|(from, to)| Self::Double(from, to)),
            Just(Self::SwapFiles),
            any::<bool>().prop_map(Self::DropFile),
        ]
    }

    fn make(&self, files: &mut Files, file: usize, by_lines: bool) {
        let file = file % files.0.len();
        let ends: Vec<usize> = files.lines(file).iter().map(|line| line.len()).collect();
        let bytes = &mut files.0[file].1;
        if bytes.is_empty() {
            return;
        }
        let range = |from: &prop::sample::Index, to: &prop::sample::Index| {
            let place = |index: &prop::sample::Index| {
                if by_lines {
                    ends[..index.index(ends.len() + 1)].iter().sum()
                } else {
                    index.index(bytes.len() + 1)
                }
            };
            let (from, to): (usize, usize) = (place(from), place(to));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Delete(from, to) => {
                bytes.drain(range(from, to));
            }
            Self::Double(from, to) => {
                let range = range(from, to);
                let copy = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, copy);
            }
            Self::SwapFiles => files.0.reverse(),
            Self::DropFile(first) if files.0.len() > 1 => {
                files.0.remove(if *first { 0 } else { files.0.len() - 1 });
            }
            Self::DropFile(_) => {}
        }
    }
}

#[test]
fn both_agree_about_whatever_is_done_to_a_log() {
    let home = Home::new();
    let log = home.open();
    for number in 0..15 {
        append(&log, &format!("record {number}")).wait().unwrap();
    }
    log.close().unwrap();
    let files = home.files();
    assert!(is_whole(&files));

    let cases = std::env::var("CVV2_AUDIT_CHANGES").map_or(2_000, |cases| cases.parse().unwrap());
    let changes = prop::collection::vec((Change::any(), any::<usize>(), any::<bool>()), 0..4);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |(changes in changes)| {
        let mut changed = files.clone();
        for (change, file, by_lines) in &changes {
            change.make(&mut changed, *file, *by_lines);
        }
        let verified = changed.verify(None);
        let verified_whole = verified.as_ref().is_ok_and(|report| report.torn_bytes == 0);
        prop_assert_eq!(verified_whole, is_whole(&changed), "{:?}", verified);
    });
}
