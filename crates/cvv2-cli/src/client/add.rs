//! `cvv2 client add`.

use std::time::Duration;

use cvv2_keyring::Token as Name;
use cvv2_resolver::BankId;
use cvv2_service::CertificateFingerprint;
use cvv2_service::auth::{Client, ClientSecret, ClientsDraft, LIFETIME_SECONDS, SecretHash};
use cvv2_service::{Scope, Scopes};

use super::{client_json, open, show_secret};
use crate::args::ClientAddArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Adds a client to the file, which is made if it is not there.
pub(super) fn run(args: &ClientAddArgs, print: Print) -> Result<Answer, Failure> {
    let file = &args.which.file;
    let secret = ClientSecret::generate().map_err(Failure::system)?;
    let client = client(args, &secret)?;
    if !file.try_exists().map_err(|e| Failure::file(file, &e))? {
        ClientsDraft::create(file).map_err(|e| Failure::clients(&e))?;
    }
    let mut draft = open(file)?;
    draft.add(client).map_err(|e| Failure::clients(&e))?;
    let (id, client) = (&args.which.id, client_json(&draft, &args.which.id)?);
    draft.commit().map_err(|e| Failure::clients(&e))?;
    let told = format!("{id} is in the file; its secret is shown this once");
    show_secret(secret.expose(), &client, &told, print)?;
    Ok(Answer::Done)
}

fn client(args: &ClientAddArgs, secret: &ClientSecret) -> Result<Client, Failure> {
    let lifetime = args.token_lifetime;
    if lifetime.is_some_and(|seconds| !LIFETIME_SECONDS.contains(&seconds)) {
        return Err(Failure::bad_input("--token-lifetime: give 60 to 86400 seconds"));
    }
    Ok(Client {
        id: Name::parse(&args.which.id).map_err(|e| Failure::BadInput(format!("--id: {e}")))?,
        scopes: scopes(&args.scopes)?,
        banks: args.banks.iter().map(|code| bank(code)).collect::<Result<_, _>>()?,
        certificates: args
            .certificates
            .iter()
            .map(|hex| certificate(hex))
            .collect::<Result<_, _>>()?,
        token_lifetime: lifetime.map(Duration::from_secs),
        disabled: false,
        // The last, as it takes a while.
        secrets: vec![SecretHash::of(secret).map_err(Failure::system)?],
    })
}

fn scopes(names: &[String]) -> Result<Scopes, Failure> {
    let scopes: Option<Scopes> = names.iter().map(|name| Scope::by_name(name)).collect();
    scopes.ok_or_else(|| {
        Failure::bad_input("--scope: give cvv2:generate, cvv2:verify or cvv2:administer")
    })
}

fn bank(code: &str) -> Result<BankId, Failure> {
    BankId::parse(code).map_err(|e| Failure::BadInput(format!("--bank: {e}")))
}

fn certificate(hex: &str) -> Result<CertificateFingerprint, Failure> {
    hex.parse::<CertificateFingerprint>().ok().ok_or_else(|| {
        Failure::bad_input(
            "--certificate: give 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` \
             prints them",
        )
    })
}
