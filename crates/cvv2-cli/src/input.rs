//! What people give a calculation besides the key: a card.
//!
//! Command lines are visible to other users of a machine, so with a live key nothing of the card is
//! accepted there: it comes from a hidden prompt, or as JSON from standard input.

use std::io::{self, IsTerminal};

use cvv2::{CvkPair, Expiry, Pan, Policy, ServiceCode};
use cvv2_keyring::ceremony::{Prompt, Terminal};
use cvv2_keyring::read_bounded;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::args::{CardArgs, Kind};
use crate::failure::Failure;

/// The longest card object that is read from standard input, in bytes.
const CARD_BYTES_MAX: usize = 4096;

/// A card, parsed, and the value to verify where one was asked for.
pub(crate) struct Card {
    pub(crate) pan: Pan,
    pub(crate) expiry: Expiry,
    pub(crate) service_code: ServiceCode,
    pub(crate) typed: Option<Typed>,
}

/// Takes the card from the command line for a test key, and from standard input for a live one.
///
/// `typed` is the value on the command line; `verifying` says whether there has to be one.
pub(crate) fn card(
    key: &CvkPair,
    args: CardArgs,
    typed: Option<String>,
    verifying: bool,
) -> Result<Card, Failure> {
    let kind = args.kind;
    let on_command_line = CardFields {
        pan: args.pan.map(Typed),
        expiry: args.expiry.map(Typed),
        service_code: args.service_code.map(Typed),
        cvv: typed.map(Typed),
    };
    let fields = match key.policy() {
        Policy::TestVectors => on_command_line,
        _ if on_command_line.is_empty() => live_card(kind, verifying)?,
        _ => {
            return Err(Failure::bad_input(
                "card data of a live key would be visible on the command line; leave --pan, \
                 --expiry, --service-code and --cvv out and give the card on standard input",
            ));
        }
    };
    fields.parse(kind, verifying)
}

/// Text that a person typed about a card, wiped when dropped.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Typed(String);

impl Typed {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Typed {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardFields {
    pan: Option<Typed>,
    expiry: Option<Typed>,
    service_code: Option<Typed>,
    cvv: Option<Typed>,
}

impl CardFields {
    fn is_empty(&self) -> bool {
        [&self.pan, &self.expiry, &self.service_code, &self.cvv].iter().all(|f| f.is_none())
    }

    fn parse(self, kind: Kind, verifying: bool) -> Result<Card, Failure> {
        let pan = Pan::parse(required(self.pan.as_ref(), "PAN")?).map_err(Failure::bad_input)?;
        let expiry = Expiry::parse_yymm(required(self.expiry.as_ref(), "expiry (YYMM)")?)
            .map_err(Failure::bad_input)?;
        let service_code = match (kind, &self.service_code) {
            (Kind::Cvv, code) => ServiceCode::parse(required(code.as_ref(), "service code")?)
                .map_err(Failure::bad_input)?,
            (Kind::Cvv2, None) => ServiceCode::CVV2,
            (Kind::Icvv, None) => ServiceCode::ICVV,
            (Kind::Cvv2 | Kind::Icvv, Some(_)) => {
                return Err(Failure::bad_input(
                    "the service code of a CVV2 is 000 and of an iCVV 999 by definition; leave it \
                     out, or ask for --kind cvv",
                ));
            }
        };
        if verifying {
            required(self.cvv.as_ref(), "value to verify")?;
        } else if self.cvv.is_some() {
            return Err(Failure::bad_input("a value was given; `cvv2 verify` compares it"));
        }
        Ok(Card { pan, expiry, service_code, typed: self.cvv })
    }
}

fn required<'a>(field: Option<&'a Typed>, name: &str) -> Result<&'a str, Failure> {
    field.map(Typed::as_str).ok_or_else(|| {
        Failure::BadInput(format!("the {name} is missing; see `cvv2 help generate`"))
    })
}

fn live_card(kind: Kind, verifying: bool) -> Result<CardFields, Failure> {
    if !io::stdin().is_terminal() {
        let bytes = read_standard_input::<CARD_BYTES_MAX>()?;
        return serde_json::from_slice(&bytes).map_err(|e| {
            Failure::BadInput(format!(
                "standard input is not a card object: line {}, column {}; give {{\"pan\": \"…\", \
                 \"expiry\": \"YYMM\"}}, with \"service_code\" and \"cvv\" where they are needed",
                e.line(),
                e.column()
            ))
        });
    }
    let mut terminal = Terminal::new();
    let mut ask = |what: &str| {
        let typed = terminal.ask_hidden(&format!("{what} (hidden): "));
        typed.map(|text| Some(Typed(text.as_str().to_owned()))).map_err(|e| Failure::prompt(&e))
    };
    Ok(CardFields {
        pan: ask("PAN")?,
        expiry: ask("Expiry, YYMM")?,
        service_code: if kind == Kind::Cvv { ask("Service code")? } else { None },
        cvv: if verifying { ask("Value to verify")? } else { None },
    })
}

/// Reads all of standard input, at most `MAX` bytes, into a buffer that does not grow.
pub(crate) fn read_standard_input<const MAX: usize>() -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_bounded(&mut io::stdin().lock(), MAX)
        .map_err(|e| Failure::System(format!("standard input: {e}")))?
        .ok_or_else(|| Failure::BadInput(format!("standard input is longer than {MAX} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_code_is_for_the_stripe_only() {
        let fields = || CardFields {
            pan: Some(Typed("4123456789012345".into())),
            expiry: Some(Typed("8701".into())),
            service_code: Some(Typed("101".into())),
            cvv: None,
        };
        assert!(fields().parse(Kind::Cvv, false).is_ok());
        for kind in [Kind::Cvv2, Kind::Icvv] {
            assert!(fields().parse(kind, false).is_err());
        }
    }

    #[test]
    fn an_unknown_or_duplicate_member_is_refused() {
        for text in [r#"{"pna": "4"}"#, r#"{"pan": "4", "pan": "5"}"#, r#"{"pan": 4}"#] {
            assert!(serde_json::from_str::<CardFields>(text).is_err(), "{text}");
        }
    }
}
