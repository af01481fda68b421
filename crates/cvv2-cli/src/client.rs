//! `cvv2 client`: who may have a token of the service, and for what.

mod add;
mod change;
mod list;
mod rotate;
mod signing_key;

use std::path::Path;

use cvv2_service::auth::ClientsDraft;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{ClientArgs, ClientCommand};
use crate::failure::{Answer, Failure};
use crate::print::{Print, line};

/// Runs one of the subcommands on the file that its arguments name.
pub(crate) fn run(args: &ClientArgs, print: Print) -> Result<Answer, Failure> {
    match &args.command {
        ClientCommand::Add(args) => add::run(args, print),
        ClientCommand::Rotate(args) if args.finish => rotate::finish(&args.which, print),
        ClientCommand::Rotate(args) => rotate::run(&args.which, print),
        ClientCommand::Disable(args) => change::set_disabled(args, true, print),
        ClientCommand::Enable(args) => change::set_disabled(args, false, print),
        ClientCommand::Remove(args) => change::remove(args, print),
        ClientCommand::List(args) => list::run(args, print),
        ClientCommand::Check(args) => list::check(args, print),
        ClientCommand::SigningKey(args) => signing_key::run(args, print),
    }
}

/// Opens the file for a change.
fn open(file: &Path) -> Result<ClientsDraft, Failure> {
    ClientsDraft::open(file).map_err(|e| Failure::clients(&e))
}

/// A client as JSON: what `list` shows.
fn client_json(draft: &ClientsDraft, id: &str) -> Result<Value, Failure> {
    let clients = draft.clients().map_err(|e| Failure::clients(&e))?;
    Ok(clients.iter().find(|client| *client.id == *id).map_or(Value::Null, list::json))
}

/// Shows a secret for the one time: alone on standard output, so that it can go where it is needed.
fn show_secret(secret: &str, client: &Value, told: &str, print: Print) -> Result<(), Failure> {
    eprintln!("cvv2: {told}");
    if print.is_json() {
        // Written by hand, so that no copy of the secret is left in a JSON value.
        let client = serde_json::to_string(client).map_err(Failure::system)?;
        line(Zeroizing::new(format!("{{\"client\":{client},\"secret\":\"{secret}\"}}")).as_str())
    } else {
        line(secret)
    }
}

/// The answer of a change that shows nothing but what became of the client.
fn changed(client: &Value, told: String, print: Print) -> Result<Answer, Failure> {
    print.answer(told, &json!({ "client": client }))?;
    Ok(Answer::Done)
}
