//! Verify CVV2: who may, what is compared, and what is told.

use std::sync::Arc;

use cvv2::Verdict;
use cvv2_keyring::{BinRange, KeyEntry, State};
use cvv2_resolver::{CardStatus, CardStore, MemoryStore};
use cvv2_service::envelope::Function;
use cvv2_service::{Answer, Caller, CardServices, Cause, KeyringSource, Scope, Scopes};
use serde_json::{Value, json};
use time::macros::date;

use crate::bank::{
    BANK, EXID, KEY, NOW, all_scopes, bank, caller, card, exid, keys, plastic, request, service,
    settings, store,
};
use crate::keys::{OTHER_KEY, entry, keyring};

/// The CVV2 of the published request's card under the other key, computed with OpenSSL's DES.
const OTHER_CVV2: &str = "244";

/// The published request as one to verify, with fields set to other values.
fn verify<'a>(cvv2: &Value, changes: impl IntoIterator<Item = (&'a str, Value)>) -> String {
    let ours = [("header/msg_function", json!("REQ_VERIFY_CVV2")), ("body/cvv2", cvv2.clone())];
    request(ours.into_iter().chain(changes)).replace("request_get_cvv2", "request_verify_cvv2")
}

fn handle(service: &CardServices, caller: &Caller, request: &str) -> (Answer, Value) {
    let answer = service.handle(Function::VerifyCvv2, caller, request.as_bytes());
    let document: Value = serde_json::from_slice(&answer.json).unwrap();
    let response = document["NISrvResponse"]["response_verify_cvv2"].clone();
    assert!(response.is_object(), "{document}");
    (answer, response)
}

fn code(response: &Value) -> &str {
    response["exception_details"]["error_code"].as_str().unwrap()
}

#[test]
fn a_match_and_a_mismatch_are_told_and_the_value_never() {
    for (typed, verdict, told) in
        [("878", Verdict::Match, "MATCH"), ("877", Verdict::Mismatch, "MISMATCH")]
    {
        let (answer, response) = handle(&service(), &caller(), &verify(&json!(typed), []));
        assert_eq!((code(&response), answer.http_status), ("000", 200));
        assert_eq!(response["header"]["msg_function"], "REP_VERIFY_CVV2");
        let body = json!({
            "card_identifier_id": EXID,
            "card_identifier_type": "EXID",
            "verification": told,
            "expiry_date": "2701",
        });
        assert_eq!(response["body"], body);
        assert_eq!(answer.outcome.verdict, Some(verdict));
        assert_eq!(answer.outcome.kcv.unwrap().to_string(), "08D7B4");
        assert_eq!(answer.outcome.function, Function::VerifyCvv2);
        // What was computed is in no answer, and what was typed is in no outcome.
        let told = str::from_utf8(&answer.json).unwrap().replace(EXID, "");
        assert!(!told.contains("878"), "{told}");
        assert!(!format!("{:?}", answer.outcome).contains(typed));
    }
}

#[test]
fn every_other_value_is_a_mismatch() {
    let service = service();
    let matches = (0..1000)
        .map(|value| format!("{value:03}"))
        .filter(|typed| {
            let (_, response) = handle(&service, &caller(), &verify(&json!(typed), []));
            response["body"]["verification"] == "MATCH"
        })
        .collect::<Vec<_>>();
    assert_eq!(matches, ["878"]);
}

#[test]
fn a_value_that_is_none_is_refused_by_name() {
    for (typed, expected, description) in [
        (json!(null), "102", "cvv2 is missing"),
        (json!(""), "102", "cvv2 is missing"),
        (json!(878), "103", "cvv2 is not a string"),
        (json!("8780"), "103", "cvv2 has more than 3 characters"),
        (json!("87"), "103", "cvv2: "),
        (json!("8 8"), "103", "cvv2: "),
        (json!("８78"), "103", "cvv2: "),
    ] {
        let (answer, response) = handle(&service(), &caller(), &verify(&typed, []));
        assert_eq!((code(&response), answer.http_status), (expected, 400), "{typed}");
        let told = response["exception_details"]["error_description"].as_str().unwrap();
        assert!(told.starts_with(description), "{told}");
        assert!(response["body"].is_null());
    }
}

#[test]
fn one_function_does_not_do_the_others_work() {
    let service = service();
    let get = crate::bank::REQUEST;
    let verifying = verify(&json!("878"), []);
    let mixed = verify(&json!("878"), [("header/msg_function", json!("REQ_GET_CVV2"))]);
    for (function, request, expected) in [
        (Function::VerifyCvv2, get, "101"),
        (Function::GetCvv2, &verifying, "101"),
        (Function::VerifyCvv2, &mixed, "104"),
    ] {
        let answer = service.handle(function, &caller(), request.as_bytes());
        assert_eq!(answer.outcome.code.code(), expected);
    }
}

