//! The published request and its answer.

use cvv2_service::envelope::Function;
use cvv2_service::{ResponseFunction, Settings};
use serde_json::json;

use crate::bank::{REQUEST, ask, caller, read, request, service_with, settings, store};

#[test]
fn the_published_request_gets_this_document() {
    // The CVV2 was computed with OpenSSL's DES, step by step.
    let expected = include_str!("../data/response.json");
    let compact: String = expected.split_whitespace().collect();
    let answer = ask(REQUEST);
    assert_eq!((answer.http_status, answer.text), (200, compact));
}

#[test]
fn the_samples_function_is_a_setting() {
    let settings = Settings { response_function: ResponseFunction::Res, ..settings() };
    let answer = read(&service_with(settings, store()).handle(
        Function::GetCvv2,
        &caller(),
        REQUEST.as_bytes(),
    ));
    assert_eq!(answer.header["msg_function"], "RES_GET_CVV2");
}

#[test]
fn an_instance_that_is_named_is_echoed() {
    let answer = ask(&request([("header/instance_id", json!("blue-7"))]));
    assert_eq!(answer.header["instance_id"], "blue-7");
    let answer = ask(&request([("header/instance_id", json!(null))]));
    assert_eq!(answer.header["instance_id"], "InstanceID");
}

#[test]
fn what_may_vary_varies() {
    for (field, value) in [
        ("header/msg_id", json!(223_001)),
        ("header/msg_id", json!(-1)),
        ("header/msg_id", json!("123456789012")),
        ("header/msg_type", json!("ENQUIRY")),
        ("header/msg_function", json!("  REQ_GET_CVV2 ")),
        ("header/timestamp", json!("20/07/2020 10:49:02")),
        ("header/timestamp", json!("2020-07-20T10:49:02:366+0400")),
        ("header/tracking_id", json!(null)),
        ("header/tracking_id", json!("")),
        ("header/extra", json!({"a": [1, 2.5, null]})),
        ("body/card_identifier_type", json!(" exid ")),
        ("body/card_identifier_type", json!("Exid")),
    ] {
        let answer = ask(&request([(field, value.clone())]));
        assert_eq!((answer.code(), answer.http_status), ("000", 200), "{field} {value}");
        assert_eq!(answer.body["cvv2"], "878");
        assert_eq!(answer.body["card_identifier_type"], "EXID");
    }
}

#[test]
fn an_integer_msg_id_comes_back_as_its_text() {
    let answer = ask(&request([("header/msg_id", json!(223_001))]));
    assert_eq!(answer.header["msg_id"], "223001");
}

#[test]
fn unknown_fields_are_counted() {
    let service = service_with(settings(), store());
    let unknown = |request: &str| {
        service.handle(Function::GetCvv2, &caller(), request.as_bytes()).outcome.unknown_fields
    };
    assert_eq!(unknown(REQUEST), 0);
    let more = request([
        ("header/a", json!({"b": 1, "c": 2})),
        ("header/Msg_Id", json!(null)),
        ("body/cvv2", json!("123")),
        ("extra", json!(1)),
    ]);
    assert_eq!(unknown(&more), 4);
    assert_eq!(unknown(&more.replacen('{', r#"{"z":0,"#, 1)), 5);
    assert_eq!(
        unknown(&more.replacen(r#""request_get_cvv2":"#, r#""y":0,"request_get_cvv2":"#, 1)),
        5
    );
}
