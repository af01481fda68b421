//! `cvv2 key export`: a key block to pass on.

use cvv2::key::{Exportability, Kbpk, KeyBlock};
use cvv2_keyring::{KeyEntry, Keyring};
use serde_json::json;

use super::material::{random, rewrapped, version};
use crate::args::ExportArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Prints the key block of a key.
pub(super) fn run(args: &ExportArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let kbpk = place.kbpk()?;
    let keyring = Keyring::read(&place.path, &kbpk).map_err(|e| Failure::keyring(&e))?;
    let entry = keyring.get(&args.name).ok_or_else(Failure::no_such_key)?;
    if entry.block.header().exportability() == Exportability::NonExportable {
        return Err(Failure::bad_input(
            "the key is not exportable, as its key block says; ask its issuer for it",
        ));
    }
    let block = match &args.under {
        None if args.mode.is_none() && args.exportability.is_none() => entry.block.clone(),
        None => wrapped(args, &keyring, entry, &kbpk)?,
        Some(file) => wrapped(args, &keyring, entry, &place.shared_kbpk(file)?)?,
    };
    let kcv = entry.kcv.to_string();
    print.answer(
        &block,
        &json!({ "name": args.name.as_str(), "kcv": kcv, "block": block.as_str() }),
    )?;
    Ok(Answer::Done)
}

/// The key for a receiver who has this KBPK.
fn wrapped(
    args: &ExportArgs,
    keyring: &Keyring,
    entry: &KeyEntry,
    receiver: &Kbpk,
) -> Result<KeyBlock, Failure> {
    let cvk = keyring
        .cvk(&args.name)
        .ok_or_else(|| Failure::bad_input("the key is retired, and is not opened any more"))?;
    let own = entry.block.header();
    let refused = |e| Failure::key_block("the receiver's KBPK", &e);
    let header = rewrapped(own, version(receiver))
        .map_err(refused)?
        .with_mode(args.mode.unwrap_or(own.mode()))
        .with_exportability(args.exportability.unwrap_or(own.exportability()));
    cvk.to_key_block(&header, receiver, &random()?).map_err(refused)
}
