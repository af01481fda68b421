//! Every cell of scope × bank: nothing but what was granted.

use cvv2_resolver::BankId;
use cvv2_service::Scope;
use serde_json::json;

use crate::setup::{NOW, ProviderKey, Setup, client, key_set, private};

const BANKS: [&str; 3] = ["IBTF", "NIC", "ibtf"];

/// Every set of banks and every set of scopes, but for the empty ones.
fn grants() -> impl Iterator<Item = (Vec<&'static str>, Vec<Scope>)> {
    let subset = |bits: usize| (0..3).filter(move |at| bits & (1 << at) != 0);
    (1..8).flat_map(move |banks| {
        (1..8).map(move |scopes| {
            let banks = subset(banks).map(|at| BANKS[at]).collect();
            (banks, subset(scopes).map(|at| Scope::ALL[at]).collect())
        })
    })
}

fn id(number: usize) -> String {
    format!("client-{number}")
}

#[test]
fn a_client_is_entitled_to_its_cells_and_to_no_other() {
    let clients = grants().enumerate();
    let setup = Setup::new(
        clients.map(|(number, (banks, scopes))| client(&id(number), &scopes, &banks)).collect(),
    );
    let mut cells = 0;
    for (number, (banks, scopes)) in grants().enumerate() {
        let who = setup.who(&setup.token(&id(number), None)).unwrap();
        assert_eq!(who.caller.name(), id(number));
        for bank in BANKS {
            let entitled = who.caller.bank(&BankId::parse(bank).unwrap()).is_some();
            assert_eq!(entitled, banks.contains(&bank), "{banks:?} {bank}");
            for scope in Scope::ALL {
                assert_eq!(who.caller.may(scope), scopes.contains(&scope), "{scopes:?} {scope:?}");
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 49 * 9);
}

#[test]
fn a_provider_entitles_to_its_cells_and_to_no_other() {
    let key = ProviderKey::new("one");
    let folder = tempfile::tempdir().unwrap();
    let (path, set) = (folder.path().join("jwks.json"), key_set(&[&key]));
    private(&path, &set);
    let setup = Setup::with(
        vec![client("acme-ivr", &[Scope::Generate], &["IBTF"])],
        &format!(
            "[[provider]]\nname = \"idp\"\nissuer = \"idp\"\naudience = \"cvv2\"\n\
             algorithms = [\"ES256\"]\njwks = {{ file = \"{}\" }}\n",
            path.display()
        ),
    );
    for (banks, scopes) in grants() {
        let names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
        let token = key.token(&json!({
            "iss": "idp", "aud": "cvv2", "sub": "someone", "exp": NOW.unix_timestamp() + 60,
            "banks": banks, "scope": names.join(" "),
        }));
        let who = setup.who(&token).unwrap();
        for bank in BANKS {
            let entitled = who.caller.bank(&BankId::parse(bank).unwrap()).is_some();
            assert_eq!(entitled, banks.contains(&bank), "{banks:?} {bank}");
        }
        for scope in Scope::ALL {
            assert_eq!(who.caller.may(scope), scopes.contains(&scope), "{scopes:?} {scope:?}");
        }
    }
}
