//! Tokens of an identity provider whose keys are in a file.

use cvv2_resolver::BankId;
use cvv2_service::Scope;
use cvv2_service::auth::AuthError;
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::setup::{NOW, ProviderKey, Setup, client, key_set, private};

/// A service and the file of a provider's keys, `jwks.json`.
fn setup(keys: &str, more: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    private(&folder.path().join("jwks.json"), keys);
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    cvv2_service::auth::SigningKeys::generate(&folder.path().join("keys"), NOW).unwrap();
    let clients = vec![client("acme-ivr", &[Scope::Generate], &["IBTF"])];
    crate::setup::write_clients(&folder.path().join("clients.toml"), clients);
    let provider = format!(
        "[[provider]]\nname = \"idp\"\nissuer = \"https://idp\"\naudience = \"cvv2\"\n\
         jwks = {{ file = \"jwks.json\" }}\n{more}"
    );
    Setup::in_folder(folder, &provider)
}

#[test]
fn claims_and_scopes_are_read_under_the_names_of_the_provider() {
    let key = ProviderKey::new("one");
    let setup = setup(
        &key_set(&[&key]),
        "algorithms = [\"ES256\"]\nsubject_claim = \"azp\"\nbanks_claim = \"https://x/banks\"\n\
         scopes_claim = \"roles\"\n\
         scopes = { \"Cards.Read\" = \"cvv2:generate\", \"Cards.Admin\" = \"cvv2:administer\" }\n",
    );
    let who = setup.who(&key.token(&json!({
        "iss": "https://idp", "aud": "cvv2", "exp": NOW.unix_timestamp() + 60,
        "sub": "not this", "azp": "robot-1", "https://x/banks": ["NIC"], "banks": ["IBTF"],
        "roles": ["Cards.Read", "cvv2:verify", "Other"], "jti": "a1",
    })));
    let who = who.unwrap();
    assert_eq!((who.caller.name(), &*who.token_id), ("idp/robot-1", "a1"));
    let may = Scope::ALL.map(|scope| who.caller.may(scope));
    assert_eq!(may, [true, false, false]);
    let has = |code| who.caller.bank(&BankId::parse(code).unwrap()).is_some();
    assert!(has("NIC") && !has("IBTF"));
}

#[test]
fn a_certificate_may_be_required() {
    let key = ProviderKey::new("one");
    let setup = setup(&key_set(&[&key]), "algorithms = [\"ES256\"]\nrequire_certificate = true\n");
    let token = key.token(&json!({
        "iss": "https://idp", "aud": "cvv2", "sub": "a", "exp": NOW.unix_timestamp() + 60,
    }));
    assert_eq!(setup.who(&token).unwrap_err(), AuthError::NotBound);
}

#[test]
fn keys_of_a_file_are_exchanged_by_a_reload() {
    let (old, new) = (ProviderKey::new("old"), ProviderKey::of("new", Algorithm::ES384));
    let setup = setup(&key_set(&[&old]), "algorithms = [\"ES256\", \"ES384\"]\n");
    let claims = json!({
        "iss": "https://idp", "aud": "cvv2", "sub": "a", "exp": NOW.unix_timestamp() + 60,
    });
    let (of_old, of_new) = (old.token(&claims), new.token(&claims));
    setup.who(&of_old).unwrap();
    assert_eq!(setup.who(&of_new).unwrap_err(), AuthError::UnknownKey);

    private(&setup.path("jwks.json"), &key_set(&[&old, &new]));
    setup.auth.reload().unwrap();
    setup.who(&of_old).unwrap();
    setup.who(&of_new).unwrap();

    private(&setup.path("jwks.json"), "{}");
    assert!(
        setup.auth.reload().unwrap_err().to_string().contains("provider idp: no JSON Web Key Set")
    );
    setup.who(&of_old).unwrap();

    private(&setup.path("jwks.json"), &key_set(&[&new]));
    setup.auth.reload().unwrap();
    assert_eq!(setup.who(&of_old).unwrap_err(), AuthError::UnknownKey);
    setup.who(&of_new).unwrap();
    let status = setup.auth.authenticator().providers(NOW);
    assert_eq!(
        (&*status[0].provider, status[0].keys.keys, status[0].keys.usable),
        ("idp", 1, true)
    );
}

#[test]
fn keys_for_other_purposes_are_no_keys() {
    let key = ProviderKey::new("one");
    let claims = json!({
        "iss": "https://idp", "aud": "cvv2", "sub": "a", "exp": NOW.unix_timestamp() + 60,
    });
    let other = ProviderKey::new("other");
    for (member, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES384")),
        ("alg", json!("ECDH-ES")),
        ("crv", json!("P-384")),
        ("kty", json!("oct")),
        ("kid", json!("two")),
    ] {
        let mut jwk = key.jwk.clone();
        jwk[member] = value.clone();
        let set = json!({ "keys": [jwk, other.jwk, { "kty": "oct", "k": "AA", "kid": "one" }, 1] });
        let setup = setup(&set.to_string(), "algorithms = [\"ES256\"]\n");
        let refused = setup.who(&key.token(&claims)).unwrap_err();
        assert_eq!(refused, AuthError::UnknownKey, "{member} {value}");
        setup.who(&other.token(&claims)).unwrap();
    }
    // Two keys that both may be meant are none.
    let setup = setup(&key_set(&[&key, &key]), "algorithms = [\"ES256\"]\n");
    assert_eq!(setup.who(&key.token(&claims)).unwrap_err(), AuthError::UnknownKey);
}
