//! `cvv2 demo`: the main job with nothing prepared.
//!
//! What it prepares is what an operator would: a key file, a card store with one card, a
//! configuration. Then it answers the published request as `cvv2 get` does. Its clock stands at the
//! time of the request, so that the answer is the same on every day.

use std::fs;
use std::path::Path;

use cvv2::{Expiry, Pan};
use cvv2_keyring::secret_file;
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, EmbeddedStore, Exid, ExidForm, Plastic,
    StoreKeys,
};
use time::macros::datetime;

use crate::args::DemoArgs;
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::{cards, get};

/// The published request, to the letter.
const REQUEST: &str = include_str!("demo/request.json");
const CONFIG: &str = include_str!("demo/cvv2.toml");
/// A key of published test vectors. No issuer has it.
const TEST_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
/// A PAN of published test vectors, which no cardholder has: it fails the Luhn check.
const PAN: &str = "4123456789012345";
/// EXID, bank and expiry as the request has them.
const EXID: &str = "99984100148297467162";
const BANK: &str = "NIC";
const EXPIRY: &str = "2701";

/// Prepares a directory, answers the published request, and tells what happened.
pub(crate) fn run(args: &DemoArgs) -> Result<Answer, Failure> {
    let directory = tempfile::Builder::new()
        .prefix("cvv2-demo-")
        .disable_cleanup(args.keep)
        .tempdir()
        .map_err(|e| Failure::System(format!("no throw-away directory: {e}")))?;
    let place = directory.path();
    eprintln!("Preparing {}:", place.display());
    prepare(place)?;
    eprintln!("  test.cvk    the published test key {TEST_KEY}");
    eprintln!("  cards/      a sealed store with one card: EXID {EXID} of bank {BANK},");
    eprintln!("              which is the PAN {PAN}, expiry {EXPIRY} (YYMM)");
    eprintln!("  store.keys  the keys of that store");
    eprintln!("  cvv2.toml   the configuration\n");
    eprintln!("The published request:\n{}\n", REQUEST.trim_end());
    eprintln!("The response, dated as the request is:");

    let config = Config::read(&place.join("cvv2.toml"))?;
    let answer =
        get::answer(&config, || datetime!(2020-07-20 10:49:02.366 +4), REQUEST.as_bytes())?;

    // As it was called, so that a line can be copied.
    let cvv2 = std::env::args().next().unwrap_or_else(|| "cvv2".to_owned());
    eprintln!("\nNext:");
    eprintln!("- see each step of this value:\n    {cvv2} explain --test-key {TEST_KEY} \\");
    eprintln!("      --expiry-order yymm --pan {PAN} --expiry {EXPIRY}");
    eprintln!("- run all test vectors:\n    {cvv2} vectors vectors/");
    if args.keep {
        let place = place.display();
        eprintln!("- ask again:\n    {cvv2} get {place}/request.json --config {place}/cvv2.toml");
        eprintln!("The directory stays: {place}");
    } else {
        eprintln!("- keep what was prepared, and ask again:\n    {cvv2} demo --keep");
        directory.close().map_err(|e| Failure::System(format!("the demo's directory: {e}")))?;
        eprintln!("The directory is deleted; nothing is left behind.");
    }
    Ok(answer)
}

fn prepare(place: &Path) -> Result<(), Failure> {
    for (name, content) in [("request.json", REQUEST), ("cvv2.toml", CONFIG)] {
        let path = place.join(name);
        fs::write(&path, content).map_err(|e| Failure::file(&path, &e))?;
    }
    secret_file::create(&place.join("test.cvk"), TEST_KEY).map_err(|e| Failure::key_file(&e))?;

    let keys = StoreKeys::generate().map_err(Failure::system)?;
    secret_file::create(&place.join("store.keys"), &keys.to_hex())
        .map_err(|e| Failure::key_file(&e))?;
    let store =
        EmbeddedStore::create(place.join("cards"), &keys).map_err(|e| cards::store_failure(&e))?;
    let bank = BankId::parse(BANK).map_err(Failure::system)?;
    let exid = Exid::parse(EXID, ExidForm::Strict).map_err(Failure::system)?;
    let pan = Pan::parse(PAN).map_err(Failure::system)?;
    let expiry = Expiry::parse_yymm(EXPIRY).map_err(Failure::system)?;
    let plastics = vec![Plastic::new(expiry, 1, CardStatus::Active)];
    let card = CardRecord::new(pan, CardStatus::Active, plastics).map_err(Failure::system)?;
    store.put(&bank, &[CardRef::from(exid)], &card).map_err(|e| cards::store_failure(&e))
}
