//! What the text of a keyring may say, and where a refusal points.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use cvv2::key::ModeOfUse;
use cvv2::{ExpiryOrder, KeyBlock};
use cvv2_keyring::{
    BinRangeError, CHAIN_KEYS_MAX, KeyEntry, Keyring, Kind, LoadCause, LoadError, Month, State,
    TokenError,
};
use proptest::prelude::*;
use support::{block, day, entry, kbpk, kcv, text, token};

/// No key; what a person might paste.
const CANARY: &str = "0A1B2C3D4E5F60718293A4B5C6D7E8F9";

fn refusal(text: &str) -> LoadError {
    Keyring::parse(text, &kbpk()).expect_err(text)
}

/// The refusal of a keyring of these keys.
fn refusal_of(entries: &[KeyEntry]) -> LoadError {
    refusal(&text(entries, &kbpk()))
}

/// The line of a field of a key in what [`text`] writes, with all optional fields left out.
fn line_of(key: usize, field: &str) -> usize {
    let fields =
        ["name", "scheme", "kinds", "bins", "expiry_order", "state", "from", "kcv", "block"];
    let field = fields.iter().position(|name| *name == field).unwrap();
    4 + key * (fields.len() + 2) + 1 + field
}

fn key(name: &str, number: u32) -> KeyEntry {
    entry(name, number, &kbpk())
}

fn successor(name: &str, number: u32, of: &str) -> KeyEntry {
    let from = day(i64::from(number) * 100);
    KeyEntry { predecessor: Some(token(of)), from, ..key(name, number) }
}

#[test]
fn a_keyring_says_what_was_written_into_it() {
    let kbpk = kbpk();
    let old = KeyEntry {
        kinds: vec![Kind::Cvv, Kind::Icvv],
        bins: support::bins(&["412345", "41234600-41234699", "000000000000"]),
        expiry_order: ExpiryOrder::MmYy,
        until: Some(day(900)),
        state: State::Retired,
        ..entry("old", 0, &kbpk)
    };
    let new = KeyEntry {
        kinds: vec![Kind::Icvv],
        cards_expiring_from: Month::parse("2029-01"),
        predecessor: Some(token("old")),
        from: day(365),
        state: State::Pending,
        ..entry("new", 1, &kbpk)
    };
    let entries = [old, new];
    let keyring = Keyring::parse(&text(&entries, &kbpk), &kbpk).unwrap();
    assert!(keyring.list().eq(&entries));
    assert_eq!(keyring.get("new"), Some(&entries[1]));
    assert_eq!(keyring.kbpk_kcv().to_string(), kbpk.kcv().to_string());
    assert!(keyring.cvk("new").is_some());
    assert!(keyring.cvk("old").is_none(), "a retired key is not opened");
}

#[test]
fn a_keyring_may_be_empty() {
    assert_eq!(Keyring::parse(&text(&[], &kbpk()), &kbpk()).unwrap().list().len(), 0);
}

#[test]
fn a_retired_key_needs_no_block_that_opens() {
    let block = block(0, ModeOfUse::GenerateAndVerify, &support::other_kbpk());
    let retired = KeyEntry { state: State::Retired, block, ..key("a", 0) };
    Keyring::parse(&text(&[retired], &kbpk()), &kbpk()).unwrap();
}

#[test]
fn the_text_may_be_formatted_freely() {
    let text = text(&[key("a", 0)], &kbpk())
        .replace("['412345']", "[ # all\n '412345', # one\n \"412346\",\n]")
        .replace('\n', "\r\n");
    let keyring = Keyring::parse(&text, &kbpk()).unwrap();
    assert_eq!(keyring.get("a").unwrap().bins, support::bins(&["412345", "412346"]));
}

