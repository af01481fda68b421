//! `cvv2 client signing-key`.

use cvv2_service::auth::SigningKeys;
use serde_json::json;
use time::OffsetDateTime;

use crate::args::SigningKeyArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Makes a key in the folder.
pub(super) fn run(args: &SigningKeyArgs, print: Print) -> Result<Answer, Failure> {
    let path = SigningKeys::generate(&args.folder, OffsetDateTime::now_utc())
        .map_err(|e| Failure::signing_keys(&e))?;
    // It would not help to have made a key beside which another stops the service.
    SigningKeys::read(&args.folder).map_err(|e| Failure::signing_keys(&e))?;
    print.answer(
        format_args!("made {}; a service that reloads signs with it from then on", path.display()),
        &json!({ "signing_key": path }),
    )?;
    Ok(Answer::Done)
}
