//! The configuration file with the environment over it.
//!
//! A variable `CVV2__SERVE__LISTEN` is the key `listen` of the table `[serve]`: two underscores
//! stand between the levels, and the names are the file's, in capitals. Its value is written as in the
//! file; a value that is none there is a text, so that addresses and paths need no quotation marks.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What every variable begins with.
pub(crate) const PREFIX: &str = "CVV2__";

/// Reads `text`, and puts `variables` in the place of what it says.
///
/// An error says where, by line and column or by the variable's name, and quotes nothing: somebody
/// may have pasted a key.
pub(crate) fn read<T: DeserializeOwned>(
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, String> {
    let variables: Vec<Variable> = variables.into_iter().filter_map(Variable::new).collect();
    let names: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
    let mut file =
        DeTable::parse(text).map_err(|e| not_understood(&at(text, &names, e.span().as_ref())))?;
    for (number, variable) in variables.iter().enumerate() {
        // They count on behind the text, so that an error can be told to be theirs.
        let place = text.len() + number;
        put(file.get_mut(), &variable.keys, variable.value(), place)
            .map_err(|()| not_understood(&at(text, &names, Some(&(place..place + 1)))))?;
    }
    T::deserialize(toml::Deserializer::from(file))
        .map_err(|e| not_understood(&at(text, &names, e.span().as_ref())))
}

/// A variable of ours.
struct Variable {
    name: String,
    /// Where its value belongs.
    keys: Vec<String>,
    /// A document whose only key has the value.
    document: String,
}

impl Variable {
    fn new((name, value): (String, String)) -> Option<Self> {
        let path = name.strip_prefix(PREFIX)?;
        let keys = path.split("__").map(str::to_ascii_lowercase).collect();
        Some(Self { name, keys, document: format!("{ASSIGNED}{value}") })
    }

    /// The value as the file would have it, or else the text that it is.
    fn value(&self) -> DeValue<'_> {
        let parsed = DeTable::parse(&self.document).ok().map(Spanned::into_inner);
        let value = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("v"));
        let text = &self.document[ASSIGNED.len()..];
        value.map_or(DeValue::String(Cow::Borrowed(text)), Spanned::into_inner)
    }
}

const ASSIGNED: &str = "v = ";

fn not_understood(place: &str) -> String {
    format!(
        "not understood{place}: a field that is missing, unknown or of the wrong type, or no TOML; \
         compare the configuration that `cvv2 demo --keep` writes"
    )
}

/// Where it is: in the text, or in one of the variables, which count on behind it.
fn at(text: &str, names: &[&str], span: Option<&Range<usize>>) -> String {
    let Some(&Range { start, .. }) = span else { return String::new() };
    match start.checked_sub(text.len()).and_then(|at| names.get(at)) {
        Some(name) => format!(" in the environment variable {name}"),
        None => place(text, start),
    }
}

/// The line and the column, in characters from 1, of a byte of the text.
fn place(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.split('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(" at line {line}, column {column}")
}

fn is_bare_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Puts a value where the keys lead, making the tables on the way.
fn put<'t>(
    table: &mut DeTable<'t>,
    keys: &[String],
    value: DeValue<'t>,
    at: usize,
) -> Result<(), ()> {
    let (key, deeper) = keys.split_first().filter(|(key, _)| is_bare_key(key)).ok_or(())?;
    let span = at..at + 1;
    if deeper.is_empty() {
        table
            .insert(Spanned::new(span.clone(), Cow::Owned(key.clone())), Spanned::new(span, value));
        return Ok(());
    }
    let empty = || Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
    let inner =
        table.entry(Spanned::new(span.clone(), Cow::Owned(key.clone()))).or_insert_with(empty);
    match inner.get_mut() {
        DeValue::Table(inner) => put(inner, deeper, value, at),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        number: Option<u16>,
        inner: Inner,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        path: String,
        list: Option<Vec<u8>>,
        on: Option<bool>,
    }

    fn layered(text: &str, variables: &[(&str, &str)]) -> Result<Outer, String> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        read(text, variables)
    }

    #[test]
    fn variables_stand_over_the_file() {
        let text = "number = 1\n[inner]\npath = \"a\"\n";
        let variables = [
            ("PATH", "/bin"),
            ("CVV2_KERNEL", "avx2"),
            ("CVV2__NUMBER", "2"),
            ("CVV2__INNER__PATH", "/b c"),
            ("CVV2__INNER__LIST", "[1, 2]"),
            ("CVV2__INNER__ON", "true"),
        ];
        let inner = Inner { path: "/b c".into(), list: Some(vec![1, 2]), on: Some(true) };
        assert_eq!(layered(text, &variables), Ok(Outer { number: Some(2), inner }));
        let inner = Inner { path: "7".into(), list: None, on: None };
        assert_eq!(
            layered("", &[("CVV2__INNER__PATH", "\"7\"")]),
            Ok(Outer { number: None, inner }),
            "tables are made, and what has to be a text can be written as one"
        );
    }

    #[test]
    fn an_error_names_the_line_or_the_variable_and_quotes_nothing() {
        let text = "number = 1\n[inner]\npath = \"a\"\n";
        let canary = "0A1B2C3D4E5F6071";
        for (text, variables, place) in [
            ("number = 1\n[inner]\nfoo = 1\n", vec![], " at line 3, column 1"),
            ("number = '0A1B2C3D4E5F6071'\n", vec![], " at line 1, column 10"),
            ("number = 0A1B2C3D4E5F6071\n", vec![], " at line 1, column "),
            (text, vec![("CVV2__NUMBER", canary)], " in the environment variable CVV2__NUMBER"),
            (
                text,
                vec![("CVV2__NUMBER", "1"), ("CVV2__FOO", canary)],
                " in the environment variable CVV2__FOO",
            ),
            (
                text,
                vec![("CVV2__NUMBER__FOO", canary)],
                " in the environment variable CVV2__NUMBER__FOO",
            ),
            (text, vec![("CVV2____FOO", canary)], " in the environment variable CVV2____FOO"),
            (
                text,
                vec![("CVV2__INNER__ON", "1\nnumber = 3")],
                " in the environment variable CVV2__INNER__ON",
            ),
        ] {
            let why = layered(text, &variables).unwrap_err();
            assert!(why.starts_with(&format!("not understood{place}")), "{why}");
            assert!(!why.contains(canary), "{why}");
        }
    }

    #[test]
    fn a_column_counts_characters() {
        assert_eq!(place("", 0), " at line 1, column 1");
        assert_eq!(place("a\n", 2), " at line 2, column 1");
        assert_eq!(place("a\r\nüb", 5), " at line 2, column 2");
    }
}
