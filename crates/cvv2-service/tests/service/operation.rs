//! From an entitled caller to a CVV2, and every way not to get there.

use std::sync::{Arc, Mutex};

use cvv2::{Expiry, Pan};
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, CardVisitor, CheckReport, ExidForm,
    MemoryStore, NewCard, PutOutcome, StoreError,
};
use cvv2_service::envelope::{ErrorCode, Function};
use cvv2_service::{Caller, CardServices, Cause, ChosenCvk, CvkError, CvkSource, Settings};
use serde_json::json;
use time::Date;
use time::macros::{date, datetime, offset};

use crate::bank::{
    BANK, CONTRACT, EXID, NOW, PAN, REQUEST, Read, all_scopes, ask, bank, caller, card, contract,
    exid, keys, plastic, read, request, service, service_with, settings, store,
};

#[test]
fn both_kinds_of_reference_find_the_card() {
    let answer = ask(&request([
        ("body/card_identifier_id", json!(CONTRACT)),
        ("body/card_identifier_type", json!("contract_number")),
    ]));
    assert_eq!(answer.code(), "000");
    let expected = json!({
        "card_identifier_id": "411111XXXXXX1111",
        "card_identifier_type": "CONTRACT_NUMBER",
        "cvv2": "878",
        "expiry_date": "2701",
    });
    assert_eq!(answer.body, expected);
}

