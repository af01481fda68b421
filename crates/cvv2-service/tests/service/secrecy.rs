//! No failure, error text or `Debug` tells more of a card than it may.

use cvv2_service::envelope::{Function, Request};
use cvv2_service::{Answer, Settings};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bank::{EXID, REQUEST, caller, read, request, service, settings};

/// Card data of a request, in the forms that could slip out.
fn slips(answer: &Answer, secret: &str) -> Option<String> {
    let response = str::from_utf8(&answer.json).unwrap();
    let cause = answer.outcome.cause.as_ref();
    let told = [
        response.to_owned(),
        format!("{answer:?}"),
        format!("{:#?}", answer.outcome),
        cause.map(ToString::to_string).unwrap_or_default(),
        cause.map(|cause| format!("{cause:?}")).unwrap_or_default(),
    ];
    told.into_iter().find(|text| text.contains(secret))
}

proptest! {
    /// Card references of every shape, in any node, however the request fails.
    #[test]
    fn no_failure_repeats_a_card_reference(
        secret in "[1-9][0-9]{12,31}",
        place in prop::sample::select(vec![
            "header/timestamp",
            "header/src_application",
            "header/msg_type",
            "header/msg_id",
            "header/msg_function",
            "header/bank_id",
            "header/instance_id",
            "body/card_identifier_id",
            "body/card_identifier_type",
            "body/expiry_date",
            "extra",
        ]),
        kind in prop::sample::select(vec!["EXID", "CONTRACT_NUMBER", "PAN"]),
        expiry in "[0-9]{4}",
        as_number: bool,
    ) {
        let value = if as_number { number(&secret) } else { json!(secret) };
        let request = request([
            ("body/card_identifier_type", json!(kind)),
            ("body/expiry_date", json!(expiry)),
            ("header/tracking_id", json!(null)),
            (place, value),
        ]);
        let answer = service().handle(Function::GetCvv2, &caller(), request.as_bytes());
        prop_assume!(answer.outcome.cause.is_some());
        prop_assert_eq!(slips(&answer, &secret), None);
        prop_assert!(read(&answer).body.is_null());
    }

    /// Requests that are broken in the middle of a reference.
    #[test]
    fn no_broken_document_is_quoted(
        cut in 0..REQUEST.len(),
        byte in any::<u8>(),
        insert: bool,
    ) {
        let mut request = REQUEST.as_bytes().to_vec();
        if insert {
            request.insert(cut, byte);
        } else {
            request.truncate(cut);
        }
        let answer = service().handle(Function::GetCvv2, &caller(), &request);
        prop_assume!(answer.outcome.cause.is_some());
        prop_assert_eq!(slips(&answer, EXID), None);
        prop_assert_eq!(slips(&answer, &EXID[6..16]), None);
    }
}

#[test]
fn a_key_that_occurs_twice_is_not_quoted() {
    let request = r#"{"4111111111111111":1,"4111111111111111":2}"#;
    let answer = service().handle(Function::GetCvv2, &caller(), request.as_bytes());
    assert_eq!(slips(&answer, "4111"), None);
}

#[test]
fn a_card_number_for_a_tracking_id_is_not_recorded() {
    let request = request([("header/tracking_id", json!("4111 1111 1111 1111"))]);
    let answer = service().handle(Function::GetCvv2, &caller(), request.as_bytes());
    assert_eq!(answer.outcome.tracking_id.as_deref(), Some("411111XXXXXX1111"));
    assert_eq!(slips(&answer, "1111 1111"), None);
}

#[test]
fn debug_of_a_success_shows_neither_cvv2_nor_reference() {
    let answer = service().handle(Function::GetCvv2, &caller(), REQUEST.as_bytes());
    let debug = format!("{answer:?} {answer:#?} {:?}", service());
    for secret in [EXID, "878", "48297467"] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn debug_of_a_request_shows_nothing_of_the_card() {
    let (seen, request) = Request::parse(Function::GetCvv2, REQUEST.as_bytes(), &settings());
    let debug = format!("{seen:?} {:?}", request.unwrap());
    for secret in [EXID, "2701", "48297467"] {
        assert!(!debug.contains(secret), "{debug}");
    }
    let strict = Settings::default();
    let wrong = REQUEST.replace(EXID, "99984100148297467163");
    let (_, refused) = Request::parse(Function::GetCvv2, wrong.as_bytes(), &strict);
    assert!(!format!("{:?}", refused.unwrap_err()).contains("99984"));
}

/// A number as JSON has it; one beyond 64 bits is a text of digits to `json!`.
fn number(digits: &str) -> Value {
    digits.parse::<u64>().map_or_else(|_| json!(digits), |number| json!(number))
}
