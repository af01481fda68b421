//! Which key is for a card on a day: the state table cell by cell, rotations, and routing against a
//! twin that looks at every range.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use cvv2::key::ModeOfUse;
use cvv2::{CvvLength, Expiry, ExpiryOrder, Pan, ServiceCode, Verdict};
use cvv2_keyring::{
    BinRange, Date, KeyEntry, Keyring, Kind, Month, NoCvk, State, Token, VerifyError,
};
use proptest::prelude::*;
use support::{bins, block, day, entry, kbpk, text, token};

const PAN: &str = "4123456789012345";

fn keyring(entries: &[KeyEntry]) -> Keyring {
    let kbpk = kbpk();
    Keyring::parse(&text(entries, &kbpk), &kbpk).unwrap()
}

fn key(name: &str, number: u32) -> KeyEntry {
    entry(name, number, &kbpk())
}

/// A key that takes over from `of` on a day.
fn successor(name: &str, number: u32, of: &str, from: Date) -> KeyEntry {
    KeyEntry { predecessor: Some(token(of)), from, ..key(name, number) }
}

fn with_mode(mode: ModeOfUse, number: u32, entry: KeyEntry) -> KeyEntry {
    KeyEntry { block: block(number, mode, &kbpk()), ..entry }
}

fn pan(digits: &str) -> Pan {
    Pan::parse(digits).unwrap()
}

fn expiry(yymm: &str) -> Expiry {
    Expiry::parse_yymm(yymm).unwrap()
}

/// The name of the key in force for the CVV2 of a card that expires in 2030, or why there is none.
fn in_force(keyring: &Keyring, digits: &str, on: Date) -> Result<String, NoCvk> {
    let chosen = keyring.in_force(&pan(digits), Kind::Cvv2, &expiry("3001"), on)?;
    Ok(chosen.entry.name.to_string())
}

/// The names of the keys that verify such a card, in order.
fn verifying(keyring: &Keyring, digits: &str, on: Date) -> Vec<String> {
    let keys = keyring.verifying(&pan(digits), Kind::Cvv2, &expiry("3001"), on);
    keys.map(|chosen| chosen.entry.name.to_string()).collect()
}

