//! `cvv2 cards keys`: the store's keys by name, and keys that lay in clear.

use cvv2_keyring::{secret_file, wrapped};
use cvv2_resolver::{KeyVersion, StoreKeys};
use serde_json::json;

use crate::args::CardsKeysImportArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::check_values;
use crate::print::Print;
use crate::store::Place;
use crate::store_keys::{self, PURPOSE, keys_failure};

/// Lists the keys, after each was opened.
pub(super) fn list(place: &Place, print: Print) -> Result<Answer, Failure> {
    let kbpk = place.kbpk()?;
    let keys = wrapped::read(&place.keys, PURPOSE, &kbpk).map_err(|e| Failure::wrapped(&e))?;
    let mut text = format!("KBPK {}", check_values(&kbpk));
    let mut listed = Vec::with_capacity(keys.len());
    for key in &keys {
        use std::fmt::Write as _;
        let (name, version, key_use) = (&*key.name, key.version, key.key_use.name());
        let id = key.id(PURPOSE);
        let kcv = key.check_value().map_err(|e| Failure::wrapped(&e))?.to_string();
        write!(text, "\n{name:<8} {version:>3}  {key_use:<10}  id {id}  check value {kcv}")
            .expect("a String takes everything");
        listed.push(json!({
            "name": name, "version": version, "use": key_use, "id": id, "kcv": kcv,
        }));
    }
    print.answer(text, &json!({ "kbpk_kcv": kbpk.kcv().to_string(), "keys": listed }))?;
    Ok(Answer::Done)
}

/// Takes the keys of a clear file over.
pub(super) fn import(
    args: &CardsKeysImportArgs,
    place: &Place,
    print: Print,
) -> Result<Answer, Failure> {
    let kbpk = place.kbpk()?;
    let text = secret_file::read(&args.clear).map_err(|e| Failure::key_file(&e))?;
    let keys =
        StoreKeys::from_hex(text.as_str()).map_err(|error| keys_failure(&args.clear, error))?;
    // The store proves that these are its keys, all of them.
    let proved = place.is_opened_by(&keys)?;
    store_keys::create(&place.keys, &keys, &kbpk)?;

    let (file, clear) = (place.keys.display(), args.clear.display());
    let fit = if proved { "the store opens with them" } else { "there is no store to try them on" };
    print.answer(
        format_args!(
            "{file} holds the keys (id {}), and {fit}; destroy {clear} and every copy of it",
            keys.id()
        ),
        &json!({
            "keys_file": place.keys, "key_id": keys.id().to_string(),
            "versions": keys.versions().map(KeyVersion::number).collect::<Vec<_>>(),
            "proved": proved,
        }),
    )?;
    Ok(Answer::Done)
}
