//! From the text of a file of clients to its entries, and back.

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

use cvv2_keyring::Token as Name;
use cvv2_resolver::BankId;
use serde::Deserialize;
use toml::Spanned;

use super::error::{ClientsCause, ClientsError};
use super::{Client, Clients};
use crate::auth::client_secret::SecretHash;
use crate::auth::settings::LIFETIME_SECONDS;
use crate::certificate_fingerprint::CertificateFingerprint;
use crate::scope::{Scope, Scopes};

/// An entry, and where what changes of it is in the text.
pub(super) struct Placed {
    pub(super) client: Client,
    /// From its heading to its last value.
    pub(super) whole: Range<usize>,
    pub(super) id: Range<usize>,
    pub(super) secrets: Range<usize>,
    pub(super) disabled: Option<Range<usize>>,
}

/// The text of a file without clients.
pub(super) const EMPTY: &str = "\
# API clients. This file holds no secret in clear, but nobody else has to see it: mode 0600. It may
# be edited by hand and is checked as a whole when it is loaded.
format = 1
";

/// Reads the text.
pub(super) fn parse(text: &str) -> Result<Vec<Placed>, ClientsError> {
    let at = |at: usize, cause| ClientsError::at(text, at, cause);
    // The parser's own message quotes the text.
    let file: File = toml::from_str(text).map_err(|error| {
        at(error.span().map_or(0, |span| span.start), ClientsCause::NotUnderstood)
    })?;
    if *file.format.get_ref() != 1 {
        return Err(at(file.format.span().start, ClientsCause::Format));
    }
    let mut ids = HashSet::new();
    let mut clients = Vec::new();
    for entry in file.client {
        let table = entry.span();
        if clients.len() == Clients::MAX {
            return Err(at(table.start, ClientsCause::TooMany { max: Clients::MAX }));
        }
        let entry = entry.into_inner();
        let id = entry.id.span();
        let placed = entry.read(table.start).map_err(|(place, cause)| at(place, cause))?;
        if !ids.insert(placed.client.id.clone()) {
            return Err(at(id.start, ClientsCause::Repeated));
        }
        clients.push(placed);
    }
    Ok(clients)
}

/// The text of an entry, from its heading to its last line.
pub(super) fn to_toml(client: &Client) -> String {
    let list = |items: Vec<String>| {
        let quoted: Vec<_> = items.iter().map(|item| format!("\"{item}\"")).collect();
        format!("[{}]", quoted.join(", "))
    };
    // No text of these has a character that TOML would have escaped.
    let mut text = format!(
        "[[client]]\nid = \"{}\"\nsecrets = {}\nscopes = {}\nbanks = {}\n",
        client.id,
        secrets_to_toml(&client.secrets),
        list(client.scopes.iter().map(|scope| scope.name().to_owned()).collect()),
        list(client.banks.iter().map(ToString::to_string).collect()),
    );
    if !client.certificates.is_empty() {
        let certificates =
            client.certificates.iter().map(CertificateFingerprint::to_string).collect();
        let _ = writeln!(text, "certificates = {}", list(certificates));
    }
    if let Some(lifetime) = client.token_lifetime {
        let _ = writeln!(text, "token_lifetime_seconds = {}", lifetime.as_secs());
    }
    if client.disabled {
        text.push_str("disabled = true\n");
    }
    text
}

/// The hashes of a client, as a list.
pub(super) fn secrets_to_toml(secrets: &[SecretHash]) -> String {
    let quoted: Vec<_> = secrets.iter().map(|hash| format!("\"{}\"", hash.to_phc())).collect();
    format!("[{}]", quoted.join(", "))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Spanned<i64>,
    #[serde(default)]
    client: Vec<Spanned<Entry>>,
}

type List = Spanned<Vec<Spanned<String>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    secrets: List,
    scopes: List,
    banks: List,
    certificates: Option<List>,
    token_lifetime_seconds: Option<Spanned<u64>>,
    disabled: Option<Spanned<bool>>,
}

type Fault = (usize, ClientsCause);

impl Entry {
    fn read(self, heading: usize) -> Result<Placed, Fault> {
        let at = |place: Range<usize>, cause| (place.start, cause);
        let whole = heading..self.end();
        let id = Name::parse(self.id.get_ref())
            .map_err(|error| at(self.id.span(), ClientsCause::Id(error)))?;
        let secrets = list(&self.secrets, Client::SECRETS_MAX, |text| {
            SecretHash::parse(text).map_err(ClientsCause::Secret)
        })?;
        if secrets.iter().any(|hash| hash.salt() != secrets[0].salt()) {
            return Err(at(self.secrets.span(), ClientsCause::Salts));
        }
        let scopes = list(&self.scopes, Scope::ALL.len(), |text| {
            Scope::by_name(text).ok_or(ClientsCause::Scope)
        })?;
        let banks = list(&self.banks, Client::BANKS_MAX, |text| {
            BankId::parse(text).map_err(ClientsCause::Bank)
        })?;
        let certificates = self.certificates.as_ref().map_or(Ok(Vec::new()), |certificates| {
            list(certificates, Client::CERTIFICATES_MAX, |text| {
                text.parse::<CertificateFingerprint>().ok().ok_or(ClientsCause::Certificate)
            })
        })?;
        let lifetime = self.token_lifetime_seconds;
        if let Some(wrong) = lifetime.as_ref().filter(|it| !LIFETIME_SECONDS.contains(it.get_ref()))
        {
            return Err(at(wrong.span(), ClientsCause::Lifetime));
        }
        let client = Client {
            id,
            secrets,
            scopes: scopes.into_iter().collect::<Scopes>(),
            banks,
            certificates,
            token_lifetime: lifetime.map(|seconds| Duration::from_secs(seconds.into_inner())),
            disabled: self.disabled.as_ref().is_some_and(|disabled| *disabled.get_ref()),
        };
        Ok(Placed {
            client,
            whole,
            id: self.id.span(),
            secrets: self.secrets.span(),
            disabled: self.disabled.map(|disabled| disabled.span()),
        })
    }
}

impl Entry {
    /// Where its last value ends.
    fn end(&self) -> usize {
        let ends = [
            self.id.span().end,
            self.secrets.span().end,
            self.scopes.span().end,
            self.banks.span().end,
            self.certificates.as_ref().map_or(0, |it| it.span().end),
            self.token_lifetime_seconds.as_ref().map_or(0, |it| it.span().end),
            self.disabled.as_ref().map_or(0, |it| it.span().end),
        ];
        ends.into_iter().fold(0, usize::max)
    }
}

/// Reads a list of at least one and at most `max` values, no two alike.
fn list<T: PartialEq>(
    list: &List,
    max: usize,
    read: impl Fn(&str) -> Result<T, ClientsCause>,
) -> Result<Vec<T>, Fault> {
    let at = list.span().start;
    match list.get_ref().len() {
        0 => return Err((at, ClientsCause::Empty)),
        len if len > max => return Err((at, ClientsCause::TooMany { max })),
        _ => {}
    }
    let mut values = Vec::new();
    for item in list.get_ref() {
        let at = item.span().start;
        let value = read(item.get_ref()).map_err(|cause| (at, cause))?;
        if values.contains(&value) {
            return Err((at, ClientsCause::Repeated));
        }
        values.push(value);
    }
    Ok(values)
}