#[test]
fn a_leading_zero_is_kept() {
    let store = store_of(&card(CardStatus::Active, vec![plastic("3004", CardStatus::Active)]));
    let answer = read(&service_with(settings(), store).handle(
        Function::GetCvv2,
        &caller(),
        request([("body/expiry_date", json!("3004"))]).as_bytes(),
    ));
    assert_eq!(answer.body["cvv2"], "057"); // computed with OpenSSL's DES
    assert!(answer.text.contains(r#""cvv2":"057""#));
}

#[test]
fn a_bank_that_is_not_the_callers() {
    for banks in [vec![], vec![bank("OTHR")], vec![bank("nic")], vec![bank("NI"), bank("NICX")]] {
        let answer = service().handle(
            Function::GetCvv2,
            &Caller::new("ivr", banks, all_scopes()),
            REQUEST.as_bytes(),
        );
        assert!(matches!(answer.outcome.cause, Some(Cause::NotEntitled)));
        let answer = read(&answer);
        assert_eq!((answer.code(), answer.http_status), ("202", 403));
        assert_eq!(answer.header["bank_id"], "NIC");
    }
}

#[test]
fn the_store_is_asked_for_the_callers_bank_and_only_about_good_requests() {
    #[derive(Clone, Default)]
    struct Spy(Arc<Mutex<Vec<BankId>>>);

    impl CardStore for Spy {
        fn resolve(&self, bank: &BankId, _: &CardRef) -> Result<Option<CardRecord>, StoreError> {
            self.0.lock().unwrap().push(*bank);
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

    let spy = Spy::default();
    let service = service_with(settings(), spy.clone());
    let asked = |request: &str| {
        let caller = Caller::new("ivr", [bank("ELSE"), bank(BANK)], all_scopes());
        assert_ne!(
            read(&service.handle(Function::GetCvv2, &caller, request.as_bytes())).code(),
            "000"
        );
        std::mem::take(&mut *spy.0.lock().unwrap())
    };
    assert_eq!(asked(REQUEST), [bank(BANK)]);
    assert_eq!(asked(&request([("header/bank_id", json!("ELSE"))])), [bank("ELSE")]);
    assert_eq!(asked(&request([("header/bank_id", json!("OTHR"))])), []);
    let wrong_check_digit = json!("99984100148297467163");
    assert_eq!(asked(&request([("body/card_identifier_id", wrong_check_digit)])), []);
}

#[test]
fn unknown_and_foreign_references_and_wrong_expiries_get_the_same_bytes() {
    let foreign = "10000000000000000008";
    let unknown = "20000000000000000006";
    let store = store();
    let record = card(CardStatus::Active, vec![plastic("2701", CardStatus::Active)]);
    store.put(&bank("OTHR"), &[exid(foreign)], &record).unwrap();
    let service = service_with(settings(), store);
    let answers = [
        (json!(unknown), json!("2701")),
        (json!(foreign), json!("2701")),
        (json!(EXID), json!("2702")),
    ]
    .map(|(id, expiry)| {
        let request = request([("body/card_identifier_id", id), ("body/expiry_date", expiry)]);
        service.handle(Function::GetCvv2, &caller(), request.as_bytes())
    });
    for answer in &answers {
        assert_eq!((read(answer).code(), answer.http_status), ("301", 200));
        assert_eq!(answer.json, answers[0].json);
    }
    // The record says what happened.
    let [unknown, foreign, wrong] = answers.map(|answer| answer.outcome.cause.unwrap());
    assert!(matches!(unknown, Cause::UnknownReference));
    assert!(matches!(foreign, Cause::UnknownReference));
    assert!(matches!(wrong, Cause::NoSuchPlastic));
}

#[test]
fn a_kind_of_reference_does_not_find_the_other() {
    let answer = ask(&request([("body/card_identifier_type", json!("CONTRACT_NUMBER"))]));
    assert_eq!(answer.code(), "301");
}

#[test]
fn status_decides_for_the_plastic_and_for_the_card() {
    use CardStatus::{Active, Blocked, Closed, Lost, Stolen};
    for (status, plastics, code) in [
        (Active, vec![("2701", Active)], "000"),
        (Blocked, vec![("2701", Active)], "304"),
        (Closed, vec![("2701", Active)], "304"),
        (Lost, vec![("2701", Active)], "304"),
        (Stolen, vec![("2701", Active)], "304"),
        (Active, vec![("2701", Blocked)], "304"),
        // Renewal: each plastic for itself.
        (Active, vec![("2701", Blocked), ("3101", Active)], "304"),
        (Active, vec![("3101", Blocked), ("2701", Active)], "000"),
        // A lost plastic and its successor of the same expiry.
        (Active, vec![("2701", Lost), ("2701", Active)], "000"),
        (Active, vec![("2701", Active), ("2701", Lost)], "000"),
        (Active, vec![("2701", Lost), ("2701", Stolen)], "304"),
        // A wrong expiry tells nothing about the status.
        (Blocked, vec![("3101", Active)], "301"),
        (Active, vec![("3101", Stolen), ("2702", Active)], "301"),
    ] {
        let plastics = plastics.iter().map(|&(yymm, status)| plastic(yymm, status)).collect();
        let store = store_of(&card(status, plastics));
        let answer = service_with(settings(), store).handle(
            Function::GetCvv2,
            &caller(),
            REQUEST.as_bytes(),
        );
        assert_eq!((read(&answer).code(), answer.http_status), (code, 200));
    }
}

#[test]
fn a_card_expires_at_midnight_by_the_configured_clock() {
    let ask_at = |now| {
        let service =
            CardServices::new(settings(), Arc::new(store()), Arc::new(keys()), move || now)
                .unwrap();
        read(&service.handle(Function::GetCvv2, &caller(), REQUEST.as_bytes()))
    };
    // 20:00 in UTC is midnight at +04:00, whatever offset the clock speaks in.
    let before = ask_at(datetime!(2027-01-31 19:59:59.999 UTC));
    assert_eq!(before.code(), "000");
    assert_eq!(before.exception["date_time"], "2027-01-31T23:59:59.999+04:00");
    let after = ask_at(datetime!(2027-01-31 20:00 UTC));
    assert_eq!((after.code(), after.http_status), ("303", 200));
    assert_eq!(after.exception["date_time"], "2027-02-01T00:00:00.000+04:00");
}

#[test]
fn status_is_told_before_expiry() {
    let store = store_of(&card(CardStatus::Stolen, vec![plastic("2001", CardStatus::Active)]));
    let request = request([("body/expiry_date", json!("2001"))]);
    let answer =
        service_with(settings(), store).handle(Function::GetCvv2, &caller(), request.as_bytes());
    assert_eq!(read(&answer).code(), "304");
}

#[test]
fn keys_that_are_not_there() {
    struct NoKeys(CvkError);

    impl CvkSource for NoKeys {
        fn generating(&self, pan: &Pan, expiry: &Expiry, on: Date) -> Result<ChosenCvk, CvkError> {
            assert_eq!((pan.expose(), expiry), (PAN, &crate::bank::expiry("2701")));
            assert_eq!(on, date!(2023 - 02 - 01), "the day on the service's own wall");
            Err(self.0)
        }

        fn verifying(
            &self,
            pan: &Pan,
            expiry: &Expiry,
            on: Date,
        ) -> Result<Vec<ChosenCvk>, CvkError> {
            self.generating(pan, expiry, on).map(|key| vec![key])
        }
    }

    for (error, code, http_status) in [
        (CvkError::NoCvv2ForProduct, "306", 200),
        (CvkError::NoKey, "401", 500),
        (CvkError::NotAllowed, "403", 500),
        (CvkError::Locked, "404", 503),
    ] {
        let keys = Arc::new(NoKeys(error));
        let service = CardServices::new(settings(), Arc::new(store()), keys, || NOW).unwrap();
        let answer = read(&service.handle(Function::GetCvv2, &caller(), REQUEST.as_bytes()));
        assert_eq!((answer.code(), answer.http_status), (code, http_status));
        assert!(answer.body.is_null());
    }
}

#[test]
fn a_store_that_fails() {
    struct Broken;

    impl CardStore for Broken {
        fn resolve(&self, _: &BankId, _: &CardRef) -> Result<Option<CardRecord>, StoreError> {
            Err(StoreError::Storage("the disk is on fire".into()))
        }

        fn put_many(&self, _: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
            Err(StoreError::ReadOnly)
        }

        fn len(&self) -> Result<u64, StoreError> {
            Err(StoreError::ReadOnly)
        }

        fn each_card(&self, _: &mut CardVisitor<'_>) -> Result<(), StoreError> {
            Ok(())
        }

        fn check(&self) -> Result<CheckReport, StoreError> {
            Err(StoreError::ReadOnly)
        }
    }

    let answer =
        service_with(settings(), Broken).handle(Function::GetCvv2, &caller(), REQUEST.as_bytes());
    let cause = answer.outcome.cause.as_ref().unwrap().to_string();
    assert_eq!(cause, "the card store failed: the disk is on fire");
    let answer = read(&answer);
    assert_eq!((answer.code(), answer.http_status), ("501", 502));
    assert_eq!(answer.description(), "Card store unavailable");
}

#[test]
fn other_issuers_exids_are_a_setting() {
    let reference = "UAE-0042";
    let ask_with = |exid_form| {
        let store = store();
        let record = card(CardStatus::Active, vec![plastic("2701", CardStatus::Active)]);
        store.put(&bank(BANK), &[exid(reference)], &record).unwrap();
        let service = service_with(Settings { exid_form, ..settings() }, store);
        let request = request([("body/card_identifier_id", json!(reference))]);
        read(&service.handle(Function::GetCvv2, &caller(), request.as_bytes()))
    };
    assert_eq!(ask_with(ExidForm::Strict).code(), "107");
    let answer = ask_with(ExidForm::Any);
    assert_eq!((answer.code(), &answer.body["card_identifier_id"]), ("000", &json!(reference)));
}

#[test]
fn settings_that_break_the_contract_are_refused() {
    let settings = Settings { instance_id: "eleven char".to_owned(), ..settings() };
    let service = CardServices::new(settings, Arc::new(store()), Arc::new(keys()), || NOW);
    assert!(service.is_err());
    let settings = Settings { utc_offset: offset!(-9:30), ..Settings::default() };
    assert!(CardServices::new(settings, Arc::new(store()), Arc::new(keys()), || NOW).is_ok());
}

#[test]
fn the_outcome_is_what_a_record_needs() {
    let answer = service().handle(Function::GetCvv2, &caller(), REQUEST.as_bytes());
    let outcome = answer.outcome;
    assert_eq!(outcome.code, ErrorCode::Success);
    assert!(outcome.cause.is_none());
    assert_eq!(outcome.msg_id.as_deref(), Some("223001"));
    assert_eq!(outcome.tracking_id.as_deref(), Some("223001"));
    assert_eq!(outcome.bank, Some(bank(BANK)));
    assert_eq!(outcome.card.as_deref(), Some("999841XXXXXXXXXX7162"));
    assert_eq!(outcome.unknown_fields, 0);
}

#[test]
fn every_answer_has_the_three_details_that_callers_branch_on() {
    for request in
        [REQUEST.to_owned(), String::new(), request([("body/expiry_date", json!("0127"))])]
    {
        let Read { exception, .. } = ask(&request);
        let names: Vec<_> = exception.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["application_name", "date_time", "error_code", "error_description", "status"]
        );
    }
}

fn store_of(record: &CardRecord) -> MemoryStore {
    let store = MemoryStore::new();
    store.put(&bank(BANK), &[exid(EXID), contract(CONTRACT)], record).unwrap();
    store
}
