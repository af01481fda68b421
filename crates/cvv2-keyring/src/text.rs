//! From the text of a keyring to its entries: every field understood, none compared yet.

use std::collections::HashMap;

use cvv2::{ExpiryOrder, KeyBlock};
use toml::de::DeTable;

use crate::bin_range::BinRange;
use crate::check_value::CheckValue;
use crate::entry::{KeyEntry, quoted};
use crate::fields::{Field, Fields};
use crate::kind::Kind;
use crate::load_error::{Fault, LoadCause, line};
use crate::month::Month;
use crate::state::State;
use crate::token::Token;

/// The most keys of a keyring.
pub const KEYS_MAX: usize = 20_000;
/// The most ranges of one key.
pub const BINS_PER_KEY_MAX: usize = 1_000;

/// A keyring's text, read field by field.
pub(crate) struct Parsed {
    pub(crate) kbpk_kcv: CheckValue,
    /// Where `kbpk_kcv` is.
    pub(crate) kbpk_kcv_at: usize,
    pub(crate) keys: Vec<Placed>,
}

/// An entry, and where its fields are.
pub(crate) struct Placed {
    pub(crate) entry: KeyEntry,
    pub(crate) at: Places,
}

/// Bytes of the text at which the fields of a key start.
pub(crate) struct Places {
    pub(crate) name: usize,
    pub(crate) bins: Vec<usize>,
    pub(crate) from: usize,
    pub(crate) until: Option<usize>,
    pub(crate) cards_expiring_from: Option<usize>,
    pub(crate) predecessor: Option<usize>,
    pub(crate) kcv: usize,
    pub(crate) block: usize,
}

/// The text of a keyring without keys.
pub(crate) fn empty(kbpk_kcv: CheckValue) -> String {
    format!(
        "# Card verification keys. This file holds no key in clear: the blocks are under the KBPK\n\
         # whose check value is kbpk_kcv. It may be edited by hand and is checked as a whole when\n\
         # it is loaded.\n\
         format = 1\nkbpk_kcv = {}\n",
        quoted(&kbpk_kcv.to_string())
    )
}

/// Reads the text.
pub(crate) fn parse(text: &str) -> Result<Parsed, Fault> {
    let document = document(text)?;
    let top = Fields::new(&document, 0, TOP_FIELDS)?;
    top.required("format")?.is_one()?;
    let kbpk_kcv = top.required("kbpk_kcv")?;
    let mut parsed =
        Parsed { kbpk_kcv: check_value(kbpk_kcv)?, kbpk_kcv_at: kbpk_kcv.at, keys: Vec::new() };
    if let Some(keys) = top.optional("key") {
        for (at, table) in keys.tables(text)? {
            if parsed.keys.len() == KEYS_MAX {
                let cause = LoadCause::TooMany { max: KEYS_MAX };
                return Err(Fault { at, field: Some("key"), cause });
            }
            let placed = key(text, at, table)?;
            parsed.keys.push(placed);
        }
    }
    refuse_equal_names(text, &parsed.keys)?;
    Ok(parsed)
}

/// The text as TOML, with the place of every value.
pub(crate) fn document(text: &str) -> Result<DeTable<'_>, Fault> {
    // The parser's own message quotes the text.
    DeTable::parse(text).map(toml::Spanned::into_inner).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        field: None,
        cause: LoadCause::NotToml,
    })
}

fn key<'a>(text: &str, at: usize, table: &'a DeTable<'a>) -> Result<Placed, Fault> {
    let fields = Fields::new(table, at, KEY_FIELDS)?;
    let required = |name| fields.required(name);
    let optional = |name| fields.optional(name);

    let (name, bins, from) = (required("name")?, required("bins")?, required("from")?);
    let (kcv, block) = (required("kcv")?, required("block")?);
    let (until, predecessor) = (optional("until"), optional("predecessor"));
    let cards_expiring_from = optional("cards_expiring_from");
    let entry = KeyEntry {
        name: token(name)?,
        scheme: token(required("scheme")?)?,
        kinds: kinds(text, required("kinds")?)?,
        bins: bins.list(BINS_PER_KEY_MAX)?.map(bin_range).collect::<Result<_, _>>()?,
        expiry_order: required("expiry_order")?.one_of("\"YYMM\" or \"MMYY\"", order_by_name)?,
        state: required("state")?
            .one_of("\"pending\", \"active\", \"verify-only\" or \"retired\"", State::by_name)?,
        from: from.date()?,
        until: until.map(Field::date).transpose()?,
        cards_expiring_from: cards_expiring_from.map(month).transpose()?,
        predecessor: predecessor.map(token).transpose()?,
        kcv: check_value(kcv)?,
        block: key_block(block)?,
    };
    let at = Places {
        name: name.at,
        bins: bins.list(BINS_PER_KEY_MAX)?.map(|item| item.at).collect(),
        from: from.at,
        until: until.map(|field| field.at),
        cards_expiring_from: cards_expiring_from.map(|field| field.at),
        predecessor: predecessor.map(|field| field.at),
        kcv: kcv.at,
        block: block.at,
    };
    Ok(Placed { entry, at })
}

pub(crate) fn token(field: Field<'_>) -> Result<Token, Fault> {
    Token::parse(field.text()?).map_err(|error| field.fault(LoadCause::Token(error)))
}

fn kinds(text: &str, field: Field<'_>) -> Result<Vec<Kind>, Fault> {
    let mut kinds: Vec<(Kind, usize)> = Vec::new();
    for item in field.list(Kind::ALL.len())? {
        let kind = item.one_of("\"cvv\", \"cvv2\" or \"icvv\"", Kind::by_name)?;
        if let Some((_, earlier)) = kinds.iter().find(|(other, _)| *other == kind) {
            return Err(item.fault(LoadCause::Repeated { line: line(text, *earlier) }));
        }
        kinds.push((kind, item.at));
    }
    Ok(kinds.into_iter().map(|(kind, _)| kind).collect())
}

fn bin_range(field: Field<'_>) -> Result<BinRange, Fault> {
    BinRange::parse(field.text()?).map_err(|error| field.fault(LoadCause::Bins(error)))
}

fn order_by_name(name: &str) -> Option<ExpiryOrder> {
    [ExpiryOrder::YyMm, ExpiryOrder::MmYy].into_iter().find(|order| order.name() == name)
}

fn month(field: Field<'_>) -> Result<Month, Fault> {
    field.one_of("a month in quotes, \"2029-01\"", Month::parse)
}

pub(crate) fn check_value(field: Field<'_>) -> Result<CheckValue, Fault> {
    CheckValue::parse(field.text()?).ok_or_else(|| field.fault(LoadCause::CheckValue))
}

pub(crate) fn key_block(field: Field<'_>) -> Result<KeyBlock, Fault> {
    KeyBlock::parse(field.text()?).map_err(|error| field.fault(LoadCause::Block(error)))
}

fn refuse_equal_names(text: &str, keys: &[Placed]) -> Result<(), Fault> {
    let mut seen = HashMap::with_capacity(keys.len());
    for key in keys {
        if let Some(earlier) = seen.insert(&*key.entry.name, key.at.name) {
            let cause = LoadCause::Repeated { line: line(text, earlier) };
            return Err(Fault::new(key.at.name, "name", cause));
        }
    }
    Ok(())
}

const TOP_FIELDS: &[&str] = &["format", "kbpk_kcv", "key"];
const KEY_FIELDS: &[&str] = &[
    "name",
    "scheme",
    "kinds",
    "bins",
    "expiry_order",
    "state",
    "from",
    "until",
    "cards_expiring_from",
    "predecessor",
    "kcv",
    "block",
];
