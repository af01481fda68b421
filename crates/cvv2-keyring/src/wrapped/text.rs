//! The text of a file of wrapped keys.

use std::collections::HashMap;
use std::fmt::Write;

use toml::de::DeTable;

use super::seal::{Described, ID_LEN, Places};
use super::{KeyUse, WRAPPED_KEYS_MAX};
use crate::entry::quoted;
use crate::fields::{Field, Fields};
use crate::load_error::{Fault, LoadCause, line};
use crate::text::{document, key_block, token};
use crate::{CheckValue, text};

/// The text of a file with these keys.
pub(super) fn write(purpose: &str, kbpk_kcv: CheckValue, keys: &[Described]) -> String {
    let mut text = format!(
        "# Keys, none of them in clear: the blocks are under the KBPK whose check value is\n\
         # kbpk_kcv. This file is written by command, as a whole.\n\
         format = 1\npurpose = {}\nkbpk_kcv = {}\n",
        quoted(purpose),
        quoted(&kbpk_kcv.to_string())
    );
    for Described { name, version, key_use, id: of_key, kcv, block, .. } in keys {
        let [name, id, kcv] = [name.to_string(), id(*of_key), kcv.to_string()].map(|t| quoted(&t));
        let (key_use, block) = (quoted(key_use.name()), quoted(block.as_str()));
        write!(
            text,
            "\n[[key]]\nname = {name}\nversion = {version}\nuse = {key_use}\nid = {id}\n\
             kcv = {kcv}\nblock = {block}\n"
        )
        .expect("a string takes any text");
    }
    text
}

/// Reads the text of a file that has to be of this purpose, under the KBPK with this check value.
pub(super) fn parse(
    text: &str,
    purpose: &'static str,
    kbpk_kcv: CheckValue,
) -> Result<Vec<Described>, Fault> {
    let document = document(text)?;
    let top = Fields::new(&document, 0, TOP_FIELDS)?;
    top.required("format")?.is_one()?;
    let of = top.required("purpose")?;
    if of.text()? != purpose {
        return Err(of.fault(LoadCause::OtherPurpose { purpose }));
    }
    let stated = top.required("kbpk_kcv")?;
    if text::check_value(stated)? != kbpk_kcv {
        return Err(stated.fault(LoadCause::OtherKbpk));
    }
    let mut keys = Vec::new();
    let mut seen = HashMap::new();
    if let Some(tables) = top.optional("key") {
        for (at, table) in tables.tables(text)? {
            if keys.len() == WRAPPED_KEYS_MAX {
                let cause = LoadCause::TooMany { max: WRAPPED_KEYS_MAX };
                return Err(Fault::new(at, "key", cause));
            }
            let key = key(at, table)?;
            if let Some(earlier) = seen.insert((key.name.clone(), key.version), at) {
                let cause = LoadCause::Repeated { line: line(text, earlier) };
                return Err(Fault::new(at, "key", cause));
            }
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The id of a key as it is written: eight hexadecimal digits.
pub(super) fn id(id: [u8; ID_LEN]) -> String {
    format!("{:08X}", u32::from_be_bytes(id))
}

fn key<'a>(at: usize, table: &'a DeTable<'a>) -> Result<Described, Fault> {
    let fields = Fields::new(table, at, KEY_FIELDS)?;
    let required = |name| fields.required(name);
    let (id, kcv, block) = (required("id")?, required("kcv")?, required("block")?);
    Ok(Described {
        name: token(required("name")?)?,
        version: required("version")?.version()?,
        key_use: required("use")?.one_of("\"encryption\" or \"hmac\"", KeyUse::by_name)?,
        id: parse_id(id)?,
        kcv: text::check_value(kcv)?,
        block: key_block(block)?,
        at: Places { id: id.at, kcv: kcv.at, block: block.at },
    })
}

fn parse_id(field: Field<'_>) -> Result<[u8; ID_LEN], Fault> {
    let mut id = [0; ID_LEN];
    match base16ct::upper::decode(field.text()?, &mut id) {
        Ok(decoded) if decoded.len() == ID_LEN => Ok(id),
        _ => Err(field.fault(LoadCause::Type { expected: "eight hexadecimal digits in quotes" })),
    }
}

const TOP_FIELDS: &[&str] = &["format", "purpose", "kbpk_kcv", "key"];
const KEY_FIELDS: &[&str] = &["name", "version", "use", "id", "kcv", "block"];
