//! Tokens of our own: when they count, and for what.

use std::fs;

use cvv2_resolver::BankId;
use cvv2_service::Scope;
use cvv2_service::auth::{AuthError, SigningKeys};

use crate::setup::{NOW, Setup, certificate, client, seconds};

const BOTH: [Scope; 2] = [Scope::Generate, Scope::Verify];

#[test]
fn a_token_says_who_asks_and_is_remembered() {
    let setup = Setup::new(vec![client("acme-ivr", &[Scope::Generate], &["IBTF"])]);
    let token = setup.token("acme-ivr", None);
    let who = setup.who(&token).unwrap();
    assert_eq!(who.caller.name(), "acme-ivr");
    assert!(who.caller.may(Scope::Generate) && !who.caller.may(Scope::Verify));
    assert!(who.caller.bank(&BankId::parse("IBTF").unwrap()).is_some());
    assert!(!who.bound);
    // The very same, not one like it.
    assert!(std::sync::Arc::ptr_eq(&who, &setup.who(&token).unwrap()));
}

#[test]
fn the_header_is_read_as_the_standard_has_it() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let token = setup.token("acme-ivr", None);
    let who = |header: Option<&str>| {
        let header = header.map(str::as_bytes);
        setup.auth.authenticator().authenticate(header, None, NOW).err()
    };
    for header in
        [format!("Bearer {token}"), format!("bearer  {token}"), format!("BEARER {token} ")]
    {
        assert_eq!(who(Some(&header)), None);
    }
    assert_eq!(who(None), Some(AuthError::Missing));
    for header in
        ["", "Bearer", "Bearer ", "Basic YTpi", &token, &format!("Bearer{token}"), "Béarer x"]
    {
        assert_eq!(who(Some(header)), Some(AuthError::NotBearer), "{header}");
    }
    let longest = "x".repeat(8 << 10);
    assert_eq!(who(Some(&format!("Bearer {longest}"))), Some(AuthError::Malformed));
    assert_eq!(who(Some(&format!("Bearer {longest}x"))), Some(AuthError::TooLong));
    for garbage in
        ["a", "a.b", "a.b.c", "a.b.c.d", "..", &format!("{token}."), &token[1..], "é.é.é"]
    {
        let refused = who(Some(&format!("Bearer {garbage}")));
        assert_eq!(refused, Some(AuthError::Malformed), "{garbage}");
    }
}

#[test]
fn a_token_counts_from_its_first_second_to_its_last_used_before_or_not() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let (token, used) = (setup.token("acme-ivr", None), setup.token("acme-ivr", None));
    setup.who(&used).unwrap();
    // The leeway for replicas' clocks is 5 seconds.
    for (after, expected) in [
        (-6, Some(AuthError::NotYetValid)),
        (-5, None),
        (904, None),
        (905, Some(AuthError::Expired)),
        (86_400, Some(AuthError::Expired)),
    ] {
        setup.clock.set(NOW + seconds(after));
        assert_eq!(setup.who(&used).err(), expected, "{after}");
        let fresh = Setup::in_folder(tempfile_copy(&setup), "");
        fresh.clock.set(NOW + seconds(after));
        assert_eq!(fresh.who(&token).err(), expected, "{after}");
    }
}

/// Another replica with the same files.
fn tempfile_copy(setup: &Setup) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("keys")).unwrap();
    for entry in fs::read_dir(setup.path("keys")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join("keys").join(entry.file_name())).unwrap();
    }
    fs::copy(setup.path("clients.toml"), copy.path().join("clients.toml")).unwrap();
    copy
}

#[test]
fn what_the_file_takes_away_is_gone_with_the_reload() {
    let setup = Setup::new(vec![
        client("acme-ivr", &BOTH, &["IBTF", "NIC"]),
        client("other", &BOTH, &["IBTF"]),
    ]);
    let (token, other) = (setup.token("acme-ivr", None), setup.token("other", None));
    setup.who(&token).unwrap();
    setup.who(&other).unwrap();
    let bank = |code| BankId::parse(code).unwrap();

    setup.change(|draft| {
        draft.remove("acme-ivr").unwrap();
        draft
            .add(client("acme-ivr", &[Scope::Generate, Scope::Administer], &["NIC", "NEW"]))
            .unwrap();
    });
    let who = setup.who(&token).unwrap();
    let may = [Scope::Generate, Scope::Verify, Scope::Administer].map(|it| who.caller.may(it));
    assert_eq!(may, [true, false, false]);
    let banks = ["IBTF", "NIC", "NEW"].map(|code| who.caller.bank(&bank(code)).is_some());
    assert_eq!(banks, [false, true, false]);

    setup.change(|draft| draft.set_disabled("acme-ivr", true).unwrap());
    assert_eq!(setup.who(&token).unwrap_err(), AuthError::Client);
    setup.change(|draft| draft.set_disabled("acme-ivr", false).unwrap());
    setup.who(&token).unwrap();
    setup.change(|draft| draft.remove("acme-ivr").unwrap());
    assert_eq!(setup.who(&token).unwrap_err(), AuthError::Client);
    setup.who(&other).unwrap();
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let token = setup.token("acme-ivr", None);
    fs::write(setup.path("clients.toml"), "format = 2\n").unwrap();
    let error = setup.auth.reload().unwrap_err().to_string();
    assert!(error.contains("clients.toml: line 1, column 10: `format`"), "{error}");
    setup.who(&token).unwrap();
    setup.token("acme-ivr", None);
}

