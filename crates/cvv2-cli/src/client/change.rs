//! `cvv2 client disable`, `enable` and `remove`.

use super::{changed, client_json, open};
use crate::args::ClientIdArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Disables a client, or enables it.
pub(super) fn set_disabled(
    args: &ClientIdArgs,
    disabled: bool,
    print: Print,
) -> Result<Answer, Failure> {
    let mut draft = open(&args.file)?;
    draft.set_disabled(&args.id, disabled).map_err(|e| Failure::clients(&e))?;
    let client = client_json(&draft, &args.id)?;
    draft.commit().map_err(|e| Failure::clients(&e))?;
    let state = if disabled { "disabled" } else { "enabled" };
    changed(&client, format!("{} is {state}", args.id), print)
}

/// Takes a client out of the file.
pub(super) fn remove(args: &ClientIdArgs, print: Print) -> Result<Answer, Failure> {
    let mut draft = open(&args.file)?;
    draft.remove(&args.id).map_err(|e| Failure::clients(&e))?;
    let client = client_json(&draft, &args.id)?;
    draft.commit().map_err(|e| Failure::clients(&e))?;
    changed(&client, format!("{} is removed", args.id), print)
}
