//! The echo rule, for any header, and masking, for any card reference.

use std::fmt::Write;

use cvv2::Pan;
use cvv2_resolver::{CardStatus, CardStore, ExidForm, MemoryStore};
use cvv2_service::Settings;
use cvv2_service::envelope::Function;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bank::{
    BANK, ask, bank, caller, card, contract, exid, plastic, read, request, service_with, settings,
};

const ECHOED: [&str; 8] = [
    "msg_id",
    "msg_type",
    "src_application",
    "target_application",
    "timestamp",
    "bank_id",
    "instance_id",
    "tracking_id",
];

proptest! {
    /// Whatever a header holds comes back as it was, however JSON spelt it, on success and failure.
    #[test]
    fn a_header_comes_back_byte_for_byte(
        msg_id in text(12),
        msg_type in prop_oneof![Just("TRANSACTION"), Just("ENQUIRY")],
        src_application in text(10),
        target_application in text(10),
        timestamp in timestamp(),
        instance_id in prop_oneof![Just(String::new()), text(10)],
        tracking_id in prop::option::of(text(30)),
        spelling in any::<Spelling>(),
        found: bool,
    ) {
        let mut sent = json!({
            "msg_id": msg_id,
            "msg_type": msg_type,
            "src_application": src_application,
            "target_application": target_application,
            "timestamp": timestamp,
            "bank_id": BANK,
            "instance_id": instance_id,
            "tracking_id": tracking_id,
        });
        let mut changes: Vec<_> =
            ECHOED.iter().map(|name| (format!("header/{name}"), sent[name].clone())).collect();
        if !found {
            changes.push(("body/expiry_date".to_owned(), json!("2702")));
        }
        let plain = request(changes.iter().map(|(path, value)| (path.as_str(), value.clone())));
        let answer = ask(&spelling.spell(&plain));
        prop_assert_eq!(answer.code(), if found { "000" } else { "301" });

        sent["msg_function"] = json!("REP_GET_CVV2");
        sent.as_object_mut().unwrap().remove("tracking_id");
        prop_assert_eq!(answer.header, sent);
    }

    /// What may be a PAN comes back masked, in the same length; anything else as it was sent.
    #[test]
    fn a_card_reference_comes_back_masked_where_it_is_a_pan(
        reference in prop_oneof![pan(), "[0-9]{1,32}", "[!-WYZ\\[-wyz-~]{1,32}"],
        is_exid: bool,
    ) {
        let store = MemoryStore::new();
        let record = card(CardStatus::Active, vec![plastic("2701", CardStatus::Active)]);
        let (kind, card_ref) = if is_exid {
            ("EXID", exid(&reference))
        } else {
            ("CONTRACT_NUMBER", contract(&reference))
        };
        store.put(&bank(BANK), &[card_ref], &record).unwrap();
        let settings = Settings { exid_form: ExidForm::Any, ..settings() };
        let request = request([
            ("body/card_identifier_id", json!(reference)),
            ("body/card_identifier_type", json!(kind)),
        ]);
        let answer = read(&service_with(settings, store).handle(Function::GetCvv2, &caller(), request.as_bytes()));
        prop_assert_eq!(answer.code(), "000");
        prop_assert_eq!(&answer.body["card_identifier_type"], kind);

        let shown = answer.body["card_identifier_id"].as_str().unwrap();
        if Pan::parse(&reference).is_ok_and(|pan| pan.passes_luhn()) {
            prop_assert_eq!(shown.len(), reference.len());
            let hidden = 6..shown.len() - 4;
            for (at, (shown, sent)) in shown.chars().zip(reference.chars()).enumerate() {
                prop_assert_eq!(shown, if hidden.contains(&at) { 'X' } else { sent });
            }
            prop_assert!(!answer.text.contains(&reference));
        } else {
            prop_assert_eq!(shown, reference);
        }
    }
}

