//! The token endpoint: who gets a token, and what everybody else is told.

use std::collections::HashSet;

use cvv2_service::Scope;
use cvv2_service::auth::{TokenAnswer, TokenEndpoint, TokenRefusal, TokenRequest};
use serde_json::{Value, json};

use crate::setup::{ISSUER, NOW, Setup, certificate, client, part, seconds, secret};

const BOTH: [Scope; 2] = [Scope::Generate, Scope::Verify];

fn json_of(answer: &TokenAnswer) -> Value {
    serde_json::from_slice(&answer.json).unwrap()
}

#[test]
fn a_client_gets_a_token_of_what_it_may() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF", "NIC"])]);
    let answer = setup.ask("acme-ivr", secret().0.expose(), None);
    assert_eq!((answer.http_status, answer.www_authenticate), (200, None));
    let json = json_of(&answer);
    assert_eq!(json.as_object().unwrap().len(), 4);
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["expires_in"], 900);
    assert_eq!(json["scope"], "cvv2:generate cvv2:verify");

    let token = json["access_token"].as_str().unwrap();
    let (header, claims) = (part(token, 0), part(token, 1));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    let now = NOW.unix_timestamp();
    let id = claims["jti"].as_str().unwrap();
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "aud": "cvv2", "sub": "acme-ivr", "client_id": "acme-ivr",
            "iat": now, "nbf": now, "exp": now + 900, "jti": id,
            "scope": "cvv2:generate cvv2:verify", "banks": ["IBTF", "NIC"],
        })
    );
    assert_eq!(answer.outcome.client.as_deref(), Some("acme-ivr"));
    assert_eq!(answer.outcome.token_id.as_deref(), Some(id));
    assert_eq!(answer.outcome.refusal, None);
    let shown = format!("{answer:?}");
    assert!(!shown.contains(token) && !shown.contains(secret().0.expose()), "{shown}");

    let again = json_of(&setup.ask("acme-ivr", secret().0.expose(), None));
    assert_ne!(part(again["access_token"].as_str().unwrap(), 1)["jti"], id);
}

#[test]
fn a_client_gets_no_more_than_it_asks_for() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let ask = |scope: &str| {
        let (id, secret) = ("acme-ivr", secret().0.expose());
        let form = format!(
            "grant_type=client_credentials&client_id={id}&client_secret={secret}&scope={scope}"
        );
        setup.send(&form, None)
    };
    assert_eq!(json_of(&ask("cvv2%3Averify"))["scope"], "cvv2:verify");
    assert_eq!(json_of(&ask("+"))["scope"], "cvv2:generate cvv2:verify");
    for scope in ["cvv2:administer", "cvv2:generate+cvv2:administer", "openid"] {
        let answer = ask(scope);
        assert_eq!(answer.outcome.refusal, Some(TokenRefusal::Scope));
        assert_eq!(
            (answer.http_status, &json_of(&answer)["error"]),
            (400, &json!("invalid_scope"))
        );
    }
}

#[test]
fn every_failure_has_the_same_bytes_and_costs_one_hash() {
    let mut bound = client("bound", &BOTH, &["IBTF"]);
    bound.certificates = vec![certificate("its own")];
    let mut off = client("off", &BOTH, &["IBTF"]);
    off.disabled = true;
    let mut exchanging = client("exchanging", &BOTH, &["IBTF"]);
    exchanging
        .secrets
        .push(secret().1.of_successor(&cvv2_service::auth::ClientSecret::generate().unwrap()));
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"]), bound, off, exchanging]);
    let (good, wrong) = (secret().0.expose(), "x".repeat(43));
    let mut told = HashSet::new();
    for (id, secret, peer, refusal) in [
        ("acme-ivr", &*wrong, None, TokenRefusal::Secret),
        ("exchanging", &wrong, None, TokenRefusal::Secret),
        ("nobody", good, None, TokenRefusal::UnknownClient),
        ("off", good, None, TokenRefusal::Disabled),
        ("bound", good, None, TokenRefusal::Certificate),
        ("bound", good, Some(certificate("another")), TokenRefusal::Certificate),
        ("acme-ivr", &good[1..], None, TokenRefusal::Secret),
        ("acme-ivr", &secret_phc(), None, TokenRefusal::Secret),
    ] {
        let before = setup.auth.token_endpoint().unwrap().hashes();
        let answer = setup.ask(id, secret, peer);
        assert_eq!(setup.auth.token_endpoint().unwrap().hashes() - before, 1, "{id}");
        assert_eq!(answer.outcome.refusal, Some(refusal));
        let known = (id != "nobody").then_some(id);
        assert_eq!(answer.outcome.client.as_deref(), known);
        told.insert((
            answer.http_status,
            answer.json.to_vec(),
            answer.retry_after_seconds,
            answer.www_authenticate,
        ));
    }
    assert_eq!(told.len(), 1);
    let (status, json, _, www_authenticate) = told.into_iter().next().unwrap();
    assert_eq!((status, www_authenticate), (401, Some("Basic realm=\"cvv2\"")));
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["error"], "invalid_client");
    assert_eq!(setup.ask("bound", good, Some(certificate("its own"))).http_status, 200);
}