#[test]
fn signing_keys_are_exchanged_while_tokens_go_on() {
    let setup = Setup::new(vec![client("acme-ivr", &BOTH, &["IBTF"])]);
    let old = setup.token("acme-ivr", None);
    setup.who(&old).unwrap();
    let first = fs::read_dir(setup.path("keys")).unwrap().next().unwrap().unwrap().path();

    let next = SigningKeys::generate(&setup.path("keys"), NOW + seconds(1)).unwrap();
    assert!(next > first);
    setup.auth.reload().unwrap();
    let new = setup.token("acme-ivr", None);
    let key_of = |token: &str| crate::setup::part(token, 0)["kid"].clone();
    assert_ne!(key_of(&old), key_of(&new));
    setup.who(&old).unwrap();
    setup.who(&new).unwrap();

    fs::remove_file(first).unwrap();
    setup.auth.reload().unwrap();
    assert_eq!(setup.who(&old).unwrap_err(), AuthError::UnknownKey);
    setup.who(&new).unwrap();
}

#[test]
fn signing_keys_that_are_not_in_order_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let refused = || SigningKeys::read(folder.path()).unwrap_err().to_string();
    assert!(refused().contains("no *.pem there"));
    let key = SigningKeys::generate(folder.path(), NOW).unwrap();
    SigningKeys::read(folder.path()).unwrap();
    assert!(SigningKeys::generate(folder.path(), NOW).is_err(), "never overwritten");
    let pem = fs::read_to_string(&key).unwrap();

    let other = folder.path().join("other.pem");
    crate::setup::private(&other, &pem);
    assert!(refused().contains("the same key as in another file"));
    for wrong in ["", "x", &pem.replace("MC4CAQAw", "MC4CAQEw"), &pem.replace("PRIVATE", "PUBLIC")]
    {
        crate::setup::private(&other, wrong);
        assert!(refused().contains("no Ed25519 private key"), "{}", refused());
    }
    fs::remove_file(other).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refused().contains("other users may open"));
    let secret = pem.lines().nth(1).unwrap();
    assert!(!refused().contains(secret));
}

#[test]
fn a_bound_token_counts_over_its_certificate_only() {
    let (own, renewed) = (certificate("own"), certificate("renewed"));
    let mut bound = client("bound", &BOTH, &["IBTF"]);
    bound.certificates = vec![own, renewed];
    let setup = Setup::new(vec![bound.clone(), client("free", &BOTH, &["IBTF"])]);
    let token = setup.token("bound", Some(own));
    assert!(setup.who_over(&token, Some(own)).unwrap().bound);
    for peer in [None, Some(renewed), Some(certificate("other"))] {
        assert_eq!(setup.who_over(&token, peer).unwrap_err(), AuthError::Certificate);
    }
    assert!(setup.who_over(&token, Some(own)).unwrap().bound);
    // A client without certificates may come with any, or with none.
    let free = setup.token("free", Some(own));
    for peer in [None, Some(own), Some(renewed)] {
        assert!(!setup.who_over(&free, peer).unwrap().bound);
    }
    // A certificate that is taken out of the file.
    setup.change(|draft| {
        draft.remove("bound").unwrap();
        bound.certificates = vec![renewed];
        draft.add(bound.clone()).unwrap();
        draft.remove("free").unwrap();
        let mut free = client("free", &BOTH, &["IBTF"]);
        free.certificates = vec![own];
        draft.add(free).unwrap();
    });
    assert_eq!(setup.who_over(&token, Some(own)).unwrap_err(), AuthError::Certificate);
    assert_eq!(setup.who_over(&free, Some(own)).unwrap_err(), AuthError::NotBound);
}
