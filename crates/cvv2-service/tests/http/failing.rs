//! What leaves when something fails: nothing that was not recorded and charged.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStore, CardVisitor, CheckReport, NewCard, PutOutcome,
    StoreError,
};
use cvv2_service::limits::LimitPolicy;
use cvv2_service::transport::ConnectionLimits;
use serde_json::json;

use crate::bank::{REQUEST, request};
use crate::home::{GET, Service, Setup, VERIFY, verify_request};

/// A store that does something else than find cards.
struct Strange(fn());

impl CardStore for Strange {
    fn resolve(&self, _: &BankId, _: &CardRef) -> Result<Option<CardRecord>, StoreError> {
        (self.0)();
        Ok(None)
    }

    fn put_many(&self, _: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn each_card(&self, _: &mut CardVisitor<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn check(&self) -> Result<CheckReport, StoreError> {
        Ok(CheckReport::default())
    }
}

#[test]
fn a_panic_is_an_internal_error_and_the_connection_goes_on() {
    for services_block in [false, true] {
        let panics = Strange(|| panic!("about 4123456789012345"));
        let setup = Setup { store: Arc::new(panics), services_block, ..Setup::default() };
        let service = Service::start_with(setup);
        for _ in 0..2 {
            let reply = service.post("ivr", GET, REQUEST);
            assert_eq!((reply.status, reply.code().as_str()), (500, "999"));
            assert!(!reply.body.contains("4123"));
        }
        let records = service.records();
        let causes = records.iter().filter(|record| record["event"] == "request");
        let causes: Vec<_> = causes.map(|record| record["cause"].as_str().unwrap()).collect();
        assert_eq!(causes, ["a fault of the program; the log has its place"; 2]);
    }
}

#[test]
fn a_deadline_that_passes_is_answered() {
    let slow = Strange(|| thread::sleep(Duration::from_millis(2500)));
    let connections = ConnectionLimits { request_deadline_ms: 1000, ..ConnectionLimits::default() };
    let store: Arc<dyn CardStore> = Arc::new(slow);
    let service =
        Service::start_with(Setup { store, services_block: true, connections, ..Setup::default() });
    for (path, request, node) in [
        (GET, REQUEST.to_owned(), "response_get_cvv2"),
        (VERIFY, verify_request("878"), "response_verify_cvv2"),
    ] {
        let reply = service.post("ivr", path, &request);
        assert_eq!((reply.status, reply.code().as_str()), (504, "504"));
        assert!(reply.json()["NISrvResponse"][node].is_object());
    }
}

#[test]
fn nothing_leaves_without_its_record_and_it_goes_on_when_there_is_room() {
    let service = Service::start_with(Setup { audit_file_bytes_max: 4 << 10, ..Setup::default() });
    let bearer = format!("Bearer {}", service.token("ivr"));
    let ask = || {
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        service.send("POST", GET, &headers, REQUEST.as_bytes())
    };
    assert_eq!(ask().code(), "000");
    // The next file cannot be made: its directory is gone.
    let audit = service.folder().join("audit");
    let elsewhere = service.folder().join("elsewhere");
    fs::rename(&audit, &elsewhere).unwrap();
    let mut answered = 1;
    let refused = loop {
        let reply = ask();
        if reply.status != 200 {
            break reply;
        }
        answered += 1;
        assert!(answered < 20, "a file of 4 KiB is full by now");
    };
    for reply in [refused, ask(), ask(), ask()] {
        assert_eq!((reply.status, reply.code().as_str()), (503, "503"), "{reply:?}");
        assert_eq!(reply.response()["header"]["msg_id"], "223001");
        assert!(reply.response()["body"].is_null());
        assert!(!reply.body.contains("878"));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    let reply = service.send("GET", "/readyz", &[], b"");
    assert_eq!((reply.status, &reply.json()["audit"]), (503, &json!(false)));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!(
        "grant_type=client_credentials&client_id=ivr&client_secret={}",
        service.secret("ivr")
    );
    let reply = service.send("POST", "/v1/tokenkc/generate", &form, body.as_bytes());
    assert_eq!(reply.status, 503, "no token without its record either");
    assert!(!reply.body.contains("access_token"));

    fs::rename(&elsewhere, &audit).unwrap();
    let mut tries = 0;
    while ask().status != 200 {
        tries += 1;
        assert!(tries < 200, "there is room again");
        thread::sleep(Duration::from_millis(20));
    }
    let records = service.records();
    let granted = |record: &&serde_json::Value| record["code"] == "000";
    assert_eq!(records.iter().filter(granted).count(), answered + 1, "one for each answer");
}

#[test]
fn a_limit_of_the_caller_says_when_to_come_again() {
    let policy = LimitPolicy { caller_requests_per_minute: 3, ..LimitPolicy::default() };
    let service = Service::start_with(Setup { policy, ..Setup::default() });
    let replies: Vec<_> = (0..4).map(|_| service.post("ivr", GET, REQUEST)).collect();
    assert!(replies[..3].iter().all(|reply| reply.code() == "000"));
    assert_eq!((replies[3].status, replies[3].code().as_str()), (429, "203"));
    let seconds: u64 = replies[3].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert_eq!(service.post("generates", GET, REQUEST).code(), "000", "another caller");
}

#[test]
fn a_limit_of_the_card_holds_for_everybody_and_every_expiry() {
    let policy = LimitPolicy { card_wrong_soft: 2, card_wrong_hard: 3, ..LimitPolicy::default() };
    let service = Service::start_with(Setup { policy, ..Setup::default() });
    let wrong = verify_request("000");
    let codes = |client: &str, times: usize| -> Vec<String> {
        (0..times).map(|_| service.post(client, VERIFY, &wrong).code()).collect()
    };
    assert_eq!(codes("ivr", 3), ["000", "000", "204"], "the caller's own limit");
    assert_eq!(codes("verifies", 2), ["000", "204"], "the card's");
    let right = service.post("verifies", VERIFY, &verify_request("878"));
    assert_eq!((right.status, right.code().as_str()), (200, "204"), "a right one as well");
    // A wrong expiry hears nothing of it.
    let mut other: serde_json::Value = serde_json::from_str(&wrong).unwrap();
    other["NISrvRequest"]["request_verify_cvv2"]["body"]["expiry_date"] = json!("2702");
    assert_eq!(service.post("verifies", VERIFY, &other.to_string()).code(), "301");
}

#[test]
fn right_verifications_use_nothing_up() {
    let policy = LimitPolicy { card_wrong_soft: 1, card_wrong_hard: 1, ..LimitPolicy::default() };
    let service = Service::start_with(Setup { policy, ..Setup::default() });
    for _ in 0..5 {
        assert_eq!(service.post("ivr", VERIFY, &verify_request("878")).code(), "000");
    }
    let unread = request([("body/expiry_date", json!("0127"))]);
    assert_eq!(service.post("ivr", GET, &unread).code(), "108");
}
