//! `cvv2 client list` and `check`: the file as the service reads it.

use cvv2_resolver::BankId;
use cvv2_service::CertificateFingerprint;
use cvv2_service::Scope;
use cvv2_service::auth::{Client, Clients, ClientsError};
use serde_json::{Value, json};

use crate::args::ClientFileArgs;
use crate::failure::{Answer, Failure};
use crate::print::{Print, json as print_json, line};

/// Shows every client, in the order of ids.
pub(super) fn run(args: &ClientFileArgs, print: Print) -> Result<Answer, Failure> {
    let clients = Clients::read(&args.file).map_err(|e| Failure::clients(&e))?;
    let clients = clients.list();
    if print.is_json() {
        let clients: Vec<_> = clients.into_iter().map(json).collect();
        print_json(&json!({ "clients": clients }))?;
        return Ok(Answer::Done);
    }
    for client in clients {
        line(text(client))?;
    }
    Ok(Answer::Done)
}

/// Says whether the service would take the file.
pub(super) fn check(args: &ClientFileArgs, print: Print) -> Result<Answer, Failure> {
    match Clients::read(&args.file) {
        Ok(clients) => {
            let count = clients.len();
            print.answer(
                format_args!("sound: {count} clients"),
                &json!({ "sound": true, "wrong": null, "clients": count }),
            )?;
            Ok(Answer::Done)
        }
        Err(error @ ClientsError::Text { .. }) => {
            let wrong = error.to_string();
            print.answer(
                format_args!("WRONG   {wrong}"),
                &json!({ "sound": false, "wrong": wrong, "clients": null }),
            )?;
            Ok(Answer::Negative)
        }
        Err(error) => Err(Failure::clients(&error)),
    }
}

/// A client, but for its secrets.
pub(super) fn json(client: &Client) -> Value {
    json!({
        "id": &*client.id,
        "disabled": client.disabled,
        "secrets": client.secrets.len(),
        "scopes": client.scopes.iter().map(Scope::name).collect::<Vec<_>>(),
        "banks": client.banks.iter().map(BankId::as_str).collect::<Vec<_>>(),
        "certificates":
            client.certificates.iter().map(CertificateFingerprint::to_string).collect::<Vec<_>>(),
        "token_lifetime_seconds": client.token_lifetime.map(|lifetime| lifetime.as_secs()),
    })
}

fn text(client: &Client) -> String {
    let scopes: Vec<_> = client.scopes.iter().map(Scope::name).collect();
    let banks: Vec<_> = client.banks.iter().map(BankId::as_str).collect();
    let mut text = format!("{}  {}  banks {}", client.id, scopes.join(","), banks.join(","));
    if client.secrets.len() > 1 {
        text.push_str("  two secrets");
    }
    if !client.certificates.is_empty() {
        text.push_str("  bound to a certificate");
    }
    if client.disabled {
        text.push_str("  disabled");
    }
    text
}
