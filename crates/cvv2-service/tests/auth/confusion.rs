//! Tokens that were made to be mistaken for others.

use std::fmt::Write;

use base64ct::{Base64UrlUnpadded, Encoding};
use cvv2_service::Scope;
use cvv2_service::auth::AuthError;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::setup::{
    ISSUER, NOW, ProviderKey, Setup, base64, certificate, client, key_set, part, private, sign,
    sign_text,
};

/// A service with two providers, `one` and `two`, each with a key of the same id.
struct World {
    setup: Setup,
    one: ProviderKey,
    two: ProviderKey,
}

impl World {
    fn new() -> Self {
        let (one, two) = (ProviderKey::new("key"), ProviderKey::new("key"));
        let folder = tempfile::tempdir().unwrap();
        let mut more = String::new();
        for (name, key) in [("one", &one), ("two", &two)] {
            let path = folder.path().join(name);
            private(&path, &key_set(&[key]));
            let _ = write!(
                more,
                "[[provider]]\nname = \"{name}\"\nissuer = \"https://{name}\"\naudience = \"cvv2\"\n\
                 algorithms = [\"ES256\"]\njwks = {{ file = \"{}\" }}\n",
                path.display()
            );
        }
        let clients = vec![client("acme-ivr", &[Scope::Generate], &["IBTF"])];
        Self { setup: Setup::with(clients, &more), one, two }
    }

    /// Claims with which a token of the issuer counts.
    fn claims(issuer: &str) -> Value {
        json!({
            "iss": issuer, "aud": "cvv2", "sub": "acme-ivr", "exp": NOW.unix_timestamp() + 60,
            "scope": "cvv2:generate", "banks": ["IBTF"],
        })
    }

    fn refused(&self, token: &str) -> AuthError {
        let first = self.setup.who(token).unwrap_err();
        // Nothing of it is remembered.
        assert_eq!(self.setup.who(token).unwrap_err(), first);
        first
    }
}

#[test]
fn what_the_others_are_made_of_counts() {
    let world = World::new();
    let who = world.setup.who(&world.one.token(&World::claims("https://one"))).unwrap();
    assert_eq!(who.caller.name(), "one/acme-ivr");
    world.setup.who(&world.two.token(&World::claims("https://two"))).unwrap();
    let (key, jwk) = world.setup.own_key();
    let id = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": id });
    let forged = sign(&header, &World::claims(ISSUER), &key, Algorithm::EdDSA);
    assert_eq!(world.setup.who(&forged).unwrap().caller.name(), "acme-ivr");
}

#[test]
fn no_signature_is_no_signature() {
    let world = World::new();
    let own = world.setup.token("acme-ivr", None);
    for issuer in [ISSUER, "https://one"] {
        let claims = base64(&World::claims(issuer).to_string());
        for algorithm in ["none", "None", "NONE", "nOnE", "", "ES512", "EDDSA"] {
            for signature in ["", "AA", own.split('.').nth(2).unwrap()] {
                let header = json!({ "alg": algorithm, "typ": "at+jwt", "kid": "key" });
                let token = format!("{}.{claims}.{signature}", base64(&header.to_string()));
                assert_eq!(world.refused(&token), AuthError::Algorithm, "{algorithm}");
            }
        }
        for header in
            [json!({ "typ": "at+jwt" }), json!({ "alg": null }), json!({ "alg": ["ES256"] })]
        {
            let token = format!("{}.{claims}.", base64(&header.to_string()));
            assert_eq!(world.refused(&token), AuthError::Malformed, "{header}");
        }
    }
    let (unsigned, _) = own.rsplit_once('.').unwrap();
    for signature in ["", "AA", "!", &"A".repeat(86), &"A".repeat(87)] {
        assert_eq!(world.refused(&format!("{unsigned}.{signature}")), AuthError::Signature);
    }
}

#[test]
fn a_public_key_is_no_secret_of_a_hmac() {
    let world = World::new();
    let (_, jwk) = world.setup.own_key();
    let jwk = serde_json::to_value(&jwk).unwrap();
    let x = jwk["x"].as_str().unwrap();
    let raw = Base64UrlUnpadded::decode_vec(x).unwrap();
    let one = &world.one.jwk;
    let secrets = [
        raw,
        x.as_bytes().to_vec(),
        jwk.to_string().into_bytes(),
        one.to_string().into_bytes(),
        one["x"].as_str().unwrap().as_bytes().to_vec(),
        Vec::new(),
    ];
    for issuer in [ISSUER, "https://one"] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            for secret in &secrets {
                let name = serde_json::to_value(algorithm).unwrap();
                let header = json!({ "alg": name, "typ": "at+jwt", "kid": "key" });
                let key = EncodingKey::from_secret(secret);
                let token = sign(&header, &World::claims(issuer), &key, algorithm);
                assert_eq!(world.refused(&token), AuthError::Algorithm);
            }
        }
    }
}

