//! Limits, seen and cleared.

use cvv2_service::limits::LimitPolicy;
use serde_json::json;

use crate::bank::{BANK, EXID};
use crate::home::{Service, Setup, VERIFY, verify_request};

#[test]
fn an_administrator_sees_a_card_that_is_locked_and_clears_it() {
    let policy = LimitPolicy { card_wrong_soft: 1, card_wrong_hard: 1, ..LimitPolicy::default() };
    let service = Service::start_with(Setup { policy, ..Setup::default() });
    let card = json!({
        "bank_id": BANK, "card_identifier_type": "EXID", "card_identifier_id": EXID,
    })
    .to_string();
    let show = || service.post("operator", "/v1/limits/show", &card).json();
    let reached = |limits: &serde_json::Value| -> Vec<String> {
        let usage = limits["usage"].as_array().unwrap().iter();
        usage
            .filter(|usage| !usage["retry_after_seconds"].is_null())
            .map(|usage| usage["limit"].as_str().unwrap().to_owned())
            .collect()
    };
    let used = |limits: &serde_json::Value| -> u64 {
        let usage = limits["usage"].as_array().unwrap().iter();
        usage.map(|usage| usage["used"].as_u64().unwrap()).sum()
    };
    assert_eq!(used(&show()), 0);
    let codes = || service.post("ivr", VERIFY, &verify_request("000")).code();
    assert_eq!([codes(), codes()], ["000", "204"]);
    assert!(reached(&show()).contains(&"card_wrong_hard".to_owned()), "{}", show());
    let bearer = format!("Bearer {}", service.token("operator"));
    let listed = service.send("GET", "/v1/limits", &[("authorization", &bearer)], b"").json();
    assert_eq!(listed["cards"][0]["card_key"], show()["card_key"]);

    let cleared = service.post("operator", "/v1/limits/clear", &card);
    assert_eq!((cleared.status, cleared.json()), (200, json!({ "cleared": true })));
    assert_eq!(codes(), "000");

    let caller = json!({ "caller": "ivr" }).to_string();
    let shown = service.post("operator", "/v1/limits/show", &caller).json();
    assert_eq!(shown["caller"], "ivr");
    assert_eq!(service.post("operator", "/v1/limits/clear", &caller).status, 200);
    let nobody = json!({ "caller": "4123456789012345" }).to_string();
    let shown = service.post("operator", "/v1/limits/show", &nobody);
    assert_eq!((shown.status, shown.json()), (200, json!({ "usage": [] })));
    let cleared = service.post("operator", "/v1/limits/clear", &nobody);
    assert_eq!((cleared.status, cleared.json()), (200, json!({ "cleared": false })));

    let unknown = card.replace(EXID, "20000000000000000006");
    assert_eq!(service.post("operator", "/v1/limits/show", &unknown).status, 404);
    for wrong in ["{}", "[]", "", r#"{"caller": "ivr", "bank_id": "NIC"}"#, r#"{"caller": 1}"#] {
        assert_eq!(service.post("operator", "/v1/limits/show", wrong).status, 400, "{wrong}");
    }
    let records = service.records();
    let by = |event: &str| records.iter().filter(|record| record["event"] == event).count();
    assert_eq!(by("limit_cleared"), 3);
    assert!(by("limits_shown") >= 4);
    let first = records.iter().find(|record| record["event"] == "limit_cleared").unwrap();
    assert_eq!(first["caller"], "operator");
    assert_eq!(first["card_key"].as_str().unwrap().len(), 32);
    let of_caller = records.iter().filter(|record| record["event"] == "limit_cleared").nth(1);
    assert_eq!(of_caller.unwrap()["detail"], "ivr", "whose limits were cleared");
    assert!(!format!("{records:?}").contains("4123456789012345"));
}
