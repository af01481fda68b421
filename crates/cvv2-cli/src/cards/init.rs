//! `cvv2 cards init`: an empty store, and its keys.

use cvv2_resolver::StoreKeys;
use serde_json::json;

use crate::args::CardsInitArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::check_values;
use crate::print::Print;
use crate::store::Place;
use crate::store_keys::{self, keys_failure};

/// Makes the store, and its keys unless they are there already.
pub(super) fn run(args: &CardsInitArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let made_keys = !place.keys.exists();
    if args.new_kbpk && !made_keys {
        // Before a KBPK is made that nothing would be under.
        return Err(Failure::BadInput(format!(
            "{}: the store's keys are there, under their KBPK; leave --new-kbpk out",
            place.keys.display()
        )));
    }
    let kbpk = if args.new_kbpk { place.new_kbpk()? } else { place.kbpk()? };
    let keys = if made_keys {
        // On disk before the store is: a crash between the two leaves keys that the next run uses,
        // never a store whose keys are lost.
        let keys = StoreKeys::generate().map_err(|e| keys_failure(&place.keys, e))?;
        store_keys::create(&place.keys, &keys, &kbpk)?;
        keys
    } else {
        store_keys::read(&place.keys, &kbpk)?
    };
    place.create(&keys)?;

    let (store, file, kcv) = (&place.cards, place.keys.display(), check_values(&kbpk));
    let origin = if made_keys { "new keys in" } else { "the keys of" };
    print.answer(
        format_args!(
            "created {store} under {origin} {file} (id {}), which are under the KBPK with the check \
             value {kcv}; without both no card of the store can be read, so keep copies in two other \
             places",
            keys.id()
        ),
        &json!({
            "store": place.cards.to_string(), "keys_file": place.keys,
            "keys_made": made_keys, "key_id": keys.id().to_string(),
            "kbpk": { "made": args.new_kbpk, "kcv": kbpk.kcv().to_string() },
        }),
    )?;
    Ok(Answer::Done)
}
