//! From the cells of a row to a card, or to what is wrong with the row.

use std::fmt;

use cvv2::{Expiry, ExpiryError, Pan, PanError};

use super::csv::{Cells, RowFlaw};
use super::header::Columns;
use crate::bank::{BankId, BankIdError};
use crate::card_ref::{
    CardRef, CardRefKind, ContractNumber, ContractNumberError, Exid, ExidError, ExidForm,
};
use crate::record::{CardRecord, CardStatus, CardStatusError, Plastic, RecordError};
use crate::store::REFS_MAX;

/// A card as a row has it.
pub(crate) struct RowCard {
    pub(crate) bank: BankId,
    pub(crate) record: CardRecord,
    /// 1 to 64, each once.
    pub(crate) refs: Vec<CardRef>,
}

impl RowCard {
    pub(crate) fn read(
        cells: Result<Cells<'_>, RowFlaw>,
        columns: &Columns,
        form: ExidForm,
    ) -> Result<Self, Flaw> {
        let cells = cells.map_err(Flaw::Row)?;
        if cells.count() != columns.count {
            return Err(Flaw::Cells { found: cells.count(), due: columns.count });
        }
        let at = |column: usize| cells.get(column).trim();
        let optional = |column: Option<usize>| column.map(at).filter(|text| !text.is_empty());

        let bank = BankId::parse(at(columns.bank)).map_err(Flaw::Bank)?;
        let pan = Pan::parse(at(columns.pan)).map_err(Flaw::Pan)?;
        let status = match optional(columns.status) {
            Some(name) => CardStatus::parse(name).map_err(Flaw::Status)?,
            None => CardStatus::Active,
        };
        let mut refs = Vec::with_capacity(2);
        if let Some(exid) = optional(columns.exid) {
            refs.push(Exid::parse(exid, form).map_err(Flaw::Exid)?.into());
        }
        let numbers = optional(columns.contract_number).unwrap_or("").split_ascii_whitespace();
        for number in numbers {
            let number = ContractNumber::parse(number).map_err(Flaw::ContractNumber)?.into();
            if !refs.contains(&number) {
                refs.push(number);
            }
        }
        match refs.len() {
            0 => return Err(Flaw::NoReference),
            1..=REFS_MAX => {}
            count => return Err(Flaw::References { count }),
        }
        let plastics = plastics(
            at(columns.expiry),
            optional(columns.sequence),
            optional(columns.plastic_status),
            status,
        )?;
        let record = CardRecord::new(pan, status, plastics).map_err(Flaw::Plastics)?;
        Ok(Self { bank, record, refs })
    }
}

/// The plastics: several circulate during renewal, so each cell has one word for each of them. All
/// have the first sequence number and the card's status unless the row says otherwise.
fn plastics(
    expiries: &str,
    sequences: Option<&str>,
    statuses: Option<&str>,
    card: CardStatus,
) -> Result<Vec<Plastic>, Flaw> {
    let mut sequences = sequences.map(str::split_ascii_whitespace);
    let mut statuses = statuses.map(str::split_ascii_whitespace);
    let mut plastics = Vec::with_capacity(1);
    for expiry in expiries.split_ascii_whitespace() {
        let expiry = Expiry::parse_yymm(expiry).map_err(Flaw::Expiry)?;
        let sequence = match &mut sequences {
            Some(words) => {
                let word = words.next().ok_or(Flaw::SequenceCount)?;
                word.parse().map_err(|_| Flaw::Sequence)?
            }
            None => 0,
        };
        let status = match &mut statuses {
            Some(words) => {
                let word = words.next().ok_or(Flaw::PlasticStatusCount)?;
                CardStatus::parse(word).map_err(Flaw::PlasticStatus)?
            }
            None => card,
        };
        plastics.push(Plastic::new(expiry, sequence, status));
    }
    if sequences.is_some_and(|mut words| words.next().is_some()) {
        return Err(Flaw::SequenceCount);
    }
    if statuses.is_some_and(|mut words| words.next().is_some()) {
        return Err(Flaw::PlasticStatusCount);
    }
    Ok(plastics)
}

/// What is wrong with a row: a field and a reason, never what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Row(RowFlaw),
    Cells {
        found: usize,
        due: usize,
    },
    Bank(BankIdError),
    Pan(PanError),
    Expiry(ExpiryError),
    Plastics(RecordError),
    Exid(ExidError),
    ContractNumber(ContractNumberError),
    NoReference,
    References {
        count: usize,
    },
    Status(CardStatusError),
    Sequence,
    SequenceCount,
    PlasticStatus(CardStatusError),
    PlasticStatusCount,
    /// Refused by the store: the EXID is another card's.
    ExidTaken,
    /// Refused by the store: a contract number is another card's.
    ContractNumberTaken,
}

impl Flaw {
    /// That a reference belongs to another card.
    pub(crate) fn taken(card: &CardRef) -> Self {
        match card.kind() {
            CardRefKind::Exid => Self::ExidTaken,
            CardRefKind::ContractNumber => Self::ContractNumberTaken,
        }
    }

    /// The column, or `row` for the row as a whole.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Row(_) | Self::Cells { .. } => "row",
            Self::Bank(_) => "bank",
            Self::Pan(_) => "pan",
            Self::Expiry(_) | Self::Plastics(_) => "expiry",
            Self::Exid(_) | Self::NoReference | Self::ExidTaken => "exid",
            Self::ContractNumber(_) | Self::References { .. } | Self::ContractNumberTaken => {
                "contract_number"
            }
            Self::Status(_) => "status",
            Self::Sequence | Self::SequenceCount => "sequence",
            Self::PlasticStatus(_) | Self::PlasticStatusCount => "plastic_status",
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(RowFlaw::NotUtf8) => f.write_str("not UTF-8"),
            Self::Row(RowFlaw::Quote) => {
                f.write_str("a quote is not closed, or something stands behind it")
            }
            Self::Cells { found, due } => {
                write!(f, "{found} fields where the header row has {due}")
            }
            Self::Bank(error) => error.fmt(f),
            Self::Pan(error) => error.fmt(f),
            Self::Expiry(error) => error.fmt(f),
            Self::Plastics(error) => error.fmt(f),
            Self::Exid(error) => error.fmt(f),
            Self::ContractNumber(error) => error.fmt(f),
            Self::NoReference => f.write_str("neither exid nor contract_number; give one"),
            Self::References { count } => {
                write!(f, "the card would have {count} identifiers; give 1 to {REFS_MAX}")
            }
            Self::Status(error) | Self::PlasticStatus(error) => error.fmt(f),
            Self::Sequence => f.write_str("not a number 0 to 255"),
            Self::SequenceCount | Self::PlasticStatusCount => {
                f.write_str("give as many as expiries, or none")
            }
            Self::ExidTaken => f.write_str("the EXID belongs to another card of the bank"),
            Self::ContractNumberTaken => {
                f.write_str("the contract number belongs to another card of the bank")
            }
        }
    }
}
