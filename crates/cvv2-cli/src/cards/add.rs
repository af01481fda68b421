//! `cvv2 cards add`: one card, as a JSON object.

use std::fs::File;
use std::path::Path;

use cvv2::{Expiry, Pan};
use cvv2_keyring::read_bounded;
use cvv2_resolver::{
    BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber, Exid, ExidForm, Plastic,
    StoreError,
};
use serde::Deserialize;
use serde_json::json;

use crate::args::CardsAddArgs;
use crate::failure::{Answer, Failure};
use crate::input::{Typed, read_standard_input};
use crate::print::Print;
use crate::store::store_failure;

/// The longest card object, in bytes.
const CARD_BYTES_MAX: usize = 16 * 1024;

/// Reads one card and puts it into the store.
pub(super) fn run(
    args: &CardsAddArgs,
    store: &dyn CardStore,
    print: Print,
) -> Result<Answer, Failure> {
    let card = CardObject::read(&args.card)?;
    let bank = BankId::parse(&card.bank).map_err(|e| wrong("bank", e))?;
    let record = card.record()?;
    let mut refs = card.references()?;
    match args.mint_exid {
        Some(_) if card.exid.is_some() => {
            return Err(Failure::bad_input("the card has an EXID; leave --mint-exid out"));
        }
        Some(system_id) => put_under_new_exid(store, &bank, &mut refs, &record, system_id)?,
        None if refs.is_empty() => {
            return Err(Failure::bad_input(
                "the card has neither an exid nor contract_numbers; nobody could find it. Give one, \
                 or --mint-exid",
            ));
        }
        None => store.put(&bank, &refs, &record).map_err(|error| refusal(&error))?,
    }

    let masked = record.pan().masked();
    let shown: Vec<_> =
        refs.iter().map(|r| (r.kind().name(), r.echo_beside(record.pan()))).collect();
    let text: Vec<_> = shown.iter().map(|(kind, echo)| format!("{kind} {echo}")).collect();
    let references: Vec<_> = shown
        .iter()
        .map(|(kind, echo)| json!({ "type": kind, "identifier": echo.as_str() }))
        .collect();
    print.answer(
        format_args!("stored {masked} of bank {bank} under {}", text.join(", ")),
        &json!({ "bank": bank.as_str(), "pan": masked.as_str(), "references": references }),
    )?;
    Ok(Answer::Done)
}

/// A card as people write it; every text of it is wiped when dropped.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardObject {
    bank: String,
    exid: Option<Typed>,
    #[serde(default)]
    contract_numbers: Vec<Typed>,
    pan: Typed,
    status: Option<String>,
    plastics: Vec<PlasticObject>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlasticObject {
    expiry: Typed,
    #[serde(default)]
    sequence: u8,
    status: Option<String>,
}

impl CardObject {
    fn read(path: &Path) -> Result<Self, Failure> {
        let (name, bytes) = if path == Path::new("-") {
            ("standard input".to_owned(), read_standard_input::<CARD_BYTES_MAX>()?)
        } else {
            let bytes = File::open(path)
                .and_then(|mut file| read_bounded(&mut file, CARD_BYTES_MAX))
                .map_err(|e| Failure::file(path, &e))?;
            let name = path.display().to_string();
            let bytes = bytes.ok_or_else(|| Failure::BadInput(format!("{name}: too long")))?;
            (name, bytes)
        };
        // serde_json quotes what it did not expect, which may be card data: only the place is told.
        serde_json::from_slice(&bytes).map_err(|e| {
            Failure::BadInput(format!(
                "{name}: not a card object at line {}, column {}; see `cvv2 help cards add`",
                e.line(),
                e.column()
            ))
        })
    }

    fn record(&self) -> Result<CardRecord, Failure> {
        let pan = Pan::parse(self.pan.as_str()).map_err(|e| wrong("pan", e))?;
        let plastics = self.plastics.iter().enumerate().map(|(i, plastic)| {
            let field = |name| format!("plastics[{i}].{name}");
            let expiry = Expiry::parse_yymm(plastic.expiry.as_str())
                .map_err(|e| wrong(&field("expiry"), e))?;
            let status =
                status(plastic.status.as_deref()).map_err(|e| wrong(&field("status"), e))?;
            Ok(Plastic::new(expiry, plastic.sequence, status))
        });
        let plastics = plastics.collect::<Result<_, Failure>>()?;
        let status = status(self.status.as_deref()).map_err(|e| wrong("status", e))?;
        CardRecord::new(pan, status, plastics).map_err(|e| wrong("plastics", e))
    }

    fn references(&self) -> Result<Vec<CardRef>, Failure> {
        let mut refs = Vec::new();
        if let Some(exid) = &self.exid {
            let exid = Exid::parse(exid.as_str(), ExidForm::Any).map_err(|e| wrong("exid", e))?;
            refs.push(exid.into());
        }
        for (i, number) in self.contract_numbers.iter().enumerate() {
            let number = ContractNumber::parse(number.as_str())
                .map_err(|e| wrong(&format!("contract_numbers[{i}]"), e))?;
            refs.push(number.into());
        }
        Ok(refs)
    }
}

/// `active` if none is given.
fn status(name: Option<&str>) -> Result<CardStatus, cvv2_resolver::CardStatusError> {
    name.map_or(Ok(CardStatus::Active), CardStatus::parse)
}

/// Puts a card under its references and an EXID that the bank does not have yet: the PAN's first
/// eight digits, the system id, ten random digits and the check digit. The EXID is added to `refs`.
///
/// Whether it is new is the store's to say, so another is minted if somebody has it.
fn put_under_new_exid(
    store: &dyn CardStore,
    bank: &BankId,
    refs: &mut Vec<CardRef>,
    record: &CardRecord,
    system_id: u8,
) -> Result<(), Failure> {
    let minted = refs.len();
    for _ in 0..MINTED_MAX {
        let exid = Exid::mint(&record.pan().expose()[..8], system_id).map_err(Failure::system)?;
        let exid = CardRef::from(exid);
        // The card itself may have it, which a put would not refuse.
        if store.resolve(bank, &exid).map_err(|e| store_failure(&e))?.is_some() {
            continue;
        }
        refs.push(exid);
        match store.put(bank, refs, record) {
            Err(StoreError::Taken { reference }) if reference == minted => refs.truncate(minted),
            put => return put.map_err(|error| refusal(&error)),
        }
    }
    Err(Failure::System(format!(
        "{MINTED_MAX} new EXIDs were taken, one after the other; give --mint-exid another system id"
    )))
}

/// The most EXIDs that are minted for one card. With a million cards of one BIN and system id, one
/// in ten thousand is taken.
const MINTED_MAX: usize = 100;

fn refusal(error: &StoreError) -> Failure {
    match error {
        StoreError::Taken { .. } | StoreError::References { .. } => {
            Failure::BadInput(format!("{error}; nothing was stored"))
        }
        error => store_failure(error),
    }
}

fn wrong(field: &str, error: impl std::fmt::Display) -> Failure {
    Failure::BadInput(format!("{field}: {error}"))
}
