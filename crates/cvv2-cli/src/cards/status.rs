//! `cvv2 cards status`: whether a card or a plastic may be used.

use cvv2::Expiry;
use cvv2_resolver::{BankId, CardRecord, CardStatus, Plastic};
use serde_json::json;

use super::reference::Given;
use super::show::yymm;
use crate::args::CardsStatusArgs;
use crate::failure::{Answer, Failure};
use crate::input::Typed;
use crate::print::Print;
use crate::store::{Store, store_failure};

/// Sets the status of a card, or of the one plastic that the arguments name.
pub(super) fn run(
    args: CardsStatusArgs,
    store: &dyn Store,
    print: Print,
) -> Result<Answer, Failure> {
    let bank = BankId::parse(&args.bank).map_err(Failure::bad_input)?;
    let expiry = args.expiry.map(Typed::from);
    let expiry = expiry.map(|text| Expiry::parse_yymm(text.as_str())).transpose();
    let wanted = Wanted {
        expiry: expiry.map_err(|e| Failure::BadInput(format!("--expiry: {e}")))?,
        sequence: args.sequence,
    };
    let given = Given::of(args.reference)?;
    let Some(card) = store.resolve(&bank, &given.reference).map_err(|e| store_failure(&e))? else {
        print.answer(
            format_args!("bank {bank} has no card under this {}", given.reference.kind()),
            &json!({ "found": false }),
        )?;
        return Ok(Answer::Negative);
    };
    given.keep_pan_hidden(card.pan())?;

    let (changed, before, plastic) = wanted.change(&card, args.status)?;
    store.put(&bank, &[given.reference], &changed).map_err(|e| store_failure(&e))?;

    let (masked, now) = (card.pan().masked(), args.status);
    let what = plastic.map_or_else(String::new, |plastic| {
        let (sequence, expiry) = (plastic.sequence(), yymm(plastic));
        format!("plastic {sequence}, expiry {expiry} (YYMM), of ")
    });
    print.answer(
        format_args!("{what}{masked} of bank {bank} was {before} and is {now}"),
        &json!({
            "found": true, "bank": bank.as_str(), "pan": masked.as_str(),
            "plastic": plastic.map(|plastic| json!({
                "expiry": yymm(plastic), "sequence": plastic.sequence(),
            })),
            "before": before.name(), "status": now.name(),
        }),
    )?;
    Ok(Answer::Done)
}

/// Which plastic is meant, or the card if nothing is said.
struct Wanted {
    expiry: Option<Expiry>,
    sequence: Option<u8>,
}

impl Wanted {
    /// The card with the status changed, what the status was before, and the plastic that has it.
    fn change<'c>(
        &self,
        card: &'c CardRecord,
        to: CardStatus,
    ) -> Result<(CardRecord, CardStatus, Option<&'c Plastic>), Failure> {
        let mut plastics = card.plastics().to_vec();
        let (status, before, plastic) = if self.is_card() {
            (to, card.status(), None)
        } else {
            let at = self.find(card)?;
            let plastic = &card.plastics()[at];
            plastics[at] = Plastic::new(plastic.expiry().clone(), plastic.sequence(), to);
            (card.status(), plastic.status(), Some(plastic))
        };
        let changed = CardRecord::new(card.pan().clone(), status, plastics);
        Ok((changed.map_err(Failure::system)?, before, plastic))
    }

    fn is_card(&self) -> bool {
        self.expiry.is_none() && self.sequence.is_none()
    }

    /// The position of the one plastic that is meant.
    fn find(&self, card: &CardRecord) -> Result<usize, Failure> {
        let fits = |plastic: &Plastic| {
            self.expiry.as_ref().is_none_or(|expiry| expiry == plastic.expiry())
                && self.sequence.is_none_or(|sequence| sequence == plastic.sequence())
        };
        let mut fitting = (0..).zip(card.plastics()).filter(|(_, plastic)| fits(plastic));
        match (fitting.next(), fitting.next()) {
            (Some((at, _)), None) => Ok(at),
            (None, _) => Err(Failure::bad_input(
                "the card has no such plastic; `cvv2 cards show` shows those that it has",
            )),
            (Some(_), Some(_)) => Err(Failure::bad_input(
                "several plastics of the card are meant; give both --expiry and --sequence",
            )),
        }
    }
}
