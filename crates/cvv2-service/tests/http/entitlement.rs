//! Who gets an answer: every endpoint, scope and bank.

use serde_json::json;

use crate::bank::{BANK, EXID, REQUEST, request};
use crate::home::{GET, Service, Setup, VERIFY, two_banks, verify_request};

#[test]
fn there_are_no_answers_across_scopes_and_banks() {
    let service = Service::start_with(Setup { store: two_banks(), ..Setup::default() });
    let of_bank = |request: &str, bank: &str| request.replace("\"NIC\"", &format!("\"{bank}\""));
    let show = |bank: &str| {
        json!({ "bank_id": bank, "card_identifier_type": "EXID", "card_identifier_id": EXID })
            .to_string()
    };
    // Client, its banks, and which of the endpoints its scopes open.
    let clients = [
        ("ivr", BANK, [true, true, false]),
        ("generates", BANK, [true, false, false]),
        ("verifies", BANK, [false, true, false]),
        ("operator", BANK, [false, false, true]),
        ("foreign", "OTHR", [true, true, true]),
    ];
    for (client, own_bank, [generates, verifies, administers]) in clients {
        for bank in [BANK, "OTHR", "ELSE"] {
            let entitled = bank == own_bank;
            let get = service.post(client, GET, &of_bank(&request([]), bank));
            let verify = service.post(client, VERIFY, &of_bank(&verify_request("878"), bank));
            for (reply, allowed) in [(get, generates), (verify, verifies)] {
                let expected = if entitled && allowed { (200, "000") } else { (403, "202") };
                assert_eq!((reply.status, reply.code().as_str()), expected, "{client} {bank}");
                assert_eq!(reply.response()["body"].is_object(), entitled && allowed);
            }
            for path in ["/v1/limits/show", "/v1/limits/clear"] {
                let reply = service.post(client, path, &show(bank));
                let expected = if entitled && administers { 200 } else { 403 };
                assert_eq!(reply.status, expected, "{client} {bank} {path}");
            }
        }
        let bearer = format!("Bearer {}", service.token(client));
        let reply = service.send("GET", "/v1/limits", &[("authorization", &bearer)], b"");
        assert_eq!(reply.status, if administers { 200 } else { 403 });
    }
}

#[test]
fn strangers_get_one_answer_whatever_they_try() {
    let service = Service::start();
    let good = service.token("ivr");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let cut = format!("Bearer {head}.{}", &signature[1..]);
    let basic = "Basic aXZyOnNlY3JldA==";
    let twice = format!("Bearer {good} {good}");
    let mut answers = Vec::new();
    for value in
        [None, Some(""), Some("Bearer"), Some("Bearer x"), Some(basic), Some(&cut), Some(&twice)]
    {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(value.map(|value| ("authorization", value)));
        let reply = service.send("POST", GET, &headers, REQUEST.as_bytes());
        assert_eq!((reply.status, reply.code().as_str()), (401, "201"), "{value:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"cvv2\""));
        let response = reply.response();
        assert!(response["header"].is_null() && response["body"].is_null(), "{reply:?}");
        answers.push(reply.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    for path in ["/v1/limits/show", "/v1/limits/clear"] {
        let reply = service.send("POST", path, &[("content-type", "application/json")], b"{}");
        assert_eq!(reply.status, 401);
    }
}
