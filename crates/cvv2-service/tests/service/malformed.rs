//! Each malformed request of the table gets its code, its HTTP status, and the name of what is
//! wrong.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bank::{REQUEST, ask, request};

const TABLE: &str = include_str!("../data/malformed.json");

/// A row: one way to change the published request, and what that has to get.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    comment: String,
    /// Fields set to other values.
    set: Option<Map<String, Value>>,
    /// A field taken out.
    remove: Option<String>,
    /// A text replaced by another.
    replace: Option<[String; 2]>,
    /// Another request altogether.
    request: Option<String>,
    code: String,
    http: u16,
    /// What the description says.
    names: String,
}

impl Row {
    fn request(&self) -> String {
        match (&self.set, &self.remove, &self.replace, &self.request) {
            (Some(set), None, None, None) => {
                request(set.iter().map(|(path, value)| (path.as_str(), value.clone())))
            }
            (None, Some(path), None, None) => without(path),
            (None, None, Some([from, to]), None) => {
                assert_eq!(REQUEST.matches(from).count().min(2), 1, "{}: {from}", self.comment);
                REQUEST.replacen(from, to, 1)
            }
            (None, None, None, Some(request)) => request.clone(),
            _ => panic!("{}: one change a row", self.comment),
        }
    }
}

#[test]
fn every_row_gets_its_answer() {
    let rows: Vec<Row> = serde_json::from_str(TABLE).unwrap();
    let mut requests: Vec<String> = rows.iter().map(Row::request).collect();
    for (row, request) in rows.iter().zip(&requests) {
        let answer = ask(request);
        let got = (answer.code(), answer.http_status);
        assert_eq!(got, (row.code.as_str(), row.http), "{}: {}", row.comment, answer.text);
        let description = answer.description();
        assert!(description.contains(&row.names), "{}: {description}", row.comment);
        assert_eq!(answer.exception["status"], "F", "{}", row.comment);
        assert!(!answer.text.contains(r#""body":"#), "{}", row.comment);
    }
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests.len(), rows.len(), "rows are distinct");
    assert!(rows.len() >= 60);
}

#[test]
fn the_header_comes_back_as_far_as_it_could_be_read() {
    let wrong = ask(&request([
        ("header/msg_type", "REVERSAL".into()),
        ("header/src_application", "far too long for it".into()),
        ("header/timestamp", "4111111111111111".into()),
    ]));
    let expected = serde_json::json!({
        "msg_id": "223001",
        "msg_function": "REP_GET_CVV2",
        "target_application": "WAY4",
        "bank_id": "NIC",
        "instance_id": "InstanceID",
    });
    assert_eq!(wrong.header, expected);
    for unreadable in ["", "{}", r#"{"NISrvRequest":{"request_get_cvv2":{}}}"#] {
        assert!(ask(unreadable).header.is_null());
    }
    assert_eq!(ask(&without("body")).header["msg_id"], "223001");
}

fn without(path: &str) -> String {
    let mut request: Value = serde_json::from_str(REQUEST).unwrap();
    let mut node = &mut request["NISrvRequest"]["request_get_cvv2"];
    let (parents, name) = path.rsplit_once('/').map_or((None, path), |(p, n)| (Some(p), n));
    if let Some(parent) = parents {
        node = &mut node[parent];
    }
    node.as_object_mut().unwrap().remove(name).expect("a member to take out");
    request.to_string()
}
