//! A bank with one card, its caller, and requests for it.

use std::sync::Arc;

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, Exid, ExidForm,
    MemoryStore, Plastic,
};
use cvv2_service::envelope::Function;
use cvv2_service::{Answer, Caller, CardServices, KeyringSource, Scope, Scopes, Settings};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::{date, datetime, offset};

use crate::keys::{entry, keyring};

/// The published request, to the letter.
pub(crate) const REQUEST: &str = include_str!("../data/request.json");
pub(crate) const BANK: &str = "NIC";
pub(crate) const EXID: &str = "99984100148297467162";
pub(crate) const PAN: &str = "4123456789012345";
/// Also a reference of that card.
pub(crate) const CONTRACT: &str = "4111111111111111";
/// A published test key.
pub(crate) const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
pub(crate) const NOW: OffsetDateTime = datetime!(2023-02-01 16:39:47.314 +4);

pub(crate) fn settings() -> Settings {
    Settings {
        application_name: "TCC-ADP".to_owned(),
        instance_id: "InstanceID".to_owned(),
        utc_offset: offset!(+4),
        ..Settings::default()
    }
}

pub(crate) fn expiry(yymm: &str) -> Expiry {
    Expiry::parse_yymm(yymm).unwrap()
}

pub(crate) fn bank(id: &str) -> BankId {
    BankId::parse(id).unwrap()
}

pub(crate) fn exid(text: &str) -> CardRef {
    Exid::parse(text, ExidForm::Any).unwrap().into()
}

pub(crate) fn contract(text: &str) -> CardRef {
    ContractNumber::parse(text).unwrap().into()
}

pub(crate) fn plastic(yymm: &str, status: CardStatus) -> Plastic {
    Plastic::new(expiry(yymm), 1, status)
}

pub(crate) fn all_scopes() -> Scopes {
    Scope::ALL.into_iter().collect()
}

pub(crate) fn card(status: CardStatus, plastics: Vec<Plastic>) -> CardRecord {
    CardRecord::new(Pan::parse(PAN).unwrap(), status, plastics).unwrap()
}

/// One active card with one plastic, under an EXID and a contract number.
pub(crate) fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let record = card(CardStatus::Active, vec![plastic("2701", CardStatus::Active)]);
    store.put(&bank(BANK), &[exid(EXID), contract(CONTRACT)], &record).unwrap();
    store
}

pub(crate) fn keys() -> KeyringSource {
    KeyringSource::new(keyring(&[entry("key", KEY, date!(2020 - 01 - 01))]), Vec::new())
}

pub(crate) fn caller() -> Caller {
    Caller::new("ivr", [bank(BANK)], all_scopes())
}

pub(crate) fn service() -> CardServices {
    service_with(settings(), store())
}

pub(crate) fn service_with(settings: Settings, store: impl CardStore + 'static) -> CardServices {
    CardServices::new(settings, Arc::new(store), Arc::new(keys()), || NOW).unwrap()
}

/// The published request with fields (`header/msg_id`) set to other values.
pub(crate) fn request<'a>(changes: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let mut request: Value = serde_json::from_str(REQUEST).unwrap();
    for (path, value) in changes {
        let mut node = &mut request["NISrvRequest"]["request_get_cvv2"];
        for name in path.split('/') {
            node = &mut node[name];
        }
        *node = value;
    }
    request.to_string()
}

/// An answer taken apart.
pub(crate) struct Read {
    pub(crate) http_status: u16,
    pub(crate) text: String,
    pub(crate) header: Value,
    pub(crate) exception: Value,
    pub(crate) body: Value,
}

impl Read {
    pub(crate) fn code(&self) -> &str {
        self.exception["error_code"].as_str().unwrap()
    }

    pub(crate) fn description(&self) -> &str {
        self.exception["error_description"].as_str().unwrap()
    }
}

pub(crate) fn read(answer: &Answer) -> Read {
    let text = str::from_utf8(&answer.json).unwrap().to_owned();
    let document: Value = serde_json::from_str(&text).unwrap();
    let response = &document["NISrvResponse"]["response_get_cvv2"];
    let [header, exception, body] =
        ["header", "exception_details", "body"].map(|node| response[node].clone());
    Read { http_status: answer.http_status, text, header, exception, body }
}

pub(crate) fn ask(request: &str) -> Read {
    read(&service().handle(Function::GetCvv2, &caller(), request.as_bytes()))
}
