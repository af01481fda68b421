//! `cvv2 cards show`: what the store knows about a card, as far as it may be shown.

use cvv2_resolver::{BankId, CardStore, Plastic};
use serde_json::json;

use super::reference::Given;
use crate::args::CardsShowArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;
use crate::store::store_failure;

/// Looks a card up and prints it with its PAN masked.
pub(super) fn run(
    args: CardsShowArgs,
    store: &dyn CardStore,
    print: Print,
) -> Result<Answer, Failure> {
    let bank = BankId::parse(&args.bank).map_err(Failure::bad_input)?;
    let given = Given::of(args.reference)?;
    let Some(card) = store.resolve(&bank, &given.reference).map_err(|e| store_failure(&e))? else {
        print.answer(
            format_args!("bank {bank} has no card under this {}", given.reference.kind()),
            &json!({ "found": false }),
        )?;
        return Ok(Answer::Negative);
    };
    given.keep_pan_hidden(card.pan())?;
    let masked = card.pan().masked();
    let mut text = format!("{masked} of bank {bank}: {}", card.status());
    for plastic in card.plastics() {
        use std::fmt::Write as _;
        let (sequence, status) = (plastic.sequence(), plastic.status());
        write!(text, "\n  plastic {sequence}, expiry {} (YYMM): {status}", yymm(plastic))
            .expect("a String takes everything");
    }
    let plastics: Vec<_> = card
        .plastics()
        .iter()
        .map(|plastic| {
            json!({
                "expiry": yymm(plastic),
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

/// An expiry as people write it here.
pub(super) fn yymm(plastic: &Plastic) -> String {
    let expiry = plastic.expiry();
    format!("{:02}{:02}", expiry.year_of_century(), expiry.month())
}
