//! `cvv2 key init`: a KBPK, and an empty keyring under it.

use cvv2_keyring::Keyring;
use serde_json::json;

use crate::args::InitArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::{Place, check_values};
use crate::print::Print;

/// Makes the KBPK, unless it is there already, and the keyring.
pub(super) fn run(args: &InitArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    if place.path.exists() {
        // Before a KBPK is made that no keyring would be under.
        return Err(Failure::BadInput(format!(
            "{}: there is such a file; give another name for a new keyring",
            place.path.display()
        )));
    }
    let kbpk = if args.existing_kbpk { place.kbpk()? } else { place.new_kbpk()? };
    Keyring::create(&place.path, &kbpk).map_err(|e| Failure::keyring(&e))?;

    let (path, kcv, algorithm) =
        (place.path.display(), check_values(&kbpk), kbpk.algorithm().name());
    let made = if args.existing_kbpk { "the KBPK that was there" } else { "a new KBPK" };
    print.answer(
        format_args!(
            "created {path} under {made}, {algorithm}, check value {kcv}; without that key no key \
             of the keyring can be opened, so keep a copy in another place"
        ),
        &json!({
            "keyring": place.path,
            "kbpk": { "made": !args.existing_kbpk, "algorithm": algorithm, "kcv": kbpk.kcv().to_string() },
        }),
    )?;
    Ok(Answer::Done)
}
