//! `cvv2 cards rewrap`: the store's keys under another KBPK.

use serde_json::json;

use crate::args::CardsRewrapArgs;
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::keyring::{check_values, file_source, load_kbpk};
use crate::print::Print;
use crate::store::Place;
use crate::store_keys;

/// Replaces the file of the store's keys by one under the other KBPK.
pub(super) fn run(args: &CardsRewrapArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let source = match (&args.to_kbpk_file, &args.to_config) {
        (Some(file), _) => file_source(file),
        (None, Some(config)) => Config::read(config)?.store_kbpk(),
        (None, None) => return Err(Failure::bad_input("give --to-kbpk-file or --to-config")),
    };
    let from = place.kbpk()?;
    let to = load_kbpk(&source, &place.keys, place.require)?;
    let keys = store_keys::rewrap(&place.keys, &from, &to)?;

    let (file, old, new) = (place.keys.display(), check_values(&from), check_values(&to));
    print.answer(
        format_args!(
            "the keys of {file} (id {}) are under the KBPK with the check value {new}; \
             {file}.previous is still under {old}: destroy it when the store opens",
            keys.id()
        ),
        &json!({
            "keys_file": place.keys, "key_id": keys.id().to_string(),
            "kbpk_kcv": to.kcv().to_string(), "previous_kbpk_kcv": from.kcv().to_string(),
        }),
    )?;
    Ok(Answer::Done)
}
