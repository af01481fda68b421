//! What a store knows about a card.

use std::fmt;

use cvv2::{Expiry, Pan};

/// A card: PAN, status, and 1 to 8 plastics.
///
/// A card has two plastics during renewal, one otherwise, and more where partners hold the same
/// account.
#[derive(Clone, PartialEq, Eq)]
pub struct CardRecord {
    pan: Pan,
    status: CardStatus,
    plastics: Vec<Plastic>,
}

impl CardRecord {
    /// The most plastics of a card.
    pub const PLASTICS_MAX: usize = 8;

    /// Puts a card together; the plastics keep their order.
    ///
    /// # Errors
    ///
    /// [`RecordError`] unless there are 1 to 8 plastics.
    pub fn new(pan: Pan, status: CardStatus, plastics: Vec<Plastic>) -> Result<Self, RecordError> {
        if !(1..=Self::PLASTICS_MAX).contains(&plastics.len()) {
            return Err(RecordError::Plastics { count: plastics.len() });
        }
        Ok(Self { pan, status, plastics })
    }

    /// The primary account number.
    #[must_use]
    pub fn pan(&self) -> &Pan {
        &self.pan
    }

    /// The status of the card as a whole; each plastic has its own as well.
    #[must_use]
    pub fn status(&self) -> CardStatus {
        self.status
    }

    /// The 1 to 8 plastics, in the order in which they were given.
    #[must_use]
    pub fn plastics(&self) -> &[Plastic] {
        &self.plastics
    }
}

impl fmt::Debug for CardRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardRecord")
            .field("pan", &self.pan)
            .field("status", &self.status)
            .field("plastics", &self.plastics)
            .finish()
    }
}

/// A piece of plastic (or its virtual like): the expiry that names it, its number and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plastic {
    expiry: Expiry,
    sequence: u8,
    status: CardStatus,
}

impl Plastic {
    /// A plastic with its sequence number, 0 to 255 (issuers use 0 to 99).
    #[must_use]
    pub fn new(expiry: Expiry, sequence: u8, status: CardStatus) -> Self {
        Self { expiry, sequence, status }
    }

    /// The month in which it expires.
    #[must_use]
    pub fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// Its number among the plastics of the card.
    #[must_use]
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// Its own status.
    #[must_use]
    pub fn status(&self) -> CardStatus {
        self.status
    }
}

/// Whether a card or a plastic may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CardStatus {
    /// In use.
    Active,
    /// Stopped by the issuer or the cardholder; may become active again.
    Blocked,
    /// The account has ended.
    Closed,
    /// Reported lost.
    Lost,
    /// Reported stolen.
    Stolen,
}

impl CardStatus {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Blocked, Self::Closed, Self::Lost, Self::Stolen];

    /// Reads the name of a status, in any ASCII case.
    ///
    /// # Errors
    ///
    /// [`CardStatusError`] for anything but one of the five names.
    pub fn parse(name: &str) -> Result<Self, CardStatusError> {
        Self::ALL
            .into_iter()
            .find(|status| status.name().eq_ignore_ascii_case(name))
            .ok_or(CardStatusError)
    }

    /// `active`, `blocked`, `closed`, `lost` or `stolen`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Blocked => "blocked",
            Self::Closed => "closed",
            Self::Lost => "lost",
            Self::Stolen => "stolen",
        }
    }

    /// The number in sealed records. A number once given is never given to another status.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::Blocked => 2,
            Self::Closed => 3,
            Self::Lost => 4,
            Self::Stolen => 5,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

impl fmt::Display for CardStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is no [`CardStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardStatusError;

impl fmt::Display for CardStatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the status is none of active, blocked, closed, lost, stolen")
    }
}

impl std::error::Error for CardStatusError {}

/// Why a record cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The number of plastics is outside 1 to 8.
    Plastics {
        /// How many there were.
        count: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plastics { count } => write!(f, "the card has {count} plastics; give 1 to 8"),
        }
    }
}

impl std::error::Error for RecordError {}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status() -> impl Strategy<Value = CardStatus> {
        proptest::sample::select(CardStatus::ALL.to_vec())
    }

    fn plastic() -> impl Strategy<Value = Plastic> {
        (0..100_u8, 1..=12_u8, any::<u8>(), status()).prop_map(|(year, month, sequence, status)| {
            let expiry = Expiry::parse_yymm(&format!("{year:02}{month:02}")).unwrap();
            Plastic::new(expiry, sequence, status)
        })
    }

    /// Any record that there can be.
    pub(crate) fn record() -> impl Strategy<Value = CardRecord> {
        ("[0-9]{12,19}", status(), proptest::collection::vec(plastic(), 1..=8)).prop_map(
            |(pan, status, plastics)| {
                CardRecord::new(Pan::parse(&pan).unwrap(), status, plastics).unwrap()
            },
        )
    }

    fn card(pan: &str, plastics: &[(&str, u8, CardStatus)]) -> CardRecord {
        let plastics = plastics
            .iter()
            .map(|&(yymm, sequence, status)| {
                Plastic::new(Expiry::parse_yymm(yymm).unwrap(), sequence, status)
            })
            .collect();
        CardRecord::new(Pan::parse(pan).unwrap(), CardStatus::Lost, plastics).unwrap()
    }

    #[test]
    fn a_card_has_one_to_eight_plastics() {
        let plastic = Plastic::new(Expiry::parse_yymm("2701").unwrap(), 1, CardStatus::Active);
        for (count, fits) in [(0, false), (1, true), (8, true), (9, false)] {
            let made = CardRecord::new(
                Pan::parse("4123456789012345").unwrap(),
                CardStatus::Active,
                vec![plastic.clone(); count],
            );
            assert_eq!(
                made.map(|_| ()),
                if fits { Ok(()) } else { Err(RecordError::Plastics { count }) }
            );
        }
    }

    #[test]
    fn statuses_are_read_by_name_in_any_case() {
        for status in CardStatus::ALL {
            assert_eq!(CardStatus::parse(&status.name().to_uppercase()), Ok(status));
            assert_eq!(CardStatus::from_code(status.code()), Some(status));
        }
        assert_eq!(CardStatus::parse(" active"), Err(CardStatusError));
    }

    #[test]
    fn debug_shows_no_digit_of_the_card() {
        let text = format!("{:?}", card("499998888777700", &[("3112", 7, CardStatus::Lost)]));
        assert!(!text.contains("4999") && !text.contains("31"), "{text}");
    }
}