#[test]
fn an_issuers_keys_vouch_for_that_issuer_only() {
    let world = World::new();
    // Two's key has the id of one's.
    let token = world.two.token(&World::claims("https://one"));
    assert_eq!(world.refused(&token), AuthError::Signature);
    // A provider's key, in the shape of a token of ours.
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "key" });
    let token = sign(&header, &World::claims(ISSUER), &world.one.key, Algorithm::ES256);
    assert_eq!(world.refused(&token), AuthError::Algorithm);
    // Our own key, for a provider that signs with another algorithm.
    let (own, _) = world.setup.own_key();
    let header = json!({ "alg": "EdDSA", "kid": "key" });
    let token = sign(&header, &World::claims("https://one"), &own, Algorithm::EdDSA);
    assert_eq!(world.refused(&token), AuthError::Algorithm);
    // The provider's algorithm in the header, ours beneath it.
    let header = json!({ "alg": "ES256", "kid": "key" });
    let token = sign(&header, &World::claims("https://one"), &own, Algorithm::EdDSA);
    assert_eq!(world.refused(&token), AuthError::Signature);
    for issuer in [
        json!("https://three"),
        json!("https://one/"),
        json!("HTTPS://ONE"),
        json!(null),
        json!(["https://one"]),
    ] {
        let mut claims = World::claims("");
        claims["iss"] = issuer;
        assert_eq!(world.refused(&world.one.token(&claims)), AuthError::Issuer);
    }
}

#[test]
fn a_header_does_not_bring_its_own_key() {
    let world = World::new();
    let foreign = ProviderKey::new("foreign");
    let claims = World::claims("https://one");
    for (extra, value) in [
        ("jwk", foreign.jwk.clone()),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5u", json!("https://attacker.example/x5u")),
        ("x5c", json!(["MIIB"])),
    ] {
        for (id, error) in [("foreign", AuthError::UnknownKey), ("key", AuthError::Signature)] {
            let mut header = json!({ "alg": "ES256", "kid": id });
            header[extra] = value.clone();
            let token = sign(&header, &claims, &foreign.key, Algorithm::ES256);
            assert_eq!(world.refused(&token), error, "{extra}");
        }
    }
    for id in ["../../etc/passwd", "/dev/null", "key' OR '1'='1", "KEY", "", &"k".repeat(4000)] {
        let header = json!({ "alg": "ES256", "kid": id });
        let token = sign(&header, &claims, &world.one.key, Algorithm::ES256);
        assert_eq!(world.refused(&token), AuthError::UnknownKey);
    }
    let header = json!({ "alg": "ES256", "kid": 1 });
    let token = sign(&header, &claims, &world.one.key, Algorithm::ES256);
    assert_eq!(world.refused(&token), AuthError::Malformed);
    // Without an id the only key that fits is meant.
    let token = sign(&json!({ "alg": "ES256" }), &claims, &world.one.key, Algorithm::ES256);
    world.setup.who(&token).unwrap();
}

#[test]
fn extensions_that_must_be_understood_and_other_kinds_of_token_are_refused() {
    let world = World::new();
    let claims = World::claims("https://one");
    for header in [
        json!({ "alg": "ES256", "kid": "key", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "kid": "key", "crit": [] }),
        json!({ "alg": "ES256", "kid": "key", "crit": ["exp"], "exp": 1 }),
        json!({ "alg": "ES256", "kid": "key", "typ": "dpop+jwt" }),
        json!({ "alg": "ES256", "kid": "key", "typ": "logout+jwt" }),
    ] {
        let token = sign(&header, &claims, &world.one.key, Algorithm::ES256);
        assert_eq!(world.refused(&token), AuthError::Header, "{header}");
    }
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let header = json!({ "alg": "ES256", "kid": "key", "typ": kind });
        world.setup.who(&sign(&header, &claims, &world.one.key, Algorithm::ES256)).unwrap();
    }
    // Ours say what they are.
    let (key, jwk) = world.setup.own_key();
    let id = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
    for header in
        [json!({ "alg": "EdDSA", "kid": id }), json!({ "alg": "EdDSA", "kid": id, "typ": "JWT" })]
    {
        let token = sign(&header, &World::claims(ISSUER), &key, Algorithm::EdDSA);
        assert_eq!(world.refused(&token), AuthError::Header);
    }
}