/// Every field with a value it cannot have.
#[test]
fn a_refusal_names_line_column_and_field() {
    let type_of = |expected| LoadCause::Type { expected };
    let one_of = |values| LoadCause::NotOneOf { values };
    let date = type_of("a date without quotes, 2026-01-31");
    let quoted = type_of("a text in quotes");
    for (field, value, column, cause) in [
        ("name", "1", 8, quoted.clone()),
        ("name", "'A'", 8, LoadCause::Token(TokenError::Character { at: 0 })),
        ("scheme", "''", 10, LoadCause::Token(TokenError::Length { chars: 0 })),
        ("kinds", "'cvv'", 9, type_of("a list in brackets")),
        ("kinds", "[]", 9, LoadCause::Empty),
        ("kinds", "['cvv', 'CVV2']", 17, one_of("\"cvv\", \"cvv2\" or \"icvv\"")),
        ("kinds", "['cvv', 'cvv']", 17, LoadCause::Repeated { line: line_of(0, "kinds") }),
        ("kinds", "['cvv','cvv','cvv','cvv']", 9, LoadCause::TooMany { max: 3 }),
        ("bins", "[]", 8, LoadCause::Empty),
        ("bins", "[412345]", 9, quoted.clone()),
        ("bins", "['412345', '4']", 19, LoadCause::Bins(BinRangeError::Length)),
        ("expiry_order", "'yymm'", 16, one_of("\"YYMM\" or \"MMYY\"")),
        ("state", "'live'", 9, one_of("\"pending\", \"active\", \"verify-only\" or \"retired\"")),
        ("from", "'2026-01-01'", 8, date.clone()),
        ("from", "2026-01-01T00:00:00Z", 8, date.clone()),
        ("from", "2026-01-01 00:00:00", 8, date.clone()),
        ("from", "00:00:00", 8, date),
        ("kcv", "'08D7B'", 7, LoadCause::CheckValue),
        ("kcv", "'000000'", 7, LoadCause::KcvMismatch),
        ("block", "true", 9, quoted),
    ] {
        let text = with(&text(&[key("a", 0)], &kbpk()), field, value);
        let (line, field) = (line_of(0, field), Some(field));
        let error = refusal(&text);
        assert_eq!((error.line, error.column, error.field), (line, column, field), "{value}");
        assert_eq!(error.cause, cause, "{value}");
    }
}

/// The text with another value of one field.
fn with(text: &str, field: &str, value: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{field} = "))).unwrap();
    text.replacen(line, &format!("{field} = {value}"), 1)
}

#[test]
fn every_field_is_needed_but_four() {
    let whole = text(&[key("a", 0)], &kbpk());
    for line in whole.lines().filter(|line| line.contains('=')) {
        let error = refusal(&whole.replacen(&format!("{line}\n"), "", 1));
        assert_eq!(error.cause, LoadCause::Missing, "{line}");
        assert_eq!(error.field, line.split(' ').next());
        // The table that lacks it: the file, or the key's heading.
        let line = if whole.lines().position(|l| l == line) < Some(2) { 1 } else { 4 };
        assert_eq!((error.line, error.column), (line, 1));
    }
}

#[test]
fn unknown_fields_and_forms_are_refused() {
    let whole = text(&[key("a", 0)], &kbpk());
    let error = refusal(&format!("{whole}until_ = 2026-01-01\n"));
    assert!(matches!(error.cause, LoadCause::Unknown { .. }));
    assert_eq!((error.line, error.column), (line_of(0, "block") + 1, 1));
    let error = refusal(&format!("keys = 1\n{whole}"));
    assert!(matches!(error.cause, LoadCause::Unknown { known: ["format", "kbpk_kcv", "key"] }));
    assert_eq!((error.line, error.column), (1, 1));

    let error = refusal(&whole.replace("format = 1", "format = 2"));
    assert_eq!(error.to_string(), "line 1, column 10: `format`: not understood; write 1");
    for form in ["key = 1", "key = [{ name = 'a' }]", "[key]\nname = 'a'"] {
        let error = refusal(&format!("{}{form}\n", text(&[], &kbpk())));
        assert!(matches!(error.cause, LoadCause::Type { .. }), "{form}: {error}");
        assert_eq!(error.field, Some("key"));
    }
    let error = refusal(&format!("{whole}name = 'b'\n"));
    assert_eq!((error.line, &error.cause), (line_of(0, "block") + 1, &LoadCause::NotToml));
}

#[test]
fn another_kbpk_is_refused_by_name() {
    let text = text(&[key("a", 0)], &kbpk());
    let error = Keyring::parse(&text, &support::other_kbpk()).unwrap_err();
    assert_eq!((error.line, error.field, error.cause), (2, Some("kbpk_kcv"), LoadCause::OtherKbpk));
}

