//! A JSON document as a small tree that knows what the contract needs to know of it.
//!
//! `serde_json` reads the grammar (RFC 8259, at most 128 levels deep, nothing after the document);
//! the tree adds two things. A key that occurs twice in one object is refused at every level,
//! because systems disagree about which of the two counts. And a number is never mistaken for a
//! string: an identifier of 20 digits fits neither a double nor 64 bits, so one that was sent as a
//! number has already lost digits somewhere.
//!
//! Strings are borrowed from the document where they stand in it as they are; the others are wiped
//! when dropped. One copy is out of reach: `serde_json` decodes a string that holds escapes in a
//! buffer of its own, which it frees as it is. No digit needs an escape, so this concerns card data
//! of senders that go out of their way only.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::text::Text;

/// One value of a document.
pub(super) enum Json<'a> {
    /// `null`.
    Null,
    /// A string.
    Text(Text<'a>),
    /// A number without fraction and exponent that fits 64 bits, as its text.
    Integer(Text<'a>),
    /// An object.
    Object(Object<'a>),
    /// Anything else; nothing in the contract is an array, a fraction or a truth value.
    Other,
}

impl<'a> Json<'a> {
    /// Reads a whole document.
    pub(super) fn parse(document: &'a [u8]) -> Result<Self, JsonError> {
        // Text is looked through once; bytes that are no text, string by string until the first that
        // is none, which has a position then.
        let read = match str::from_utf8(document) {
            Ok(document) => serde_json::from_str(document),
            Err(_) => serde_json::from_slice(document),
        };
        read.map_err(|error| JsonError {
            // The tree takes any value there is, so what it refuses is a duplicate.
            duplicate_key: error.classify() == Category::Data,
            line: error.line(),
            column: error.column(),
        })
    }
}

/// An object whose keys are all different.
pub(super) struct Object<'a>(Vec<(Text<'a>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Removes a member and returns its value.
    pub(super) fn take(&mut self, key: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(name, _)| name.expose() == key)?;
        Some(self.0.swap_remove(at).1)
    }

    /// How many members were not taken.
    pub(super) fn left(&self) -> usize {
        self.0.len()
    }
}

/// Where a document is no JSON, or has a key twice. Lines and columns count from one; a column of
/// zero is the end of the line before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) duplicate_key: bool,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number.to_string().into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number.to_string().into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json<'de>, E> {
        Ok(Json::Other)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        // Each item is read as a tree, for the duplicates in it, and dropped.
        while items.next_element::<Json>()?.is_some() {}
        Ok(Json::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key()? {
            if members.is_empty() {
                members.reserve(MEMBERS);
            }
            members.push((key, map.next_value()?));
        }
        // Sorted, a duplicate stands next to its twin: no quadratic search in a hostile document.
        members
            .sort_unstable_by(|(a, _): &(Text<'_>, Json<'_>), (b, _)| a.expose().cmp(b.expose()));
        if members.windows(2).any(|pair| pair[0].0.expose() == pair[1].0.expose()) {
            return Err(A::Error::custom("a key occurs twice"));
        }
        Ok(Json::Object(Object(members)))
    }
}

/// Room for the members of most objects, so that few have to grow.
const MEMBERS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(document: &str) -> JsonError {
        Json::parse(document.as_bytes()).err().unwrap()
    }

    #[test]
    fn kinds_are_told_apart() {
        let kind = |document: &str| match Json::parse(document.as_bytes()).unwrap() {
            Json::Null => "null".to_owned(),
            Json::Text(text) => format!("text {}", text.expose()),
            Json::Integer(text) => format!("integer {}", text.expose()),
            Json::Object(object) => format!("object of {}", object.left()),
            Json::Other => "other".to_owned(),
        };
        for (document, expected) in [
            ("null", "null"),
            ("true", "other"),
            ("[]", "other"),
            (r#"[{"a":1}]"#, "other"),
            ("1.0", "other"),
            ("1e3", "other"),
            ("-0", "other"),
            ("18446744073709551616", "other"), // one more than fits 64 bits
            ("18446744073709551615", "integer 18446744073709551615"),
            ("-9223372036854775808", "integer -9223372036854775808"),
            ("223001", "integer 223001"),
            (r#""2\u0032\/""#, "text 22/"),
            (r#""""#, "text "),
            (r#" { "a": 1, "A": 2 } "#, "object of 2"),
        ] {
            assert_eq!(kind(document), expected, "{document}");
        }
    }

    #[test]
    fn a_key_may_occur_once_at_every_level() {
        for document in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":null}"#,
            r#"{"a":{"b":{"c":1,"c":2}}}"#,
            r#"{"a":[0,{"b":[{"c":1,"c":2}]}]}"#,
            r#"{"a":1,"\u0061":1}"#, // one key, two spellings
            r#"{"":1,"":1}"#,
        ] {
            assert!(refused(document).duplicate_key, "{document}");
        }
        let fine = r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#;
        assert!(Json::parse(fine.as_bytes()).is_ok());
    }

    #[test]
    fn errors_have_a_position_and_nothing_else() {
        assert_eq!(
            refused("{\n  \"a\": 1,\n  \"a\": 2\n}"),
            JsonError { duplicate_key: true, line: 4, column: 1 }
        );
        assert_eq!(
            refused("{\n  'a': 1 }"),
            JsonError { duplicate_key: false, line: 2, column: 3 }
        );
    }

    proptest! {
        /// Also where bytes are no text.
        #[test]
        fn errors_stand_where_serde_json_finds_them(at: prop::sample::Index, byte: u8) {
            let mut document = "{\"a\": [1e3, \"é\\u00e9\"],\n \"b\": {\"c\": null}}".as_bytes().to_vec();
            document.insert(at.index(document.len() + 1), byte);
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&document);
            let place = |error: serde_json::Error| (error.line(), error.column());
            match Json::parse(&document) {
                Err(error) => prop_assert_eq!(Err((error.line, error.column)), read.map_err(place)),
                Ok(_) => prop_assert!(read.is_ok()),
            }
        }

        #[test]
        fn what_serde_json_reads_without_duplicates_is_read(value in any_value(), pretty: bool) {
            let document =
                if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert!(same(Json::parse(document.as_bytes()).unwrap(), &value));
        }
    }

    fn same(read: Json<'_>, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (read, value) {
            (Json::Null, Value::Null) | (Json::Other, Value::Bool(_) | Value::Array(_)) => true,
            (Json::Integer(read), Value::Number(number)) => read.expose() == number.to_string(),
            (Json::Other, Value::Number(number)) => number.is_f64(),
            (Json::Text(read), Value::String(text)) => read.expose() == text,
            (Json::Object(mut read), Value::Object(members)) => {
                read.left() == members.len()
                    && members
                        .iter()
                        .all(|(key, value)| read.take(key).is_some_and(|read| same(read, value)))
            }
            _ => false,
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