/// The hash of the secret, which whoever reads the file could send.
fn secret_phc() -> String {
    secret().1.to_phc().replace('$', "%24").replace('+', "%2B")
}

#[test]
fn what_is_no_request_is_told_so_and_costs_nothing() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    for (form, status, error) in [
        ("", 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=acme-ivr", 400, "invalid_request"),
        ("grant_type=password&client_id=a&client_secret=b", 400, "unsupported_grant_type"),
    ] {
        let answer = setup.send(form, None);
        assert_eq!((answer.http_status, &json_of(&answer)["error"]), (status, &json!(error)));
        assert_eq!(json_of(&answer).as_object().unwrap().len(), 2);
    }
    assert_eq!(setup.auth.token_endpoint().unwrap().hashes(), 0);
}

#[test]
fn failures_make_an_id_wait_whether_it_exists_or_not_and_briefly() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    for id in ["acme-ivr", "nobody"] {
        let statuses: Vec<_> = (0..=TokenEndpoint::FAILURES_FREE + 1)
            .map(|_| setup.ask(id, "wrong", None).http_status)
            .collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429]);
        let answer = setup.ask(id, secret().0.expose(), None);
        assert_eq!((answer.http_status, answer.retry_after_seconds), (429, Some(1)));
    }
    setup.clock.set(NOW + seconds(1));
    assert_eq!(setup.ask("acme-ivr", secret().0.expose(), None).http_status, 200);
    // Forgiven.
    assert_eq!(setup.ask("acme-ivr", "wrong", None).http_status, 401);
    assert_eq!(setup.ask("acme-ivr", secret().0.expose(), None).http_status, 200);
}

#[test]
fn failures_make_an_origin_wait_whatever_ids_it_tries() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let ask = |id: &str, secret: &str, origin: &str| {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let request = TokenRequest {
            content_type: Some(b"application/x-www-form-urlencoded"),
            authorization: None,
            body: body.as_bytes(),
            origin: Some(origin.parse().unwrap()),
        };
        setup.auth.token_endpoint().unwrap().token(request, None, NOW).http_status
    };
    for number in 0..=TokenEndpoint::FAILURES_FREE {
        assert_eq!(ask(&format!("id-{number}"), "wrong", "192.0.2.1"), 401);
    }
    let good = secret().0.expose();
    assert_eq!(ask("acme-ivr", good, "192.0.2.1"), 429);
    assert_eq!(ask("acme-ivr", good, "192.0.2.2"), 200);
}

#[test]
fn a_secret_is_exchanged_without_a_moment_in_which_none_counts() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let next = cvv2_service::auth::ClientSecret::generate().unwrap();
    let statuses = || {
        [secret().0.expose(), next.expose()]
            .map(|secret| setup.ask("acme-ivr", secret, None).http_status)
    };
    assert_eq!(statuses(), [200, 401]);
    setup.change(|draft| {
        draft.add_secret("acme-ivr", |first| first.of_successor(&next)).unwrap();
    });
    assert_eq!(statuses(), [200, 200]);
    setup.change(|draft| draft.drop_older_secret("acme-ivr").unwrap());
    assert_eq!(statuses(), [401, 200]);
}

#[test]
fn a_clients_own_lifetime_wins() {
    let mut brief = client("brief", &BOTH, &["IBTF"]);
    brief.token_lifetime = Some(std::time::Duration::from_mins(1));
    let setup = Setup::new(vec![brief]);
    assert_eq!(json_of(&setup.ask("brief", secret().0.expose(), None))["expires_in"], 60);
}
