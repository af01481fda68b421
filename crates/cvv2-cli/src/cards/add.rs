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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use cvv2_resolver::{CardVisitor, CheckReport, MemoryStore, NewCard, PutOutcome};

    use super::*;

    /// A store in which somebody else takes so many references just before they are put.
    struct Crowded {
        store: MemoryStore,
        taken: AtomicUsize,
    }

    impl CardStore for Crowded {
        fn resolve(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardRecord>, StoreError> {
            self.store.resolve(bank, card)
        }

        fn put_many(&self, cards: &[NewCard<'_>]) -> Result<Vec<PutOutcome>, StoreError> {
            let one_less = |taken: usize| taken.checked_sub(1);
            if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err() {
                return self.store.put_many(cards);
            }
            let last = |card: &NewCard<'_>| PutOutcome::Taken { reference: card.refs.len() - 1 };
            Ok(cards.iter().map(last).collect())
        }

        fn len(&self) -> Result<u64, StoreError> {
            self.store.len()
        }

        fn each_card(&self, visit: &mut CardVisitor<'_>) -> Result<(), StoreError> {
            self.store.each_card(visit)
        }

        fn check(&self) -> Result<CheckReport, StoreError> {
            self.store.check()
        }
    }

    /// What is left of the references after a card was put while so many EXIDs are taken.
    fn put(taken: usize) -> (Crowded, Vec<CardRef>, Result<(), Failure>) {
        let store = Crowded { store: MemoryStore::new(), taken: taken.into() };
        let bank = BankId::parse("NIC").expect("a bank");
        let pan = Pan::parse("4123456789012345").expect("a PAN");
        let expiry = Expiry::parse_yymm("2701").expect("an expiry");
        let plastic = Plastic::new(expiry, 1, CardStatus::Active);
        let card = CardRecord::new(pan, CardStatus::Active, vec![plastic]).expect("a card");
        let mut refs = vec![ContractNumber::parse("C-1").expect("a number").into()];
        let ended = put_under_new_exid(&store, &bank, &mut refs, &card, 7);
        (store, refs, ended)
    }

    #[test]
    fn another_exid_is_minted_until_one_is_free() {
        for taken in [0, 1, MINTED_MAX - 1] {
            let (store, refs, ended) = put(taken);
            assert!(ended.is_ok() && refs.len() == 2, "{taken}: {ended:?}");
            // The structure includes the check digit.
            let exid = Exid::parse(refs[1].expose(), ExidForm::Strict).expect("an EXID");
            assert!(exid.expose().starts_with("412345677"));
            let bank = BankId::parse("NIC").expect("a bank");
            assert!(refs.iter().all(|r| store.resolve(&bank, r).expect("a store").is_some()));
        }
    }

    #[test]
    fn minting_ends() {
        let (store, refs, ended) = put(usize::MAX);
        assert!(matches!(ended, Err(Failure::System(_))) && refs.len() == 1);
        assert!(store.is_empty().expect("a store"));
    }
}
