//! The document says what the service does.

use cvv2_service::envelope::{ErrorCode, Field};
use cvv2_service::http::OPENAPI;
use serde_json::Value;

use crate::home::Service;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// What a value is or refers to.
fn referred<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    let target = document.pointer(reference.strip_prefix('#').unwrap());
    target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Every reference of the document.
fn references<'d>(value: &'d Value, all: &mut Vec<&'d str>) {
    match value {
        Value::Object(object) => {
            all.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, all));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, all)),
        _ => {}
    }
}

#[test]
fn it_is_served() {
    let reply = Service::start().send("GET", "/openapi.json", &[], b"");
    assert_eq!((reply.status, reply.json()), (200, document()));
}

#[test]
fn its_fields_are_those_of_the_envelope() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (schema, node, ours) in [
        ("GetCvv2Request", "request_get_cvv2", &[][..]),
        ("VerifyCvv2Request", "request_verify_cvv2", &[Field::Cvv2][..]),
    ] {
        let request = &schemas[schema]["properties"]["NISrvRequest"]["properties"][node];
        let [header, body] = ["header", "body"].map(|name| &request["properties"][name]);
        let properties = |object: &Value| object["properties"].as_object().unwrap().len();
        let fields: Vec<Field> = Field::PUBLISHED.iter().chain(ours).copied().collect();
        assert_eq!(properties(header) + properties(body), fields.len());
        for field in fields {
            let name = field.name();
            let object = [header, body]
                .into_iter()
                .find(|object| object["properties"][name].is_object())
                .unwrap_or_else(|| panic!("{name} is not in {schema}"));
            let required = object["required"].as_array().unwrap().contains(&name.into());
            assert_eq!(required, field.is_mandatory(), "{name}");
            let property = referred(&document, &object["properties"][name]);
            let text = if name == "msg_id" { &property["oneOf"][0] } else { property };
            assert_eq!(text["maxLength"], field.chars_max(), "{name}");
        }
    }
}

#[test]
fn its_codes_and_statuses_are_those_of_the_table() {
    let document = document();
    let details = &document["components"]["schemas"]["ExceptionDetails"]["properties"];
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(details["error_code"]["enum"], serde_json::json!(codes));
    for (path, item) in document["paths"].as_object().unwrap() {
        if path.contains("CardServices") {
            for code in ErrorCode::ALL {
                let status = code.http_status().to_string();
                let response = referred(&document, &item["post"]["responses"][&status]);
                assert!(response["description"].is_string(), "{path} {status}");
            }
        }
    }
}

#[test]
fn its_references_lead_somewhere_and_every_component_is_referred_to() {
    let document = document();
    let mut all = Vec::new();
    references(&document, &mut all);
    for reference in &all {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            let reference = format!("#/components/{kind}/{name}");
            assert!(all.contains(&&*reference), "nobody refers to {reference}");
        }
    }
}
