//! `cvv2 demo`: the main job with nothing prepared.
//!
//! What it prepares is what an operator would: a KBPK, a keyring with one key, a card store with one
//! card, a configuration. Then it answers the published request as `cvv2 get` does. Its clock stands at the
//! time of the request, so that the answer is the same on every day.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use cvv2::{CvkPair, Expiry, ExpiryOrder, Pan, Policy};
use cvv2_keyring::{BinRange, Draft, KeyEntry, Keyring, KeyringError, Kind, State, Token};
use cvv2_resolver::{BankId, CardRecord, CardRef, CardStatus, Exid, ExidForm, Plastic, StoreKeys};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::{date, datetime};

use crate::args::DemoArgs;
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::key::Material;
use crate::keyring::Place;
use crate::{get, store, store_keys};

/// The published request, to the letter.
const REQUEST: &str = include_str!("demo/request.json");
const CONFIG: &str = include_str!("demo/cvv2.toml");
/// A key of published test vectors. No issuer has it.
const TEST_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// The BIN of the card.
const BIN: &str = "412345";
/// A PAN of published test vectors, which no cardholder has: it fails the Luhn check.
const PAN: &str = "4123456789012345";
/// EXID, bank and expiry as the request has them.
const EXID: &str = "99984100148297467162";
pub(crate) const BANK: &str = "NIC";
/// When the request was made.
pub(crate) const NOW: OffsetDateTime = datetime!(2020-07-20 10:49:02.366 +4);
const EXPIRY: &str = "2701";

/// Prepares a directory, answers the published request, and tells what happened.
pub(crate) fn run(args: &DemoArgs) -> Result<Answer, Failure> {
    let directory = directory(args.keep)?;
    let place = directory.path();
    eprintln!("Preparing {}:", place.display());
    let config = prepare(place, "")?;
    eprintln!("  keyring/    a keyring with the published test key {TEST_KEY},");
    eprintln!("              in a key block for CVV2s of the BIN {BIN}");
    eprintln!("              beside it the keys of the card store, wrapped likewise");
    eprintln!("  kbpk        the key that protects both, made just now");
    eprintln!("  cards/      a sealed store with one card: EXID {EXID} of bank {BANK},");
    eprintln!("              which is the PAN {PAN}, expiry {EXPIRY} (YYMM)");
    eprintln!("  cvv2.toml   the configuration\n");
    eprintln!("The published request:\n{}\n", REQUEST.trim_end());
    eprintln!("The response, dated as the request is:");

    let answer = get::answer(&config, || NOW, REQUEST.as_bytes())?;

    // As it was called, so that a line can be copied.
    let cvv2 = std::env::args().next().unwrap_or_else(|| "cvv2".to_owned());
    eprintln!("\nNext:");
    eprintln!("- see each step of this value:\n    {cvv2} explain --test-key {TEST_KEY} \\");
    eprintln!("      --expiry-order yymm --pan {PAN} --expiry {EXPIRY}");
    eprintln!("- run all test vectors:\n    {cvv2} vectors vectors/");
    if args.keep {
        let place = place.display();
        eprintln!("- ask again:\n    {cvv2} get {place}/request.json --config {place}/cvv2.toml");
        eprintln!("- look at the keyring:\n    {cvv2} key list --config {place}/cvv2.toml");
        eprintln!("The directory stays: {place}");
    } else {
        eprintln!("- keep what was prepared, and ask again:\n    {cvv2} demo --keep");
        directory.close().map_err(|e| Failure::System(format!("the demo's directory: {e}")))?;
        eprintln!("The directory is deleted; nothing is left behind.");
    }
    Ok(answer)
}

/// A throw-away directory, or one that stays.
pub(crate) fn directory(keep: bool) -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("cvv2-demo-")
        .disable_cleanup(keep)
        .tempdir()
        .map_err(|e| Failure::System(format!("no throw-away directory: {e}")))
}

/// Makes a keyring, a card store, the request, and a configuration with `more` behind it.
pub(crate) fn prepare(place: &Path, more: &str) -> Result<Config, Failure> {
    let config = format!("{CONFIG}{more}");
    for (name, content) in [("request.json", REQUEST), ("cvv2.toml", &config)] {
        let path = place.join(name);
        fs::write(&path, content).map_err(|e| Failure::file(&path, &e))?;
    }
    let config = Config::read(&place.join("cvv2.toml"))?;
    prepare_keyring(&config)?;
    prepare_cards(&config)?;
    Ok(config)
}

fn prepare_keyring(config: &Config) -> Result<(), Failure> {
    let place = Place::configured(config)?;
    let folder = place.path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().mode(0o700).create(folder).map_err(|e| Failure::file(folder, &e))?;
    let kbpk = place.new_kbpk()?;

    let cvk = CvkPair::from_hex(TEST_KEY, ExpiryOrder::YyMm, Policy::Strict);
    let Material { block, kcv } = Material::seal(&cvk.map_err(Failure::system)?, &kbpk)?;
    let entry = KeyEntry {
        name: Token::parse("demo").map_err(Failure::system)?,
        scheme: Token::parse("visa").map_err(Failure::system)?,
        kinds: vec![Kind::Cvv2],
        bins: vec![BinRange::parse(BIN).map_err(Failure::system)?],
        expiry_order: ExpiryOrder::YyMm,
        state: State::Active,
        from: date!(2020 - 01 - 01),
        until: None,
        cards_expiring_from: None,
        predecessor: None,
        kcv,
        block,
    };
    let import = || -> Result<(), KeyringError> {
        Keyring::create(&place.path, &kbpk)?;
        let mut draft = Draft::open(&place.path, &kbpk)?;
        draft.import(entry)?;
        draft.commit()?;
        Ok(())
    };
    import().map_err(|e| Failure::keyring(&e))
}

fn prepare_cards(config: &Config) -> Result<(), Failure> {
    let keys = StoreKeys::generate().map_err(Failure::system)?;
    let place = store::Place::configured(config)?;
    store_keys::create(&place.keys, &keys, &place.kbpk()?)?;
    let store = place.create(&keys)?;
    let bank = BankId::parse(BANK).map_err(Failure::system)?;
    let exid = Exid::parse(EXID, ExidForm::Strict).map_err(Failure::system)?;
    let pan = Pan::parse(PAN).map_err(Failure::system)?;
    let expiry = Expiry::parse_yymm(EXPIRY).map_err(Failure::system)?;
    let plastics = vec![Plastic::new(expiry, 1, CardStatus::Active)];
    let card = CardRecord::new(pan, CardStatus::Active, plastics).map_err(Failure::system)?;
    store.put(&bank, &[CardRef::from(exid)], &card).map_err(|e| store::store_failure(&e))
}