#[test]
fn blocks_that_do_not_open_are_refused_at_their_line() {
    let kbpk = kbpk();
    let other = block(1, ModeOfUse::GenerateAndVerify, &support::other_kbpk());
    let mut flipped = block(1, ModeOfUse::GenerateAndVerify, &kbpk).to_string();
    let last = if flipped.pop() == Some('0') { '1' } else { '0' };
    flipped.push(last);
    for block in [other, KeyBlock::parse(&flipped).unwrap()] {
        let error = refusal_of(&[
            key("a", 0),
            KeyEntry { block, bins: support::bins(&["5"; 1].map(|_| "512345")), ..key("b", 1) },
        ]);
        assert_eq!((error.line, error.field), (line_of(1, "block"), Some("block")));
        assert!(matches!(error.cause, LoadCause::Block(_)));
    }
    let not_sealed = with(&text(&[key("a", 0)], &kbpk), "block", "'D0112'");
    assert!(matches!(refusal(&not_sealed).cause, LoadCause::Block(_)));
}

#[test]
fn two_keys_of_one_name_are_refused_with_both_lines() {
    let error = refusal_of(&[key("a", 0), key("b", 1), key("a", 2)]);
    assert_eq!((error.line, error.field), (line_of(2, "name"), Some("name")));
    assert_eq!(error.cause, LoadCause::Repeated { line: line_of(0, "name") });
}

#[test]
fn predecessors_have_to_be_there_and_to_be_older() {
    let error = refusal_of(&[key("a", 0), successor("b", 1, "c")]);
    assert_eq!(error.cause, LoadCause::UnknownPredecessor);
    assert_eq!(error.field, Some("predecessor"));

    let error = refusal_of(&[successor("a", 1, "a")]);
    assert_eq!(error.cause, LoadCause::Cycle);
    let error =
        refusal_of(&[successor("a", 3, "c"), successor("b", 2, "a"), successor("c", 1, "b")]);
    assert_eq!(error.cause, LoadCause::Cycle);

    for from in [day(0), day(-1)] {
        let error = refusal_of(&[key("a", 0), KeyEntry { from, ..successor("b", 1, "a") }]);
        assert_eq!((error.line, error.field), (line_of(1, "from"), Some("from")));
        assert_eq!(error.cause, LoadCause::StartsTooEarly { line: line_of(0, "from") });
    }
}

#[test]
fn chains_end() {
    let chain = |len: usize| {
        let mut keys = vec![KeyEntry { state: State::Retired, ..key("k0", 0) }];
        for index in 1..len {
            let number = u32::try_from(index).unwrap();
            keys.push(KeyEntry {
                state: State::Retired,
                ..successor(&format!("k{index}"), number, &format!("k{}", index - 1))
            });
        }
        text(&keys, &kbpk())
    };
    Keyring::parse(&chain(CHAIN_KEYS_MAX), &kbpk()).unwrap();
    assert_eq!(refusal(&chain(CHAIN_KEYS_MAX + 1)).cause, LoadCause::ChainTooLong);
    // A cycle that is longer than any chain.
    let cycle = chain(CHAIN_KEYS_MAX + 5).replacen(
        "name = 'k0'\n",
        &format!("name = 'k0'\npredecessor = 'k{}'\n", CHAIN_KEYS_MAX + 4),
        1,
    );
    assert_eq!(refusal(&cycle).cause, LoadCause::ChainTooLong);
}

#[test]
fn dates_that_make_no_sense_are_refused() {
    let until = |days| KeyEntry { until: Some(day(days)), ..key("a", 0) };
    Keyring::parse(&text(&[until(0)], &kbpk()), &kbpk()).unwrap();
    let error = refusal_of(&[until(-1)]);
    assert_eq!((error.field, &error.cause), (Some("until"), &LoadCause::UntilBeforeFrom));

    // The successor starts on day 100.
    Keyring::parse(&text(&[until(99), successor("b", 1, "a")], &kbpk()), &kbpk()).unwrap();
    let error = refusal_of(&[until(98), successor("b", 1, "a")]);
    assert_eq!((error.line, error.field), (line_of(1, "from") + 1, Some("from")));
    assert_eq!(error.cause, LoadCause::Gap { line: line_of(0, "from") + 1 });

    let month = |text| Month::parse(text);
    let cards = |older, newer| {
        [
            KeyEntry { cards_expiring_from: month(older), ..key("a", 0) },
            KeyEntry { cards_expiring_from: month(newer), ..successor("b", 1, "a") },
        ]
    };
    Keyring::parse(&text(&cards("2029-01", "2029-01"), &kbpk()), &kbpk()).unwrap();
    let error = refusal_of(&cards("2029-02", "2029-01"));
    assert_eq!(error.field, Some("cards_expiring_from"));
    assert_eq!(error.cause, LoadCause::StartsTooEarly { line: line_of(0, "from") + 1 });
}

