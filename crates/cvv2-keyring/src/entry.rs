//! One key of the file: what is written about it.

use std::fmt::Write;

use cvv2::{ExpiryOrder, KeyBlock};
use time::Date;

use crate::bin_range::BinRange;
use crate::check_value::CheckValue;
use crate::kind::Kind;
use crate::month::Month;
use crate::state::State;
use crate::token::Token;

/// A key as the keyring's file has it: metadata, and the key block. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever imports a key has to state all of it")]
pub struct KeyEntry {
    /// Its name, unique in the keyring.
    pub name: Token,
    /// The card scheme, for people: nothing depends on it.
    pub scheme: Token,
    /// What it computes; at least one, each once.
    pub kinds: Vec<Kind>,
    /// The cards it is for; at least one range.
    pub bins: Vec<BinRange>,
    /// How the expiry enters the calculation.
    pub expiry_order: ExpiryOrder,
    /// What the issuer has decided about it.
    pub state: State,
    /// Its first day.
    pub from: Date,
    /// Its last day, if one is set.
    pub until: Option<Date>,
    /// The key is for cards that expire in this month or later; for all cards if left out.
    pub cards_expiring_from: Option<Month>,
    /// The key that it takes over from.
    pub predecessor: Option<Token>,
    /// The check value, by the encryption of zeros.
    pub kcv: CheckValue,
    /// The key, under the KBPK.
    pub block: KeyBlock,
}

impl KeyEntry {
    /// The `[[key]]` table of the file, ending with a line end.
    pub(crate) fn to_toml(&self) -> String {
        let kinds: Vec<_> = self.kinds.iter().map(|kind| quoted(kind.name())).collect();
        let bins: Vec<_> = self.bins.iter().map(|bins| quoted(&bins.to_string())).collect();
        let mut text = String::from("[[key]]\n");
        let mut field = |name: &str, value: String| {
            writeln!(text, "{name} = {value}").expect("a string takes any text");
        };
        field("name", quoted(&self.name));
        field("scheme", quoted(&self.scheme));
        field("kinds", format!("[{}]", kinds.join(", ")));
        field("bins", format!("[{}]", bins.join(", ")));
        field("expiry_order", quoted(self.expiry_order.name()));
        field("state", quoted(self.state.name()));
        field("from", self.from.to_string());
        if let Some(until) = self.until {
            field("until", until.to_string());
        }
        if let Some(month) = self.cards_expiring_from {
            field("cards_expiring_from", quoted(&month.to_string()));
        }
        if let Some(predecessor) = &self.predecessor {
            field("predecessor", quoted(predecessor));
        }
        field("kcv", quoted(&self.kcv.to_string()));
        field("block", quoted(self.block.as_str()));
        text
    }
}

/// A TOML string. The optional blocks of a key block may hold any printable ASCII.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}
