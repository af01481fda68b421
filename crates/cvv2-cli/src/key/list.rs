//! `cvv2 key list`: what is in a keyring, and what is in force.

use std::fmt::{self, Display};

use cvv2_keyring::{BinRange, Date, InForce, KeyEntry, Keyring, Month};
use serde_json::{Value, json};

use crate::args::ListArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Shows the keys, and which of them generate and verify on a day.
pub(super) fn run(args: &ListArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let keyring = place.open()?;
    let on = args.on.unwrap_or_else(|| place.today());
    let in_force = keyring.overview(on);
    let listing = Listing { keyring: &keyring, on, in_force: &in_force };
    print.answer(
        &listing,
        &json!({
            "kbpk_kcv": keyring.kbpk_kcv().to_string(),
            "keys": keyring.list().map(json).collect::<Vec<_>>(),
            "on": on.to_string(),
            "in_force": in_force.iter().map(in_force_json).collect::<Vec<_>>(),
        }),
    )?;
    Ok(Answer::Done)
}

/// What the keyring says of a key.
pub(super) fn json(entry: &KeyEntry) -> Value {
    let header = entry.block.header();
    json!({
        "name": &*entry.name,
        "scheme": &*entry.scheme,
        "kinds": entry.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "bins": entry.bins.iter().map(BinRange::to_string).collect::<Vec<_>>(),
        "expiry_order": entry.expiry_order.name(),
        "state": entry.state.name(),
        "from": entry.from.to_string(),
        "until": entry.until.map(|day| day.to_string()),
        "cards_expiring_from": entry.cards_expiring_from.map(|month| month.to_string()),
        "predecessor": entry.predecessor.as_deref(),
        "kcv": entry.kcv.to_string(),
        "block_version": header.version().to_string(),
        "mode_of_use": header.mode().letter().to_string(),
        "exportability": header.exportability().letter().to_string(),
    })
}

fn in_force_json(row: &InForce<'_>) -> Value {
    json!({
        "kind": row.kind.name(),
        "bins": row.bins.to_string(),
        "cards_expiring_from": row.cards_expiring_from.map(|month| month.to_string()),
        "cards_expiring_before": row.cards_expiring_before.map(|month| month.to_string()),
        "generates": row.generating.map(|entry| &*entry.name),
        "verify": row.verifying.iter().map(|entry| &*entry.name).collect::<Vec<_>>(),
    })
}

/// The listing for people.
struct Listing<'a> {
    keyring: &'a Keyring,
    on: Date,
    in_force: &'a [InForce<'a>],
}

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keyring.list();
        let (count, kcv) = (keys.len(), self.keyring.kbpk_kcv());
        writeln!(f, "{count} {} under the KBPK {kcv}", plural(count, "key", "keys"))?;
        if count > 0 {
            writeln!(f)?;
            let head = [
                "NAME", "KCV", "STATE", "FROM", "UNTIL", "EXPIRING", "KINDS", "BINS", "ORDER",
                "USE", "SCHEME",
            ];
            table(f, &head, &keys.map(key_row).collect::<Vec<_>>())?;
            writeln!(f)?;
        }
        if self.in_force.is_empty() {
            return write!(f, "\nNo key is in force on {}.", self.on);
        }
        writeln!(f, "\nIn force on {}:\n", self.on)?;
        let head = ["KIND", "BINS", "EXPIRING", "GENERATES", "VERIFY"];
        table(f, &head, &self.in_force.iter().map(in_force_row).collect::<Vec<_>>())
    }
}

fn key_row(entry: &KeyEntry) -> [String; 11] {
    let header = entry.block.header();
    [
        entry.name.to_string(),
        entry.kcv.to_string(),
        entry.state.to_string(),
        entry.from.to_string(),
        or_dash(entry.until),
        span(entry.cards_expiring_from, None),
        entry.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(","),
        bins(&entry.bins),
        entry.expiry_order.name().to_owned(),
        format!("{}{}", header.mode().letter(), header.exportability().letter()),
        entry.scheme.to_string(),
    ]
}

fn in_force_row(row: &InForce<'_>) -> [String; 5] {
    [
        row.kind.to_string(),
        row.bins.to_string(),
        span(row.cards_expiring_from, row.cards_expiring_before),
        or_dash(row.generating.map(|entry| &entry.name)),
        match row.verifying.as_slice() {
            [] => "-".to_owned(),
            keys => keys.iter().map(|entry| &*entry.name).collect::<Vec<_>>().join(","),
        },
    ]
}

/// The first ranges, and how many there are more.
fn bins(ranges: &[BinRange]) -> String {
    const SHOWN: usize = 3;
    let mut text: Vec<_> = ranges.iter().take(SHOWN).map(BinRange::to_string).collect();
    if ranges.len() > SHOWN {
        text.push(format!("+{}", ranges.len() - SHOWN));
    }
    text.join(",")
}

fn span(from: Option<Month>, before: Option<Month>) -> String {
    match (from, before) {
        (None, None) => "any".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(before)) => format!("before {before}"),
        (Some(from), Some(before)) => format!("from {from}, before {before}"),
    }
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

/// Columns as wide as their widest cell; no line end after the last row.
fn table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    head: &[&str; N],
    rows: &[[String; N]],
) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    write!(f, "{}", line(*head))?;
    for row in rows {
        write!(f, "\n{}", line(row.each_ref().map(String::as_str)))?;
    }
    Ok(())
}