#[test]
fn no_older_key_comes_into_force_again() {
    let newer = || KeyEntry { until: Some(day(500)), ..successor("b", 1, "a") };
    for until in [None, Some(day(501))] {
        let error = refusal_of(&[KeyEntry { until, ..key("a", 0) }, newer()]);
        assert_eq!(error.field, Some("until"));
        assert!(matches!(error.cause, LoadCause::PredecessorOutlives { .. }));
    }
    let ends = KeyEntry { until: Some(day(500)), ..key("a", 0) };
    Keyring::parse(&text(&[ends, newer()], &kbpk()), &kbpk()).unwrap();
    let verifies = KeyEntry { state: State::VerifyOnly, ..key("a", 0) };
    Keyring::parse(&text(&[verifies, newer()], &kbpk()), &kbpk()).unwrap();
    // Nor one further back.
    let between = KeyEntry { state: State::VerifyOnly, ..successor("b", 1, "a") };
    let last = KeyEntry { until: Some(day(900)), ..successor("c", 2, "b") };
    let error = refusal_of(&[key("a", 0), between, last]);
    assert_eq!(error.cause, LoadCause::PredecessorOutlives { line: line_of(0, "from") });
}

#[test]
fn ranges_that_share_cards_are_refused_with_both_lines() {
    let at =
        |name, number, bins: &[&str]| KeyEntry { bins: support::bins(bins), ..key(name, number) };
    for (first, second) in [
        ("412345", "412345"),
        ("412300-412399", "412345"),
        ("412345-412349", "412340-412345"),
        ("41234500-41234510", "41234510-41234599"),
        ("412345000000-412345000005", "412345000005-412345000009"), // one card of twelve digits
    ] {
        for (first, second) in [(first, second), (second, first)] {
            let error = refusal_of(&[at("a", 0, &["512345", first]), at("b", 1, &[second])]);
            assert_eq!((error.line, error.column), (line_of(1, "bins"), 9), "{first} {second}");
            assert_eq!(error.cause, LoadCause::Overlap { line: line_of(0, "bins") });
        }
    }
    // Whatever the states and dates: they may change.
    let retired = KeyEntry { state: State::Retired, until: Some(day(1)), ..key("a", 0) };
    let pending = KeyEntry { state: State::Pending, from: day(2), ..key("b", 1) };
    assert!(matches!(refusal_of(&[retired, pending]).cause, LoadCause::Overlap { .. }));
    // Siblings do not follow each other.
    let error = refusal_of(&[key("a", 0), successor("b", 1, "a"), successor("c", 2, "a")]);
    assert!(matches!(error.cause, LoadCause::Overlap { .. }));
    // One key with itself.
    for twice in [["412345", "412345"], ["412345", "41234567"]] {
        let error = refusal_of(&[at("a", 0, &twice)]);
        assert_eq!((error.line, error.column), (line_of(0, "bins"), 19));
        assert_eq!(error.cause, LoadCause::OwnOverlap { line: line_of(0, "bins") });
    }
}

#[test]
fn ranges_that_do_not_share_a_card_and_a_kind_stand_together() {
    let other_kind = KeyEntry { kinds: vec![Kind::Cvv, Kind::Icvv], ..key("b", 1) };
    let longer = KeyEntry { bins: support::bins(&["41234567"]), ..key("c", 2) };
    let beside = KeyEntry { bins: support::bins(&["412344", "412346"]), ..key("d", 3) };
    let next = successor("e", 4, "a");
    let last = successor("f", 5, "e");
    let keys = [last, next, key("a", 0), other_kind, longer, beside];
    Keyring::parse(&text(&keys, &kbpk()), &kbpk()).unwrap();
}

