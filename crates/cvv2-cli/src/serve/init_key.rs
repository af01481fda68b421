//! `cvv2 serve init-key`: the service's own key.

use serde_json::json;

use crate::args::InitKeyArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;
use crate::service_key;

pub(super) fn run(args: &InitKeyArgs, print: Print) -> Result<Answer, Failure> {
    let kbpk = Place::of(&args.keyring)?.kbpk()?;
    let id = service_key::create(&args.file, &kbpk)?;
    let file = args.file.display();
    print.answer(
        format_args!(
            "created {file} (id {id}); without it no audit record can be verified, so keep a copy \
             in another place"
        ),
        &json!({ "file": args.file, "id": id }),
    )?;
    Ok(Answer::Done)
}
