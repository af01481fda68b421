//! Which key of a keyring answers, and on which day.

use std::sync::Arc;

use cvv2::key::{Exportability, Kbpk, KbpkAlgorithm, KeyBlockHeader, KeyBlockVersion, ModeOfUse};
use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, KcvMethod, Pan, Policy};
use cvv2_keyring::{BinRange, CheckValue, Date, KeyEntry, Keyring, Kind, Month, State, Token};
use cvv2_service::envelope::Function;
use cvv2_service::{CardServices, CvkError, CvkSource, KeyringSource};
use time::OffsetDateTime;
use time::macros::{date, datetime};

use crate::bank::{KEY, REQUEST, caller, expiry, read, settings, store};

const OTHER_KEY: &str = "C7C480405ED526D6A451316758DCDF83";

fn kbpk() -> Kbpk {
    Kbpk::from_hex(KbpkAlgorithm::Aes256, &"0F1E2D3C".repeat(8), Protection::Wiped).unwrap()
}

/// An active CVV2 key for all cards of the BIN 412345, from a day on.
pub(crate) fn entry(name: &str, key: &str, from: Date) -> KeyEntry {
    let cvk = CvkPair::from_hex(key, ExpiryOrder::YyMm, Policy::Strict).unwrap();
    let mode = ModeOfUse::GenerateAndVerify;
    let header = KeyBlockHeader::cvk(KeyBlockVersion::D, mode, Exportability::Exportable);
    KeyEntry {
        name: Token::parse(name).unwrap(),
        scheme: Token::parse("visa").unwrap(),
        kinds: vec![Kind::Cvv2],
        bins: vec![BinRange::parse("412345").unwrap()],
        expiry_order: ExpiryOrder::YyMm,
        state: State::Active,
        from,
        until: None,
        cards_expiring_from: None,
        predecessor: None,
        kcv: cvk.kcv(KcvMethod::TdesZeros).into(),
        block: cvk.to_key_block(&header, &kbpk(), &[0x5A; 14]).unwrap(),
    }
}

pub(crate) fn keyring(entries: &[KeyEntry]) -> Arc<Keyring> {
    let mut text = format!("format = 1\nkbpk_kcv = \"{}\"\n", kbpk().kcv());
    text.extend(entries.iter().map(table));
    Arc::new(Keyring::parse(&text, &kbpk()).unwrap())
}

fn table(entry: &KeyEntry) -> String {
    let KeyEntry { name, scheme, state, from, kcv, block, .. } = entry;
    let optional = |field: &str, value: Option<String>| {
        value.map_or_else(String::new, |value| format!("{field} = '{value}'\n"))
    };
    format!(
        "[[key]]\nname = '{name}'\nscheme = '{scheme}'\nkinds = ['{}']\nbins = ['{}']\n\
         expiry_order = 'YYMM'\nstate = '{state}'\nfrom = {from}\nkcv = '{kcv}'\n\
         block = '{block}'\n{}{}",
        entry.kinds[0],
        entry.bins[0],
        optional("cards_expiring_from", entry.cards_expiring_from.map(|month| month.to_string())),
        optional("predecessor", entry.predecessor.as_ref().map(ToString::to_string)),
    )
}

/// The check value of the key that generates for a card.
fn chosen(keys: &KeyringSource, pan: &str, yymm: &str, on: Date) -> Result<String, CvkError> {
    let chosen = keys.generating(&Pan::parse(pan).unwrap(), &expiry(yymm), on)?;
    assert_eq!(CheckValue::from(chosen.cvk.kcv(KcvMethod::TdesZeros)), chosen.kcv);
    Ok(chosen.kcv.to_string())
}

#[test]
fn the_day_and_the_expiry_decide_which_key_answers() {
    let old = entry("old", KEY, date!(2020 - 01 - 01));
    let new = KeyEntry {
        predecessor: Some(old.name.clone()),
        cards_expiring_from: Month::parse("2029-01"),
        ..entry("new", OTHER_KEY, date!(2026 - 06 - 01))
    };
    let keys = KeyringSource::new(keyring(&[old, new]), Vec::new());
    let kcv = |yymm, on| chosen(&keys, "4123456789012345", yymm, on);
    assert_eq!(kcv("2901", date!(2026 - 05 - 31)).unwrap(), "08D7B4");
    assert_eq!(kcv("2901", date!(2026 - 06 - 01)).unwrap(), "D5BE96");
    assert_eq!(kcv("2812", date!(2026 - 06 - 01)).unwrap(), "08D7B4");
    assert_eq!(kcv("2812", date!(2019 - 12 - 31)), Err(CvkError::NoKey));
}

#[test]
fn there_is_a_reason_where_there_is_no_key() {
    let verifying = KeyEntry { state: State::VerifyOnly, ..entry("a", KEY, date!(2020 - 01 - 01)) };
    let stripe = KeyEntry {
        kinds: vec![Kind::Cvv],
        bins: vec![BinRange::parse("512345").unwrap()],
        ..entry("b", OTHER_KEY, date!(2020 - 01 - 01))
    };
    let prepaid = vec![BinRange::parse("41234599").unwrap(), BinRange::parse("600000").unwrap()];
    let keys = KeyringSource::locked(prepaid);
    let why = |pan| chosen(&keys, pan, "2701", date!(2026 - 06 - 01)).unwrap_err();
    assert_eq!(why("4123456789012345"), CvkError::Locked);
    assert_eq!(why("4123459989012345"), CvkError::NoCvv2ForProduct, "with keys or without");

    keys.unlock(keyring(&[verifying, stripe]));
    assert_eq!(why("4123456789012345"), CvkError::NotAllowed);
    assert_eq!(why("5123456789012345"), CvkError::NoKey, "it is for the stripe");
    assert_eq!(why("4123459989012345"), CvkError::NoCvv2ForProduct);
    assert_eq!(why("6000006789012345"), CvkError::NoCvv2ForProduct);

    keys.lock();
    assert_eq!(why("4123456789012345"), CvkError::Locked);
}

#[test]
fn a_newer_keyring_takes_the_place_of_the_older() {
    let keys = KeyringSource::new(keyring(&[entry("a", KEY, date!(2020 - 01 - 01))]), Vec::new());
    let kcv = || chosen(&keys, "4123456789012345", "2701", date!(2026 - 06 - 01)).unwrap();
    assert_eq!(kcv(), "08D7B4");
    keys.unlock(keyring(&[entry("b", OTHER_KEY, date!(2020 - 01 - 01))]));
    assert_eq!(kcv(), "D5BE96");
}

#[test]
fn a_key_comes_into_force_at_midnight_on_the_services_wall() {
    let answer = |now: OffsetDateTime| {
        let keys =
            KeyringSource::new(keyring(&[entry("a", KEY, date!(2023 - 02 - 01))]), Vec::new());
        let service = CardServices::new(settings(), Arc::new(store()), Arc::new(keys), move || now);
        let answer = service.unwrap().handle(Function::GetCvv2, &caller(), REQUEST.as_bytes());
        read(&answer).code().to_owned()
    };
    // The settings have +04:00.
    assert_eq!(answer(datetime!(2023-01-31 19:59:59 UTC)), "401");
    assert_eq!(answer(datetime!(2023-01-31 20:00:00 UTC)), "000");
}
