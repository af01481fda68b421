//! The overview of a day says what the keyring does for each card.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use cvv2::{Expiry, Pan};
use cvv2_keyring::{Date, KeyEntry, Keyring, Kind, Month, State};
use support::{bins, day, entry, kbpk, text, token};

/// Three keys in a line, of which the newest has this state; one inside of their BIN, and one that
/// waits.
fn keyring(newest: State) -> Keyring {
    let kbpk = kbpk();
    let first = KeyEntry { bins: bins(&["412345", "400000-400099"]), ..entry("first", 0, &kbpk) };
    let second = KeyEntry {
        predecessor: Some(token("first")),
        from: day(100),
        cards_expiring_from: Month::parse("2029-01"),
        ..entry("second", 1, &kbpk)
    };
    let third = KeyEntry {
        predecessor: Some(token("second")),
        from: day(200),
        cards_expiring_from: Month::parse("2030-06"),
        until: Some(day(300)),
        state: newest,
        ..entry("third", 2, &kbpk)
    };
    let first = KeyEntry { until: Some(day(300)), ..first };
    let second = KeyEntry { until: Some(day(300)), ..second };
    let inside = KeyEntry {
        bins: bins(&["41234550-41234559"]),
        kinds: vec![Kind::Cvv2, Kind::Icvv],
        state: State::VerifyOnly,
        ..entry("inside", 3, &kbpk)
    };
    let pending =
        KeyEntry { bins: bins(&["512345"]), state: State::Pending, ..entry("pending", 4, &kbpk) };
    Keyring::parse(&text(&[first, second, third, inside, pending], &kbpk), &kbpk).unwrap()
}

/// The rows as short texts.
fn rows(keyring: &Keyring, on: Date) -> Vec<String> {
    let rows = keyring.overview(on).into_iter().map(|row| {
        let month = |month: Option<Month>| month.map_or(String::new(), |month| month.to_string());
        let verifying: Vec<_> = row.verifying.iter().map(|entry| &*entry.name).collect();
        format!(
            "{} {} {}..{} {} {}",
            row.kind,
            row.bins,
            month(row.cards_expiring_from),
            month(row.cards_expiring_before),
            row.generating.map_or("-", |entry| &entry.name),
            verifying.join(",")
        )
    });
    rows.collect()
}

#[test]
fn each_row_is_cards_with_the_same_keys() {
    assert_eq!(
        rows(&keyring(State::Active), day(250)),
        [
            "cvv2 400000-400099 .. first first",
            "cvv2 4123450-4123454 ..2029-01 first first",
            "cvv2 4123450-4123454 2029-01..2030-06 second second,first",
            "cvv2 4123450-4123454 2030-06.. third third,second,first",
            "cvv2 4123455 .. - inside",
            "cvv2 4123456-4123459 ..2029-01 first first",
            "cvv2 4123456-4123459 2029-01..2030-06 second second,first",
            "cvv2 4123456-4123459 2030-06.. third third,second,first",
            "icvv 4123455 .. - inside",
        ]
    );
}

#[test]
fn days_without_keys_have_no_rows() {
    assert_eq!(rows(&keyring(State::Active), day(-1)), [""; 0]);
    let after = rows(&keyring(State::Active), day(301));
    assert!(after.iter().all(|row| row.ends_with("- inside")), "{after:?}");
}

#[test]
fn a_row_and_the_choice_for_its_cards_agree() {
    let days = [0, 99, 100, 199, 200, 300].map(day);
    // A newest key that only verifies is a rotation undone.
    for (newest, on) in [State::Active, State::VerifyOnly].iter().flat_map(|s| days.map(|d| (s, d)))
    {
        let keyring = keyring(*newest);
        for row in keyring.overview(on) {
            // The range's first card, expiring in the first month of the row or long before.
            let bins = row.bins.to_string();
            let first = bins.split('-').next().unwrap();
            let pan = Pan::parse(&format!("{first:0<16}")).unwrap();
            let yymm = row.cards_expiring_from.map_or("2601".to_owned(), |month| {
                let month = month.to_string();
                format!("{}{}", &month[2..4], &month[5..])
            });
            let expiry = Expiry::parse_yymm(&yymm).unwrap();

            let chosen = keyring.in_force(&pan, row.kind, &expiry, on);
            assert_eq!(chosen.ok().map(|chosen| chosen.entry), row.generating, "{on} {row:?}");
            let verifying = keyring.verifying(&pan, row.kind, &expiry, on);
            let verifying: Vec<_> = verifying.map(|chosen| chosen.entry).collect();
            assert_eq!(verifying, row.verifying, "{on} {row:?}");
        }
    }
}
