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
    let mut file = DeTable::parse(text).map_err(|e| not_understood(&at(text, &[], e.span())))?;
    let mut names = Vec::new();
    let mut layers = Vec::new();
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let keys: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        if keys.iter().any(|key| !is_bare_key(key)) {
            return Err(not_understood(&format!(" in the environment variable {name}")));
        }
        // Its place in the text of all layers, so that an error can be told to be its.
        let start = text.len() + names.len();
        names.push(name);
        layers.push((keys, value, start));
    }
    for (keys, value, start) in layers {
        let leaf = Spanned::new(start..start + 1, parsed(value));
        put(file.get_mut(), &keys, leaf, start).map_err(|()| {
            not_understood(&format!(" in the environment variable {}", names[start - text.len()]))
        })?;
    }
    T::deserialize(toml::Deserializer::from(file))
        .map_err(|e| not_understood(&at(text, &names, e.span())))
}

fn not_understood(place: &str) -> String {
    format!(
        "not understood{place}: a field that is missing, unknown or of the wrong type, or no TOML; \
         compare the configuration that `cvv2 demo --keep` writes"
    )
}

/// Where it is: in the text, or in one of the variables, which count on behind it.
fn at(text: &str, names: &[String], span: Option<Range<usize>>) -> String {
    let Some(Range { start, .. }) = span else { return String::new() };
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

/// The value as the file would have it, or else the text that it is.
fn parsed(value: String) -> DeValue<'static> {
    let document = format!("v = {value}");
    let parsed = DeTable::parse(&document).ok().and_then(|mut table| {
        table.get_mut().make_owned();
        let single = table.get_ref().len() == 1;
        table.into_inner().remove("v").filter(|_| single)
    });
    parsed.map_or(DeValue::String(Cow::Owned(value)), Spanned::into_inner)
}

/// Puts a value where the keys lead, making the tables on the way.
fn put<'t>(
    table: &mut DeTable<'t>,
    keys: &[String],
    leaf: Spanned<DeValue<'t>>,
    at: usize,
) -> Result<(), ()> {
    let (key, deeper) = keys.split_first().ok_or(())?;
    let span = at..at + 1;
    if deeper.is_empty() {
        table.insert(Spanned::new(span, Cow::Owned(key.clone())), leaf);
        return Ok(());
    }
    let empty = || Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
    let inner = table.entry(Spanned::new(span.clone(), Cow::Owned(key.clone()))).or_insert_with(empty);
    match inner.get_mut() {
        DeValue::Table(inner) => put(inner, deeper, leaf, at),
        _ => Err(()),
    }
}