#[test]
fn a_successor_has_its_predecessors_cards() {
    let with_bins = |bins: &[&str], entry| KeyEntry { bins: support::bins(bins), ..entry };
    let refused = |older: &[&str], newer: &[&str]| {
        refusal_of(&[with_bins(older, key("a", 0)), with_bins(newer, successor("b", 1, "a"))]).cause
    };
    assert_eq!(refused(&["412345"], &["412346"]), LoadCause::Disjoint);
    let shorter = LoadCause::ShorterThanPredecessor { line: line_of(0, "bins") };
    assert_eq!(refused(&["41234567"], &["412345"]), shorter);
    assert_eq!(refused(&["41234500-41234599", "412346"], &["412345-412346"]), shorter);
    let other_kind = KeyEntry { kinds: vec![Kind::Icvv], ..successor("b", 1, "a") };
    assert_eq!(refusal_of(&[key("a", 0), other_kind]).cause, LoadCause::Disjoint);
    // One card of twelve digits is enough.
    let [older, newer] = [["412345000000-412345000005"], ["412345000005-412345000009"]];
    let keys = [with_bins(&older, key("a", 0)), with_bins(&newer, successor("b", 1, "a"))];
    Keyring::parse(&text(&keys, &kbpk()), &kbpk()).unwrap();
    // Part of the cards, in more digits, is a way to move them to a key of their own.
    let part = with_bins(&["41234567"], successor("b", 1, "a"));
    Keyring::parse(&text(&[key("a", 0), part], &kbpk()), &kbpk()).unwrap();
}

#[test]
fn a_successor_is_another_key() {
    let same = KeyEntry { kcv: kcv(0), block: key("a", 0).block, ..successor("b", 1, "a") };
    let again = KeyEntry { kcv: kcv(0), block: key("a", 0).block, ..successor("c", 2, "b") };
    let retired = KeyEntry { state: State::Retired, ..key("a", 0) };
    let after_retired = [retired, same.clone()];
    let error = refusal_of(&[key("a", 0), same]);
    assert_eq!(error.cause, LoadCause::SameKey { line: line_of(0, "block") });
    let error = refusal_of(&[key("a", 0), successor("b", 1, "a"), again]);
    assert_eq!(error.cause, LoadCause::SameKey { line: line_of(0, "block") });
    // A retired key is not opened, and so not compared.
    Keyring::parse(&text(&after_retired, &kbpk()), &kbpk()).unwrap();
}

#[test]
fn a_refusal_shows_nothing_of_what_was_pasted() {
    let whole = text(&[key("a", 0)], &kbpk());
    let mut texts: Vec<_> = whole
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .flat_map(|(field, _)| {
            [
                with(&whole, field, &format!("'{CANARY}'")),
                with(&whole, field, &format!("['{CANARY}']")),
                with(&whole, field, CANARY),
                with(&whole, field, &format!("'{}'", CANARY.to_lowercase())),
            ]
        })
        .collect();
    texts.push(format!("{whole}{CANARY} = 1\n"));
    texts.push(format!("{whole}[{CANARY}]\n"));
    texts.push(CANARY.to_owned());
    texts.push(format!("# {CANARY}\n"));
    for text in texts {
        let error = refusal(&text);
        for shown in [error.to_string(), format!("{error:?}")] {
            let shown = shown.to_uppercase();
            for part in [&CANARY[..8], &CANARY[12..20], &CANARY[24..]] {
                assert!(!shown.contains(part), "{shown}");
            }
        }
    }
}

#[test]
fn a_column_counts_characters() {
    let error = refusal("format = 1 # über\nkbpk_kcv = [ 'ü', ö ]\n");
    assert_eq!((error.line, error.column), (2, 19));
}

proptest! {
    /// Damage is refused at a place of the text, and never a panic.
    #[test]
    fn any_damage_is_survived(at in any::<prop::sample::Index>(), len in 0..9_usize, by in ".{0,9}") {
        let kbpk = kbpk();
        let mut text = text(&[key("a", 0), successor("b", 1, "a")], &kbpk);
        let at = at.index(text.len());
        text.replace_range(at..text.len().min(at + len), &by);
        if let Err(error) = Keyring::parse(&text, &kbpk) {
            prop_assert!(error.line <= text.split('\n').count());
        }
    }
}
