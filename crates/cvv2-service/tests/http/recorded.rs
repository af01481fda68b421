//! One record per request, and nothing in it that may not be.

use cvv2_service::limits::LimitPolicy;
use cvv2_service::{MessageKey, Replays};
use serde_json::{Value, json};

use crate::bank::{EXID, NOW, PAN, REQUEST, request};
use crate::home::{GET, Service, Setup, VERIFY, verify_request};

fn requests(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| record["event"] == "request").collect()
}

#[test]
fn each_request_has_a_record_with_the_real_cause() {
    let service = Service::start();
    service.post("ivr", GET, REQUEST);
    service.post("ivr", VERIFY, &verify_request("877"));
    service.post("ivr", GET, &request([("body/expiry_date", json!("2702"))]));
    service.post(
        "ivr",
        GET,
        &request([("body/card_identifier_id", json!("20000000000000000006"))]),
    );
    service.post("foreign", GET, REQUEST);
    service.send("POST", GET, &[], REQUEST.as_bytes());
    let records = service.records();
    let requests = requests(&records);
    let summary: Vec<_> = requests
        .iter()
        .map(|record| {
            ["function", "code", "cause", "verdict", "caller", "kcv"]
                .map(|name| record[name].as_str().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        summary,
        [
            ["get_cvv2", "000", "-", "-", "ivr", "08D7B4"],
            ["verify_cvv2", "000", "-", "mismatch", "ivr", "08D7B4"],
            ["get_cvv2", "301", "the card has no plastic of this expiry", "-", "ivr", "-"],
            ["get_cvv2", "301", "the bank has no card under this reference", "-", "ivr", "-"],
            [
                "get_cvv2",
                "202",
                "the function or the bank is none of the caller's",
                "-",
                "foreign",
                "-"
            ],
            ["get_cvv2", "201", "no Authorization header", "-", "-", "-"],
        ]
    );
    let first = requests[0];
    assert_eq!(first["card"], "999841XXXXXXXXXX7162");
    assert_eq!(first["card_key"], requests[1]["card_key"], "one card, one name");
    assert_eq!(first["card_key"].as_str().unwrap().len(), 32);
    assert_eq!(first["bank"], "NIC");
    assert_eq!(first["http_status"], 200);
    assert!(first["origin"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(first["client"].as_str().unwrap().len() >= 16, "the token's id");
    assert!(first["duration_us"].as_u64().unwrap() > 0);
    let text = records.iter().map(Value::to_string).collect::<String>();
    for secret in [PAN, EXID, "\"878\"", "\"877\""] {
        assert!(!text.contains(secret));
    }
}

#[test]
fn a_message_that_comes_twice_is_recorded_or_refused() {
    for (replays, second, replayed) in
        [(Replays::Ignore, "000", 0), (Replays::Measure, "000", 1), (Replays::Reject, "109", 0)]
    {
        let service = Service::start_with(Setup { replays, ..Setup::default() });
        let codes = [REQUEST, REQUEST].map(|request| service.post("ivr", GET, request).code());
        assert_eq!(codes, ["000", second], "{replays:?}");
        let other = request([("header/msg_id", json!("223002"))]);
        assert_eq!(service.post("ivr", GET, &other).code(), "000");
        let other = request([("header/src_application", json!("SSP"))]);
        assert_eq!(service.post("ivr", GET, &other).code(), "000", "another source's");
        let records = service.records();
        assert_eq!(requests(&records)[1]["replayed"], replayed);
        assert_eq!(requests(&records)[2]["replayed"], 0);
    }
}

#[test]
fn where_no_more_messages_are_kept_in_mind_they_pass_or_are_refused() {
    for (replays, code) in [(Replays::Measure, "000"), (Replays::Reject, "503")] {
        let policy = LimitPolicy { messages_max: 1000, ..LimitPolicy::default() };
        let service = Service::start_with(Setup { policy, replays, ..Setup::default() });
        for number in 0..1000_u128 {
            let message = MessageKey::from_bytes((number << 112).to_be_bytes());
            service.http.limits.first_use(message, NOW).unwrap();
        }
        assert_eq!(service.post("ivr", GET, REQUEST).code(), code, "{replays:?}");
        let counters = service.http.limits.counters();
        assert_eq!((counters.messages, counters.unknown_messages), (1000, 1));
        let records = service.records();
        assert_eq!(requests(&records)[0]["replayed"], 0);
    }
}
