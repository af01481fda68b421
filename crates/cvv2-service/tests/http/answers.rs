//! What comes back, and in which form.

use serde_json::{Value, json};

use crate::bank::{EXID, REQUEST, request};
use crate::home::{GET, Service, VERIFY, verify_request};

#[test]
fn the_published_request_gets_its_answer() {
    let service = Service::start();
    for path in [GET, &format!("/SB{GET}"), &format!("/IBTF{GET}")] {
        let reply = service.post("ivr", path, REQUEST);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let body = json!({
            "card_identifier_id": EXID, "card_identifier_type": "EXID",
            "cvv2": "878", "expiry_date": "2701",
        });
        assert_eq!(reply.response()["body"], body);
    }
}

#[test]
fn a_value_is_verified() {
    let service = Service::start();
    for (typed, told) in [("878", "MATCH"), ("877", "MISMATCH")] {
        let reply = service.post("ivr", &format!("/SB{VERIFY}"), &verify_request(typed));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.response()["body"]["verification"], told);
        assert!(reply.json()["NISrvResponse"]["response_verify_cvv2"].is_object());
        assert!(!reply.body.replace(EXID, "").contains("878"));
    }
}

#[test]
fn what_http_itself_refuses() {
    let service = Service::start();
    let bearer = format!("Bearer {}", service.token("ivr"));
    let json_type = ("content-type", "application/json");
    let authorized = ("authorization", bearer.as_str());
    let send = |method, path: &str, headers: &[(&str, &str)], body: &str| {
        service.send(method, path, headers, body.as_bytes())
    };
    assert_eq!(send("GET", GET, &[authorized], "").status, 405);
    assert_eq!(send("POST", "/", &[authorized, json_type], REQUEST).status, 404);
    assert_eq!(send("POST", &format!("/a/b{GET}"), &[authorized, json_type], REQUEST).status, 404);
    assert_eq!(send("GET", "/metrics", &[authorized], "").status, 404, "they have their own place");

    for media in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        let reply = send("POST", GET, &[authorized, ("content-type", media)], REQUEST);
        assert_eq!((reply.status, reply.code().as_str()), (415, "101"));
    }
    for media in ["application/json; charset=utf-8", "Application/JSON"] {
        let reply = send("POST", GET, &[authorized, ("content-type", media)], REQUEST);
        assert_eq!(reply.status, 200);
    }

    let padded = |bytes: usize| format!("{REQUEST}{}", " ".repeat(bytes - REQUEST.len()));
    let most = send("POST", GET, &[authorized, json_type], &padded(16 * 1024));
    assert_eq!(most.status, 200);
    let more = padded(16 * 1024 + 1);
    let reply = service.send_too_much(GET, &[authorized, json_type], more.as_bytes());
    assert_eq!((reply.status, reply.code().as_str()), (413, "101"));
    let reply = send("POST", GET, &[authorized, json_type], "{");
    assert_eq!((reply.status, reply.code().as_str()), (400, "101"));
}

#[test]
fn every_answer_of_a_function_is_an_envelope() {
    let service = Service::start();
    let requests: [(String, u16, &str); 5] = [
        (request([("body/expiry_date", json!("0127"))]), 400, "108"),
        (request([("body/expiry_date", json!("2702"))]), 200, "301"),
        (request([("header/bank_id", json!("OTHR"))]), 403, "202"),
        (request([("header/msg_function", json!("REQ_OTHER"))]), 400, "104"),
        ("[]".to_owned(), 400, "101"),
    ];
    for (request, status, code) in requests {
        let reply = service.post("ivr", GET, &request);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
        let response = reply.response();
        assert_eq!(response["exception_details"]["status"], "F");
        assert_eq!(response["body"], Value::Null);
    }
}

#[test]
fn unknown_and_wrong_expiry_have_the_same_bytes() {
    let service = Service::start();
    let answers = [
        request([("body/card_identifier_id", json!("20000000000000000006"))]),
        request([("body/expiry_date", json!("2702"))]),
    ]
    .map(|request| service.post("ivr", GET, &request));
    assert_eq!(answers[0].code(), "301");
    assert_eq!(answers[0].body, answers[1].body);
    let names = |at: usize| answers[at].headers.iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(0), names(1));
}
