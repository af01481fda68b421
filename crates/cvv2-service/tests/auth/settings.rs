//! What an operator can write, and what is told of a mistake.

use cvv2_service::auth::AuthSettings;

const OWN: &str = "[own]\nclients = \"c\"\nsigning_keys = \"k\"\nissuer = \"https://i\"\n";
const PROVIDER: &str = "[[provider]]\nname = \"p\"\nissuer = \"https://p\"\naudience = \"a\"\n\
                        algorithms = [\"RS256\"]\njwks = { file = \"f\" }\n";

fn check(text: &str) -> Result<(), String> {
    let settings: AuthSettings = toml::from_str(text).map_err(|_| "not understood".to_owned())?;
    settings.check().map_err(|e| e.to_string())
}

#[test]
fn little_is_enough() {
    for text in [OWN, PROVIDER, &format!("{OWN}{PROVIDER}")] {
        assert_eq!(check(text), Ok(()));
    }
}

#[test]
fn seams_hold_and_the_key_is_named() {
    let own = |more: &str| check(&format!("{OWN}{more}\n"));
    for good in [
        "token_lifetime_seconds = 60",
        "token_lifetime_seconds = 86400",
        "leeway_seconds = 60",
        "hashes_at_once = 64",
        "hashes_waiting_max = 0",
    ] {
        assert_eq!(own(good), Ok(()), "{good}");
    }
    for (bad, told) in [
        ("token_lifetime_seconds = 59", "[auth] own.token_lifetime_seconds must be 60 to 86400"),
        ("token_lifetime_seconds = 86401", "[auth] own.token_lifetime_seconds must be 60 to 86400"),
        ("leeway_seconds = 61", "[auth] own.leeway_seconds must be 0 to 60"),
        ("hashes_at_once = 0", "[auth] own.hashes_at_once must be 1 to 64"),
        ("hashes_waiting_max = 1025", "[auth] own.hashes_waiting_max must be 0 to 1024"),
        (
            "audience = \"\"",
            "[auth] own.audience must be 1 to 256 printable ASCII characters without spaces",
        ),
        ("unknown = 1", "not understood"),
    ] {
        assert_eq!(own(bad), Err(told.to_owned()), "{bad}");
    }
    assert!(check("").unwrap_err().contains("have a table `own`"));
    assert!(
        check(&format!("verified_tokens_max = 1\n{OWN}"))
            .unwrap_err()
            .contains("verified_tokens_max")
    );
    let provider = |from: &str, to: &str| check(&format!("{OWN}{}", PROVIDER.replace(from, to)));
    for (from, to, told) in [
        ("RS256", "HS256", "not understood"),
        ("RS256", "none", "not understood"),
        ("[\"RS256\"]", "[]", "provider 1: algorithms must"),
        ("https://p", "https://i", "provider 1: issuer must differ"),
        ("name = \"p\"", "name = \"P\"", "provider 1: name must"),
        ("\"a\"", "\"a b\"", "provider 1: audience must"),
        ("file = \"f\"", "url = \"http://p\", ca_file = \"c\"", "provider 1: jwks.url must"),
        ("file = \"f\"", "url = \"https://p\"", "not understood"),
        ("file = \"f\"", "file = \"f\", url = \"https://p\", ca_file = \"c\"", "not understood"),
        (
            "file = \"f\"",
            "url = \"https://p\", ca_file = \"c\", refresh_seconds = 59",
            "provider 1: jwks.refresh_seconds must",
        ),
        (
            "file = \"f\"",
            "url = \"https://p\", ca_file = \"c\", stale_seconds = 299",
            "provider 1: jwks.stale_seconds must",
        ),
        ("audience", "leeway_seconds = 61\naudience", "provider 1: leeway_seconds must"),
        ("audience", "scopes = { a = \"cvv2:all\" }\naudience", "not understood"),
    ] {
        let refused = provider(from, to).unwrap_err();
        assert!(refused.contains(told), "{to}: {refused}");
    }
    let two = format!("{PROVIDER}{}", PROVIDER.replace("https://p", "https://q"));
    assert!(check(&two).unwrap_err().contains("provider 2: name must differ"));
}
