//! The document says what the service does.

use cvv2_service::envelope::{ErrorCode, Field};
use cvv2_service::http::OPENAPI;
use serde_json::Value;

use crate::home::Service;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

#[test]
fn it_is_served() {
    let reply = Service::start().send("GET", "/openapi.json", &[], b"");
    assert_eq!((reply.status, reply.json()), (200, document()));
}

#[test]
fn its_fields_are_those_of_the_envelope() {
    let schemas = &document()["components"]["schemas"];
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
            let property = &object["properties"][name];
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
                assert!(item["post"]["responses"][&status].is_object(), "{path} {status}");
            }
        }
    }
}