#[test]
fn the_longest_answer_still_fits_its_buffer() {
    // Four bytes a character in UTF-8, two for an escaped quotation mark.
    let settings = Settings {
        application_name: "𝟜".repeat(50),
        instance_id: "𝟜".repeat(10),
        exid_form: ExidForm::Any,
        ..settings()
    };
    let store = MemoryStore::new();
    let record = card(CardStatus::Active, vec![plastic("2701", CardStatus::Active)]);
    let longest = "\"".repeat(32);
    store.put(&bank(BANK), &[exid(&longest)], &record).unwrap();
    let request = request([
        ("header/msg_id", json!("𝟜".repeat(12))),
        ("header/src_application", json!("𝟜".repeat(10))),
        ("header/target_application", json!("𝟜".repeat(10))),
        ("header/instance_id", json!("𝟜".repeat(10))),
        ("body/card_identifier_id", json!(longest)),
    ]);
    let answer =
        service_with(settings, store).handle(Function::GetCvv2, &caller(), request.as_bytes());
    assert_eq!(read(&answer).code(), "000");
    assert_eq!(answer.json.capacity(), answer.json.len(), "the buffer did not grow");
}

/// Any characters that a field takes, often as many as it takes.
fn text(chars_max: usize) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        proptest::char::range(' ', '~'),
        prop::sample::select(vec!['"', '\\', '/', 'é', '\u{2028}', '\u{feff}', '𝟜', '＃']),
    ]
    .prop_filter("a control character", |c| !c.is_control());
    let length = prop_oneof![1..=chars_max, Just(chars_max)];
    length
        .prop_flat_map(move |length| prop::collection::vec(character.clone(), length))
        .prop_map(String::from_iter)
        .prop_filter("blanks only", |text| !text.trim_matches(' ').is_empty())
}

fn timestamp() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("2020-07-20T10:49:02.366+04:00".to_owned()),
        Just("2020-07-20T10:49:02:366+0400".to_owned()),
        Just("2020-07-20t10:49:02z".to_owned()),
        (1..=28_u8, 1..=12_u8, 1..9999_u16, 0..24_u8)
            .prop_map(|(d, m, y, h)| format!("{d:02}/{m:02}/{y:04} {h:02}:49:02")),
    ]
}

fn pan() -> impl Strategy<Value = String> {
    "[0-9]{11,18}".prop_map(|body| {
        let with = |check: u32| format!("{body}{check}");
        (0..10).map(with).find(|pan| Pan::parse(pan).unwrap().passes_luhn()).unwrap()
    })
}

/// A way to write the same JSON document.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    Compact,
    Indented,
    /// All but ASCII as `\uXXXX`, slashes as `\/`.
    Escaped,
    /// Every character as `\uXXXX`.
    AllEscaped,
}

impl Arbitrary for Spelling {
    type Parameters = ();
    type Strategy = prop::sample::Select<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        prop::sample::select(vec![Self::Compact, Self::Indented, Self::Escaped, Self::AllEscaped])
    }
}

impl Spelling {
    fn spell(self, document: &str) -> String {
        let value: Value = serde_json::from_str(document).unwrap();
        match self {
            Self::Compact => value.to_string(),
            Self::Indented => format!("{value:#}"),
            Self::Escaped | Self::AllEscaped => self.spell_value(&value),
        }
    }

    fn spell_value(self, value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, value)| {
                        format!("{}:{}", self.spell_string(key), self.spell_value(value))
                    })
                    .collect();
                format!("{{{}}}", members.join(","))
            }
            Value::String(text) => self.spell_string(text),
            other => other.to_string(),
        }
    }

    fn spell_string(self, text: &str) -> String {
        let mut spelt = String::from('"');
        for unit in text.encode_utf16() {
            match char::from_u32(unit.into()) {
                Some('/') if matches!(self, Self::Escaped) => spelt.push_str("\\/"),
                Some(c @ (' '..='!' | '#'..='[' | ']'..='~')) if matches!(self, Self::Escaped) => {
                    spelt.push(c);
                }
                _ => write!(spelt, "\\u{unit:04x}").unwrap(),
            }
        }
        spelt.push('"');
        spelt
    }
}
