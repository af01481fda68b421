//! `cvv2 cards show`: what the store knows about a card, as far as it may be shown.

use cvv2_resolver::{
    BankId, CardRef, CardStore, ContractNumber, EmbeddedStore, Exid, ExidForm, Plastic,
};
use serde_json::json;

use super::store_failure;
use crate::args::CardsShowArgs;
use crate::failure::{Answer, Failure};
use crate::input::{Typed, read_standard_input};
use crate::print::Print;

/// The longest identifier line on standard input, in bytes.
const LINE_BYTES_MAX: usize = 256;

/// Looks a card up and prints it with its PAN masked.
pub(crate) fn run(
    args: CardsShowArgs,
    store: &EmbeddedStore,
    print: Print,
) -> Result<Answer, Failure> {
    let bank = BankId::parse(&args.bank).map_err(Failure::bad_input)?;
    let reference = match (args.reference.exid, args.reference.contract_number) {
        (Some(text), _) => given(text, |text| {
            Exid::parse(text, ExidForm::Any).map(CardRef::from).map_err(Failure::bad_input)
        })?,
        (None, Some(text)) => given(text, |text| {
            ContractNumber::parse(text).map(CardRef::from).map_err(Failure::bad_input)
        })?,
        (None, None) => return Err(Failure::bad_input("give --exid or --contract-number")),
    };

    let Some(card) = store.resolve(&bank, &reference).map_err(|e| store_failure(&e))? else {
        print.answer(
            format_args!("bank {bank} has no card under this {}", reference.kind()),
            &json!({ "found": false }),
        )?;
        return Ok(Answer::Negative);
    };
    let expiry = |plastic: &Plastic| {
        let expiry = plastic.expiry();
        format!("{:02}{:02}", expiry.year_of_century(), expiry.month())
    };
    let masked = card.pan().masked();
    let mut text = format!("{masked} of bank {bank}: {}", card.status());
    for plastic in card.plastics() {
        use std::fmt::Write as _;
        let (sequence, status) = (plastic.sequence(), plastic.status());
        write!(text, "\n  plastic {sequence}, expiry {} (YYMM): {status}", expiry(plastic))
            .expect("a String takes everything");
    }
    let plastics: Vec<_> = card
        .plastics()
        .iter()
        .map(|plastic| {
            json!({
                "expiry": expiry(plastic),
                "sequence": plastic.sequence(),
                "status": plastic.status().name(),
            })
        })
        .collect();
    print.answer(
        text,
        &json!({
            "found": true, "bank": bank.as_str(), "pan": masked.as_str(),
            "status": card.status().name(), "plastics": plastics,
        }),
    )?;
    Ok(Answer::Done)
}

/// Parses an identifier from the command line, or the first line of standard input for `-`.
fn given(
    text: String,
    parse: impl Fn(&str) -> Result<CardRef, Failure>,
) -> Result<CardRef, Failure> {
    let text = Typed::from(text);
    if text.as_str() == "-" {
        let bytes = read_standard_input::<LINE_BYTES_MAX>()?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line =
            str::from_utf8(line).map_err(|_| Failure::bad_input("standard input is not text"))?;
        return parse(line.trim());
    }
    let reference = parse(text.as_str())?;
    if reference.is_pan() {
        return Err(Failure::bad_input(
            "this identifier is a PAN, which other users can see on the command line; give `-` and \
             write it to standard input",
        ));
    }
    Ok(reference)
}
