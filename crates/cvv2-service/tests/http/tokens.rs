//! Tokens over HTTPS.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use cvv2_service::http::router;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::time::timeout;

use crate::bank::REQUEST;
use crate::home::{GET, Service};

const PATH: &str = "/v1/tokenkc/generate";

#[test]
fn a_token_is_had_by_form_json_and_basic_and_works() {
    let service = Service::start();
    let secret = service.secret("ivr");
    let form = format!("grant_type=client_credentials&client_id=ivr&client_secret={secret}");
    let document = json!({
        "grant_type": "client_credentials", "client_id": "ivr", "client_secret": secret,
    });
    let basic = {
        use base64ct::{Base64, Encoding};
        format!("Basic {}", Base64::encode_string(format!("ivr:{secret}").as_bytes()))
    };
    let form_type = ("content-type", "application/x-www-form-urlencoded");
    let replies = [
        service.send("POST", PATH, &[form_type], form.as_bytes()),
        service.send(
            "POST",
            PATH,
            &[("content-type", "application/json")],
            document.to_string().as_bytes(),
        ),
        service.send(
            "POST",
            PATH,
            &[form_type, ("authorization", &basic)],
            b"grant_type=client_credentials",
        ),
    ];
    for reply in replies {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let token = reply.json();
        assert_eq!(token["token_type"], "Bearer");
        assert_eq!(token["expires_in"], 900);
        assert_eq!(token["scope"], "cvv2:generate cvv2:verify");
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let reply = service.send("POST", GET, &headers, REQUEST.as_bytes());
        assert_eq!(reply.status, 200);
    }
}

#[test]
fn whoever_guesses_and_leaves_is_recorded_all_the_same() {
    let service = Service::start();
    let before = service.http.audit.head().sequence;
    let router = TowerToHyperService::new(router(Arc::clone(&service.http)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let guess = "grant_type=client_credentials&client_id=ivr&client_secret=guess";
    let request = Request::post(PATH)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(guess))
        .unwrap();
    // Hashing the guess takes longer.
    let left = async { timeout(Duration::from_millis(2), router.call(request)).await };
    assert!(runtime.block_on(left).is_err());
    let begun = Instant::now();
    while service.http.audit.head().sequence == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "there is no record");
        sleep(Duration::from_millis(5));
    }
    let records = service.records();
    assert_eq!(records.iter().filter(|record| record["event"] == "token").count(), 1);
}

#[test]
fn wrong_credentials_have_one_answer_and_are_recorded() {
    let service = Service::start();
    let ask = |id: &str, secret: &str| {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        service.send("POST", PATH, &form, body.as_bytes())
    };
    let wrong = ask("ivr", "guess");
    let unknown = ask("nobody", "guess");
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(wrong.body, unknown.body);
    assert!(wrong.header("www-authenticate").is_some());
    let records = service.records();
    let tokens: Vec<_> = records.iter().filter(|record| record["event"] == "token").collect();
    assert_eq!(tokens.len(), 2);
    assert_eq!(tokens[0]["caller"], "ivr");
    assert_eq!(tokens[0]["cause"], "the secret is wrong");
    assert!(tokens[1]["caller"].is_null(), "what is no client may be a secret");
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let service = Service::start();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = service.send_too_much(PATH, &form, &vec![b'x'; 16 * 1024 + 1]);
    assert_eq!((reply.status, reply.json()["error"].as_str()), (413, Some("invalid_request")));
    let reply = service.send("POST", PATH, &form, b"grant_type=password");
    assert_eq!(reply.status, 400);
}
