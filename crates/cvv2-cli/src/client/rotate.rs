//! `cvv2 client rotate`: from one secret to the next, without a moment in which neither counts.

use cvv2_service::auth::ClientSecret;

use super::{changed, client_json, open, show_secret};
use crate::args::ClientIdArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Gives a client a second secret.
pub(super) fn run(args: &ClientIdArgs, print: Print) -> Result<Answer, Failure> {
    let mut draft = open(&args.file)?;
    let secret = ClientSecret::generate().map_err(Failure::system)?;
    draft
        .add_secret(&args.id, |first| first.of_successor(&secret))
        .map_err(|e| Failure::clients(&e))?;
    let client = client_json(&draft, &args.id)?;
    draft.commit().map_err(|e| Failure::clients(&e))?;
    let told = format!(
        "{} has a second secret, which is shown this once; when it is in use, take the first away \
         with --finish",
        args.id
    );
    show_secret(secret.expose(), &client, &told, print)?;
    Ok(Answer::Done)
}

/// Takes the first of two secrets away.
pub(super) fn finish(args: &ClientIdArgs, print: Print) -> Result<Answer, Failure> {
    let mut draft = open(&args.file)?;
    draft.drop_older_secret(&args.id).map_err(|e| Failure::clients(&e))?;
    let client = client_json(&draft, &args.id)?;
    draft.commit().map_err(|e| Failure::clients(&e))?;
    changed(&client, format!("{} has only its newer secret", args.id), print)
}