#[test]
fn each_function_asks_for_its_own_scope() {
    let get = crate::bank::REQUEST.to_owned();
    let verifying = verify(&json!("878"), []);
    for bits in 0..8 {
        let scopes: Scopes = Scope::ALL
            .into_iter()
            .enumerate()
            .filter(|(at, _)| bits >> at & 1 == 1)
            .map(|(_, s)| s)
            .collect();
        for of_bank in [BANK, "OTHR"] {
            let caller = Caller::new("ivr", [bank(of_bank)], scopes);
            for (function, request, scope) in [
                (Function::GetCvv2, &get, Scope::Generate),
                (Function::VerifyCvv2, &verifying, Scope::Verify),
            ] {
                let answer = service().handle(function, &caller, request.as_bytes());
                if scopes.has(scope) && of_bank == BANK {
                    assert!(answer.outcome.cause.is_none());
                } else {
                    assert!(matches!(answer.outcome.cause, Some(Cause::NotEntitled)));
                    assert!(!str::from_utf8(&answer.json).unwrap().contains("body"));
                }
            }
        }
    }
}

#[test]
fn unknown_references_and_wrong_expiries_are_no_mismatch_but_alike() {
    let service = service();
    let unknown = json!("20000000000000000006");
    let answers = [
        verify(&json!("878"), [("body/card_identifier_id", unknown)]),
        verify(&json!("878"), [("body/expiry_date", json!("2702"))]),
    ]
    .map(|request| handle(&service, &caller(), &request));
    assert_eq!(code(&answers[0].1), "301");
    assert_eq!(answers[0].0.json, answers[1].0.json);
}

#[test]
fn during_a_rotation_both_keys_verify() {
    let old = entry("old", KEY, date!(2020 - 01 - 01));
    let new = KeyEntry {
        predecessor: Some(old.name.clone()),
        ..entry("new", OTHER_KEY, date!(2023 - 01 - 01))
    };
    let keys = KeyringSource::new(keyring(&[old, new]), Vec::new());
    let service = CardServices::new(settings(), Arc::new(store()), Arc::new(keys), || NOW).unwrap();
    for (typed, told) in [("878", "MATCH"), (OTHER_CVV2, "MATCH"), ("000", "MISMATCH")] {
        let (answer, response) = handle(&service, &caller(), &verify(&json!(typed), []));
        assert_eq!(response["body"]["verification"], told, "{typed}");
        assert_eq!(answer.outcome.kcv.unwrap().to_string(), "D5BE96", "of the key in force");
    }
}

#[test]
fn a_key_that_verifies_only_does_and_one_for_others_does_not() {
    let verdict = |entry: KeyEntry| {
        let keys = KeyringSource::new(keyring(&[entry]), Vec::new());
        let service =
            CardServices::new(settings(), Arc::new(store()), Arc::new(keys), || NOW).unwrap();
        let get = service.handle(Function::GetCvv2, &caller(), crate::bank::REQUEST.as_bytes());
        let (answer, _) = handle(&service, &caller(), &verify(&json!("878"), []));
        (get.outcome.code.code(), answer.outcome.code.code())
    };
    let from = date!(2020 - 01 - 01);
    assert_eq!(
        verdict(KeyEntry { state: State::VerifyOnly, ..entry("a", KEY, from) }),
        ("403", "000")
    );
    assert_eq!(
        verdict(KeyEntry { state: State::Retired, ..entry("a", KEY, from) }),
        ("403", "403")
    );
    let bins = vec![BinRange::parse("512345").unwrap()];
    assert_eq!(verdict(KeyEntry { bins, ..entry("a", KEY, from) }), ("401", "401"));
}

#[test]
fn status_and_date_decide_here_too() {
    for (status, yymm, expected) in [
        (CardStatus::Blocked, "2701", "304"),
        (CardStatus::Active, "2301", "303"),
        (CardStatus::Active, "2302", "000"),
    ] {
        let store = MemoryStore::new();
        let record = card(status, vec![plastic(yymm, CardStatus::Active)]);
        store.put(&bank(BANK), &[exid(EXID)], &record).unwrap();
        let service =
            CardServices::new(settings(), Arc::new(store), Arc::new(keys()), || NOW).unwrap();
        let request = verify(&json!("878"), [("body/expiry_date", json!(yymm))]);
        let (_, response) =
            handle(&service, &Caller::new("ivr", [bank(BANK)], all_scopes()), &request);
        assert_eq!(code(&response), expected);
    }
}