/// Every state, with every mode of use, before, on, and after the first and the last day.
#[test]
fn every_cell_of_the_state_table() {
    let (from, until) = (day(10), day(20));
    for state in State::ALL {
        for mode in [
            ModeOfUse::GenerateAndVerify,
            ModeOfUse::Generate,
            ModeOfUse::Verify,
            ModeOfUse::NoRestriction,
        ] {
            let key = KeyEntry { state, from, until: Some(until), ..key("a", 0) };
            let keyring = keyring(&[with_mode(mode, 0, key)]);
            for (on, in_time) in
                [(9, false), (10, true), (11, true), (19, true), (20, true), (21, false)]
            {
                let generates = match (state, in_time) {
                    (State::Pending, _) | (_, false) => Err(NoCvk::NoKey),
                    (State::Active, true) if mode != ModeOfUse::Verify => Ok("a".to_owned()),
                    (_, true) => Err(NoCvk::NotAllowed),
                };
                let verifies = matches!(state, State::Active | State::VerifyOnly)
                    && mode != ModeOfUse::Generate
                    && in_time;
                let case = format!("{state}, {mode:?}, day {on}");
                assert_eq!(in_force(&keyring, PAN, day(on)), generates, "{case}");
                assert_eq!(
                    verifying(&keyring, PAN, day(on)),
                    vec!["a"; usize::from(verifies)],
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn a_key_is_for_its_kinds_and_bins_only() {
    let keyring = keyring(&[KeyEntry { kinds: vec![Kind::Cvv, Kind::Icvv], ..key("a", 0) }]);
    let chosen =
        |kind, digits| keyring.in_force(&pan(digits), kind, &expiry("3001"), day(0)).is_ok();
    for kind in Kind::ALL {
        assert_eq!(chosen(kind, PAN), kind != Kind::Cvv2);
        assert!(!chosen(kind, "4123446789012345"));
        assert!(!chosen(kind, "4123466789012345"));
    }
    // The shortest and the longest PAN.
    assert!(chosen(Kind::Cvv, "412345000000") && chosen(Kind::Cvv, "4123459999999999999"));
}

#[test]
fn the_successor_generates_from_its_first_day_and_both_verify() {
    let keyring = keyring(&[
        KeyEntry { until: Some(day(300)), ..key("old", 0) },
        successor("new", 1, "old", day(100)),
    ]);
    for (on, generates, verify) in [
        (-1, Err(NoCvk::NoKey), vec![]),
        (0, Ok("old"), vec!["old"]),
        (99, Ok("old"), vec!["old"]),
        (100, Ok("new"), vec!["new", "old"]),
        (300, Ok("new"), vec!["new", "old"]),
        (301, Ok("new"), vec!["new"]),
    ] {
        assert_eq!(in_force(&keyring, PAN, day(on)), generates.map(str::to_owned), "day {on}");
        assert_eq!(verifying(&keyring, PAN, day(on)), verify, "day {on}");
    }
}

#[test]
fn a_rotation_by_expiry_leaves_older_cards_their_key() {
    let new = KeyEntry {
        cards_expiring_from: Month::parse("2030-06"),
        ..successor("new", 1, "old", day(100))
    };
    let keyring = keyring(&[key("old", 0), new]);
    for (yymm, on, generates, verify) in [
        ("3005", 200, "old", vec!["old"]),
        ("3006", 200, "new", vec!["new", "old"]),
        ("3112", 200, "new", vec!["new", "old"]),
        ("3112", 99, "old", vec!["old"]),
    ] {
        let (pan, expiry) = (pan(PAN), expiry(yymm));
        let chosen = keyring.in_force(&pan, Kind::Cvv2, &expiry, day(on)).unwrap();
        assert_eq!(&*chosen.entry.name, generates, "{yymm} on day {on}");
        let keys = keyring.verifying(&pan, Kind::Cvv2, &expiry, day(on));
        assert_eq!(keys.map(|key| &*key.entry.name).collect::<Vec<_>>(), verify);
    }
}

#[test]
fn a_rotation_can_be_undone() {
    let new = KeyEntry { state: State::VerifyOnly, ..successor("new", 1, "old", day(100)) };
    let keyring = keyring(&[key("oldest", 2), successor("old", 0, "oldest", day(50)), new]);
    assert_eq!(in_force(&keyring, PAN, day(200)), Ok("old".to_owned()));
    assert_eq!(verifying(&keyring, PAN, day(200)), ["old", "new", "oldest"]);
}

#[test]
fn no_older_key_stands_in_for_one_that_may_only_verify() {
    let new = with_mode(ModeOfUse::Verify, 1, successor("new", 1, "old", day(100)));
    let keyring = keyring(&[key("old", 0), new]);
    assert_eq!(in_force(&keyring, PAN, day(99)), Ok("old".to_owned()));
    assert_eq!(in_force(&keyring, PAN, day(100)), Err(NoCvk::NotAllowed));
    assert_eq!(verifying(&keyring, PAN, day(100)), ["new", "old"]);
}

#[test]
fn the_longest_prefix_wins_whatever_its_state_and_dates_unless_it_is_pending() {
    let longer =
        |state| KeyEntry { state, bins: bins(&["41234567"]), from: day(100), ..key("b", 1) };
    for (state, before, after) in [
        (State::Pending, Ok("a"), Ok("a")),
        (State::Active, Err(NoCvk::NoKey), Ok("b")),
        (State::VerifyOnly, Err(NoCvk::NoKey), Err(NoCvk::NotAllowed)),
        (State::Retired, Err(NoCvk::NoKey), Err(NoCvk::NotAllowed)),
    ] {
        let keyring = keyring(&[key("a", 0), longer(state)]);
        let name = |result: Result<&str, _>| result.map(str::to_owned);
        assert_eq!(in_force(&keyring, PAN, day(99)), name(before), "{state}");
        assert_eq!(in_force(&keyring, PAN, day(100)), name(after), "{state}");
        assert_eq!(in_force(&keyring, "4123456689012345", day(100)), Ok("a".to_owned()));
        assert_eq!(in_force(&keyring, "4123456889012345", day(100)), Ok("a".to_owned()));
    }
}

#[test]
fn a_successor_with_a_longer_prefix_takes_a_part_of_the_cards() {
    let part = KeyEntry { bins: bins(&["41234567"]), ..successor("part", 1, "all", day(100)) };
    let rest = successor("rest", 2, "all", day(200));
    let keyring = keyring(&[key("all", 0), part, rest]);
    let other = "4123450089012345";
    for (on, of_part, of_rest) in [
        (99, vec!["all"], vec!["all"]),
        (199, vec!["part", "all"], vec!["all"]),
        (200, vec!["part", "all"], vec!["rest", "all"]),
    ] {
        assert_eq!(verifying(&keyring, PAN, day(on)), of_part, "day {on}");
        assert_eq!(verifying(&keyring, other, day(on)), of_rest, "day {on}");
    }
}

#[test]
fn a_value_of_any_key_in_its_time_verifies_and_of_no_other() {
    let order = ExpiryOrder::MmYy;
    let keyring = keyring(&[
        key("gone", 0),
        KeyEntry { state: State::VerifyOnly, ..successor("old", 1, "gone", day(1)) },
        KeyEntry { expiry_order: order, ..successor("new", 2, "old", day(100)) },
        KeyEntry { kinds: vec![Kind::Icvv], ..key("chip", 3) },
        KeyEntry { bins: bins(&["512345"]), state: State::Retired, ..key("none", 4) },
    ]);
    let (card, expires) = (pan(PAN), expiry("3001"));
    let cvv2 = ServiceCode::CVV2;
    let value = |name: &str, code: &ServiceCode| {
        let cvk = keyring.cvk(name).unwrap();
        cvk.generate(&cvk.pack(&card, &expires, code), CvvLength::THREE).unwrap()
    };
    for (name, on, verdict) in [
        ("old", 50, Verdict::Match),
        ("new", 50, Verdict::Mismatch),
        ("old", 100, Verdict::Match),
        ("new", 100, Verdict::Match),
        ("gone", 100, Verdict::Match),
        ("chip", 100, Verdict::Mismatch),
    ] {
        let got = keyring.verify(&card, &expires, &cvv2, &value(name, &cvv2), day(on));
        assert_eq!(got, Ok(verdict), "{name} on day {on}");
    }
    let icvv = ServiceCode::ICVV;
    let got = keyring.verify(&card, &expires, &icvv, &value("chip", &icvv), day(0));
    assert_eq!(got, Ok(Verdict::Match));

    let value = value("new", &cvv2);
    for (card, on, why) in [
        (pan(PAN), day(-1), NoCvk::NoKey),
        (pan("9999999999999999"), day(0), NoCvk::NoKey),
        (pan("5123451234567890"), day(0), NoCvk::NotAllowed),
    ] {
        let error = keyring.verify(&card, &expires, &cvv2, &value, on).unwrap_err();
        assert_eq!(error, VerifyError::NoCvk(why));
    }
}

#[test]
fn the_weakest_protection_of_opened_keys_is_told() {
    let retired = KeyEntry { state: State::Retired, ..key("a", 0) };
    assert_eq!(keyring(&[]).protection(), None);
    assert_eq!(keyring(std::slice::from_ref(&retired)).protection(), None);
    let two = keyring(&[retired, successor("b", 1, "a", day(1)), successor("c", 2, "b", day(2))]);
    let of = |name| two.cvk(name).unwrap().protection();
    assert_eq!(two.protection(), Some(of("b").min(of("c"))));
}

#[test]
fn debug_shows_no_key() {
    let keyring = keyring(&[key("a", 0)]);
    assert!(format!("{keyring:?}").starts_with("Keyring { kbpk_kcv: CheckValue("));
}

/// Where ranges meet: the digits after 4123 of a range of keys.
fn some_bins() -> impl Strategy<Value = String> {
    let prefix = |digits: usize| {
        let top = 10_u64.pow(u32::try_from(digits).unwrap() - 4);
        // Half of the prefixes are at the seams of shorter ones.
        let number = prop_oneof![Just(0), Just(top - 1), 0..top];
        (number.clone(), prop_oneof![number, Just(0)]).prop_map(move |(a, b)| {
            let width = digits - 4;
            format!("4123{:0width$}-4123{:0width$}", a.min(b), a.max(b))
        })
    };
    prop_oneof![3 => prefix(6), 2 => prefix(7), 2 => prefix(8), 1 => prefix(12)]
}

/// A few keys, of which some follow others. They start in their order, ten days apart.
fn some_keys() -> impl Strategy<Value = Vec<KeyEntry>> {
    let key = (
        prop::collection::vec(some_bins(), 1..3),
        prop::option::of(any::<prop::sample::Index>()),
        prop::sample::select(&State::ALL),
        prop::sample::subsequence(Kind::ALL.to_vec(), 1..=3),
        prop::bool::weighted(0.5),
    );
    prop::collection::vec(key, 1..9).prop_map(|keys| {
        let kbpk = kbpk();
        let mut entries: Vec<KeyEntry> = Vec::new();
        for (index, (ranges, older, state, kinds, same_bins)) in keys.into_iter().enumerate() {
            let number = u32::try_from(index).unwrap();
            let mut bins: Vec<_> = bins(&ranges.iter().map(String::as_str).collect::<Vec<_>>());
            let older = older.filter(|_| index > 0).map(|older| &entries[older.index(index)]);
            let predecessor = older.map(|older| {
                if same_bins {
                    bins.clone_from(&older.bins);
                }
                older.name.clone()
            });
            let from = day(10 * i64::from(number));
            let key = entry(&format!("k{index}"), number, &kbpk);
            entries.push(KeyEntry { bins, predecessor, state, kinds, from, ..key });
        }
        entries
    })
}

/// The keys that can stand together, each with those before it.
fn compatible(entries: Vec<KeyEntry>) -> Vec<KeyEntry> {
    let mut kept: Vec<KeyEntry> = Vec::new();
    for entry in entries {
        kept.push(entry);
        if !is_in_order(&kept) {
            kept.pop();
        }
    }
    kept
}

/// The slow twin of the rules on ranges: every range with every other.
fn is_in_order(entries: &[KeyEntry]) -> bool {
    let named = |name: &Token| entries.iter().find(|entry| entry.name == *name);
    let follows = |newer: &KeyEntry, older: &KeyEntry| {
        let mut next = newer.predecessor.as_ref().and_then(named);
        while let Some(key) = next {
            if key.name == older.name {
                return true;
            }
            next = key.predecessor.as_ref().and_then(named);
        }
        false
    };
    let same_kind = |a: &KeyEntry, b: &KeyEntry| a.kinds.iter().any(|kind| b.kinds.contains(kind));
    let share = |a: &BinRange, b: &BinRange| {
        let ([a_first, a_last], [b_first, b_last]) = (ends(a), ends(b));
        a_first <= b_last && b_first <= a_last
    };
    let have_predecessors = entries.iter().all(|newer| {
        newer.predecessor.as_ref().is_none_or(|older| {
            named(older).is_some_and(|older| {
                let shares = |bins: &BinRange| older.bins.iter().any(|other| share(bins, other));
                same_kind(newer, older) && newer.bins.iter().any(shares)
            })
        })
    });
    let mut ranges: Vec<_> = Vec::new();
    for entry in entries {
        ranges.extend(entry.bins.iter().map(|bins| (entry, bins)));
    }
    let stand_together = |(a, a_bins): (&KeyEntry, &BinRange),
                          (b, b_bins): (&KeyEntry, &BinRange)| {
        let (a_digits, b_digits) = (a_bins.digits(), b_bins.digits());
        !same_kind(a, b)
            || !share(a_bins, b_bins)
            || match (follows(a, b), follows(b, a)) {
                (true, _) => a_digits >= b_digits,
                (_, true) => b_digits >= a_digits,
                _ => a.name != b.name && a_digits != b_digits,
            }
    };
    let pairs =
        ranges.iter().enumerate().flat_map(|(i, a)| ranges[..i].iter().map(move |b| (*a, *b)));
    have_predecessors && pairs.clone().all(|(a, b)| stand_together(a, b))
}

/// The first and the last twelve digits of a range.
fn ends(bins: &BinRange) -> [u64; 2] {
    let range = bins.to_string();
    let (first, last) = range.split_once('-').unwrap_or((&range, &range));
    [format!("{first:0<12}"), format!("{last:9<12}")].map(|digits| digits.parse().unwrap())
}

/// The slow twin: the names of the keys for a card, the newest first, by looking at every range.
fn keys_for(entries: &[KeyEntry], pan: &Pan, kind: Kind) -> Vec<String> {
    let digits = |entry: &KeyEntry| {
        let here = entry.bins.iter().filter(|bins| bins.contains(pan));
        let decides = entry.state != State::Pending && entry.kinds.contains(&kind);
        here.map(BinRange::digits).max().filter(|_| decides)
    };
    let here: Vec<&KeyEntry> = entries.iter().filter(|entry| digits(entry).is_some()).collect();
    let longest = here.iter().filter_map(|entry| digits(entry)).max();
    // Each key starts later than its predecessor.
    let newest = here.iter().filter(|entry| digits(entry) == longest).max_by_key(|e| e.from);
    let mut names = Vec::new();
    let mut next = newest.map(|entry| &entry.name);
    while let Some(name) = next {
        if here.iter().any(|entry| entry.name == *name) {
            names.push(name.to_string());
        }
        next = entries.iter().find(|entry| entry.name == *name).unwrap().predecessor.as_ref();
    }
    names
}

/// Cards at both sides of every seam between ranges.
fn seams(entries: &[KeyEntry]) -> Vec<Pan> {
    let ends = entries.iter().flat_map(|entry| &entry.bins).flat_map(ends);
    let seams = ends.flat_map(|end| [end - 1, end, end + 1]);
    seams.map(|twelve| pan(&format!("{twelve:012}0000"))).collect()
}

proptest! {
    #[test]
    fn keys_are_refused_as_by_a_comparison_of_all_ranges(entries in some_keys()) {
        let kbpk = kbpk();
        let loaded = Keyring::parse(&text(&entries, &kbpk), &kbpk);
        prop_assert_eq!(loaded.is_ok(), is_in_order(&entries), "{:?}", loaded);
    }

    /// At every seam, and so for every card.
    #[test]
    fn routes_are_those_of_a_search_through_all_ranges(entries in some_keys().prop_map(compatible)) {
        let keyring = keyring(&entries);
        let (expiry, on) = (expiry("3001"), day(1000));
        for pan in seams(&entries) {
            for kind in Kind::ALL {
                let keys = keys_for(&entries, &pan, kind);
                let state = |name: &&String| keyring.get(name).unwrap().state;
                let active = keys.iter().find(|name| state(name) == State::Active);
                let expected = match active {
                    Some(name) => Ok(&**name),
                    None if keys.is_empty() => Err(NoCvk::NoKey),
                    None => Err(NoCvk::NotAllowed),
                };
                let got = keyring.in_force(&pan, kind, &expiry, on);
                prop_assert_eq!(got.map(|chosen| &*chosen.entry.name), expected);

                let verify = keys.iter().filter(|name| state(name) != State::Retired);
                let mut expected: Vec<_> = verify.map(String::as_str).collect();
                expected.sort_by_key(|name| active.is_none_or(|active| active != name));
                let got = keyring.verifying(&pan, kind, &expiry, on);
                prop_assert_eq!(got.map(|chosen| &*chosen.entry.name).collect::<Vec<_>>(), expected);
            }
        }
    }
}