#[test]
fn claims_that_are_doubled_missing_or_of_another_type_are_refused() {
    let world = World::new();
    let (key, now) = (&world.one, NOW.unix_timestamp());
    let header = r#"{"alg":"ES256","kid":"key"}"#;
    let text = |claims: &str| sign_text(header, claims, &key.key, Algorithm::ES256);
    let good = World::claims("https://one").to_string();
    let inner = &good[1..good.len() - 1];
    for doubled in [
        format!("{{{inner},\"iss\":\"https://two\"}}"),
        format!("{{\"exp\":{},{inner}}}", now + 9_999),
        format!("{{{inner},\"banks\":[\"NIC\"]}}"),
        format!("{{{inner},\"b\\u0061nks\":[\"NIC\"]}}"),
        format!("{{{inner},\"cnf\":{{\"x5t#S256\":\"a\",\"x5t#S256\":\"b\"}}}}"),
        format!("{good}{good}"),
        good[..good.len() - 1].to_owned(),
        format!("[{good}]"),
    ] {
        assert_eq!(world.refused(&text(&doubled)), AuthError::Malformed, "{doubled}");
    }
    let doubled = r#"{"alg":"none","alg":"ES256","kid":"key"}"#;
    let token = sign_text(doubled, &good, &key.key, Algorithm::ES256);
    assert_eq!(world.refused(&token), AuthError::Malformed);

    for (claim, value, error) in [
        ("exp", json!(null), AuthError::Claims),
        ("exp", json!((now + 60).to_string()), AuthError::Claims),
        ("exp", json!(1e300), AuthError::Claims),
        ("exp", json!(now - 30), AuthError::Expired),
        ("exp", json!(0), AuthError::Expired),
        ("exp", json!(-1), AuthError::Expired),
        ("nbf", json!(now + 31), AuthError::NotYetValid),
        ("nbf", json!("soon"), AuthError::Claims),
        ("aud", json!("cvv"), AuthError::Audience),
        ("aud", json!(["other", "another"]), AuthError::Audience),
        ("aud", json!([["cvv2"]]), AuthError::Audience),
        ("aud", json!({ "cvv2": true }), AuthError::Audience),
        ("aud", json!(null), AuthError::Audience),
        ("sub", json!(null), AuthError::Claims),
        ("sub", json!(""), AuthError::Claims),
        ("sub", json!("two words"), AuthError::Claims),
        ("sub", json!("s".repeat(129)), AuthError::Claims),
        ("banks", json!("a ".repeat(1_001)), AuthError::Claims),
        ("banks", json!({ "IBTF": true }), AuthError::Claims),
        ("banks", json!(["IBTF", 1]), AuthError::Claims),
        ("scope", json!(true), AuthError::Claims),
        ("cnf", json!({}), AuthError::Claims),
        ("cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }), AuthError::Claims),
        ("cnf", json!({ "x5t#S256": "AA" }), AuthError::Claims),
        ("cnf", json!("x"), AuthError::Claims),
    ] {
        let mut claims = World::claims("https://one");
        claims[claim] = value.clone();
        assert_eq!(world.refused(&key.token(&claims)), error, "{claim} {value}");
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(world.refused(&key.token(&claims)), error, "no {claim}");
        }
    }
    for (claim, value) in [
        ("exp", json!(now - 29)),
        ("exp", json!(4_000_000_000.5)),
        ("nbf", json!(now + 30)),
        ("aud", json!(["other", "cvv2"])),
        ("banks", json!("IBTF NIC not-a-bank")),
        ("scope", json!(["cvv2:generate", "openid"])),
        ("jti", json!("x\ny")),
    ] {
        let mut claims = World::claims("https://one");
        claims[claim] = value;
        let who = world.setup.who(&key.token(&claims)).unwrap();
        assert!(who.token_id.bytes().all(|b| b.is_ascii_graphic()));
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    let world = World::new();
    let token = world.setup.token("acme-ivr", None);
    world.setup.who(&token).unwrap();
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert!(world.setup.who(&changed).is_err(), "{at}");
    }
    for len in 0..token.len() {
        assert!(world.setup.who(&token[..len]).is_err(), "{len}");
    }
}

#[test]
fn a_binding_of_a_provider_is_honoured() {
    let world = World::new();
    let own = certificate("own");
    let mut claims = World::claims("https://one");
    // RFC 8705, 3.1: the hash of the certificate in base64url.
    let hash = own.to_bytes();
    let thumbprint = Base64UrlUnpadded::encode_string(&hash);
    claims["cnf"] = json!({ "x5t#S256": thumbprint });
    let token = world.one.token(&claims);
    assert!(world.setup.who_over(&token, Some(own)).unwrap().bound);
    for peer in [None, Some(certificate("other"))] {
        assert_eq!(world.setup.who_over(&token, peer).unwrap_err(), AuthError::Certificate);
    }
}

#[test]
fn one_refusal_is_as_another_to_whoever_asks() {
    assert_eq!(AuthError::HTTP_STATUS, 401);
    assert_eq!(AuthError::WWW_AUTHENTICATE, "Bearer realm=\"cvv2\"");
    let world = World::new();
    let token = world.setup.token("acme-ivr", None);
    let claims = part(&token, 1).to_string();
    let shown = format!(
        "{:?} {:?} {}",
        world.setup.auth,
        world.setup.auth.authenticator(),
        world.refused(&token[..token.len() - 1])
    );
    for secret in [&*token, &claims, token.split('.').nth(2).unwrap()] {
        assert!(!shown.contains(secret));
    }
}
