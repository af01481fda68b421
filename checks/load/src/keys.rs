//! Fills a keyring as `cvv2 key` would, a thousand keys in one change.

use std::path::Path;

use cvv2::key::{Exportability, KeyBlockHeader, KeyBlockVersion, ModeOfUse};
use cvv2::secret::Protection;
use cvv2::{CvkPair, ExpiryOrder, KcvMethod, Policy};
use cvv2_keyring::ceremony::Terminal;
use cvv2_keyring::kbpk::KbpkSource;
use cvv2_keyring::{BinRange, Draft, KeyEntry, Kind, State, Token};
use time::macros::date;

use crate::Failure;
use crate::cards::bin;

/// Adds keys, each for a BIN of its own.
pub(crate) fn add(keyring: &Path, kbpk: &Path, keys: u32) -> Result<(), Failure> {
    let source = KbpkSource::File { path: kbpk.to_owned(), beside_keyring: false };
    let kbpk = source.load(keyring, Protection::Wiped, &mut Terminal::new())?.kbpk;
    let header = KeyBlockHeader::cvk(
        KeyBlockVersion::D,
        ModeOfUse::GenerateAndVerify,
        Exportability::NonExportable,
    );
    let mut draft = Draft::open(keyring, &kbpk)?;
    for key in 0..keys {
        let cvk = new_key()?;
        let mut padding = [0; CvkPair::KEY_BLOCK_PADDING_LEN];
        getrandom::fill(&mut padding)?;
        draft.import(KeyEntry {
            name: Token::parse(&format!("load-{key}"))?,
            scheme: Token::parse("visa")?,
            kinds: vec![Kind::Cvv2],
            bins: vec![BinRange::parse(&bin(key))?],
            expiry_order: ExpiryOrder::YyMm,
            state: State::Active,
            from: date!(2020 - 01 - 01),
            until: None,
            cards_expiring_from: None,
            predecessor: None,
            kcv: cvk.kcv(KcvMethod::TdesZeros).into(),
            block: cvk.to_key_block(&header, &kbpk, &padding)?,
        })?;
    }
    draft.commit()?;
    Ok(())
}

fn new_key() -> Result<CvkPair, Failure> {
    let mut key = [0; CvkPair::LEN];
    getrandom::fill(&mut key)?;
    for byte in &mut key {
        *byte ^= u8::from(byte.count_ones().is_multiple_of(2)); // odd parity
    }
    Ok(CvkPair::from_bytes(&key, ExpiryOrder::YyMm, Policy::Strict)?)
}
