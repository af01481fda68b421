//! What a store knows about a card, and the bytes that are sealed of it.

use std::fmt;

use cvv2::{Expiry, Pan};
use zeroize::{Zeroize, Zeroizing};

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
    fn code(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::Blocked => 2,
            Self::Closed => 3,
            Self::Lost => 4,
            Self::Stolen => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
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

/// Bytes of a record, always: a length that tells nothing about PAN or plastics.
///
/// PAN (10: two digits a byte, filled up with F), status (1), eight plastics (3 each: year; month
/// and status, four bits each; sequence number), zeros in place of a plastic that is not there.
pub(crate) const RECORD_LEN: usize = PAN_LEN + 1 + CardRecord::PLASTICS_MAX * PLASTIC_LEN;
const PAN_LEN: usize = 10;
const PLASTIC_LEN: usize = 3;

/// The bytes of a record, zeroized when dropped.
pub(crate) type RecordBytes = Zeroizing<[u8; RECORD_LEN]>;

impl CardRecord {
    pub(crate) fn encode(&self, into: &mut RecordBytes) {
        let (pan, rest) = into.split_at_mut(PAN_LEN);
        let (status, plastics) = rest.split_at_mut(1);
        pan.fill(0xFF);
        for (at, digit) in self.pan.expose().bytes().map(|ascii| ascii - b'0').enumerate() {
            let byte = &mut pan[at / 2];
            *byte = if at % 2 == 0 { digit << 4 | 0x0F } else { *byte & 0xF0 | digit };
        }
        status[0] = self.status.code();
        plastics.fill(0);
        for (bytes, plastic) in plastics.chunks_exact_mut(PLASTIC_LEN).zip(&self.plastics) {
            bytes[0] = plastic.expiry.year_of_century();
            bytes[1] = plastic.expiry.month() << 4 | plastic.status.code();
            bytes[2] = plastic.sequence;
        }
    }

    /// The record of which these are the bytes, if there is one.
    pub(crate) fn decode(bytes: &RecordBytes) -> Option<Self> {
        let (pan, rest) = bytes.split_at(PAN_LEN);
        let (status, plastics) = rest.split_at(1);
        let pan = decode_pan(pan)?;
        let status = CardStatus::from_code(status[0])?;
        let (slots, _) = plastics.as_chunks::<PLASTIC_LEN>();
        let count = slots.iter().position(|slot| *slot == [0; PLASTIC_LEN]).unwrap_or(slots.len());
        if slots[count..].iter().any(|slot| *slot != [0; PLASTIC_LEN]) {
            return None;
        }
        let plastics = slots[..count].iter().map(decode_plastic).collect::<Option<Vec<_>>>()?;
        Self::new(pan, status, plastics).ok()
    }
}

fn decode_pan(bytes: &[u8]) -> Option<Pan> {
    let mut ascii = Zeroizing::new([0; 2 * PAN_LEN]);
    for (pair, byte) in ascii.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[byte >> 4, byte & 0x0F]);
    }
    let len = ascii.iter().position(|&digit| digit == 0x0F).unwrap_or(ascii.len());
    if ascii[len..].iter().any(|&digit| digit != 0x0F) {
        return None;
    }
    // A nibble A to E becomes a character that the parser refuses.
    ascii.iter_mut().for_each(|digit| *digit += b'0');
    Pan::parse(str::from_utf8(&ascii[..len]).ok()?).ok()
}

fn decode_plastic(&[year, month_and_status, sequence]: &[u8; PLASTIC_LEN]) -> Option<Plastic> {
    if year > 99 {
        return None;
    }
    let month = month_and_status >> 4;
    let mut yymm = [year / 10, year % 10, month / 10, month % 10].map(|digit| b'0' + digit);
    let expiry = Expiry::parse_yymm(str::from_utf8(&yymm).ok()?).ok();
    yymm.zeroize();
    Some(Plastic::new(expiry?, sequence, CardStatus::from_code(month_and_status & 0x0F)?))
}

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

    fn encoded(record: &CardRecord) -> RecordBytes {
        let mut bytes = RecordBytes::new([0; RECORD_LEN]);
        record.encode(&mut bytes);
        bytes
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
    fn the_layout_is_fixed() {
        let record = card(
            "412345678901234",
            &[("2701", 1, CardStatus::Active), ("3112", 255, CardStatus::Stolen)],
        );
        let expected = format!(
            "412345678901234fffff{:02x}{}{}{}",
            4, // lost
            "1b1101",
            "1fc5ff",
            "000000".repeat(6)
        );
        assert_eq!(hex::encode(*encoded(&record)), expected);
    }

    #[test]
    fn bytes_that_no_record_has_are_refused() {
        let good = encoded(&card("412345678901234", &[("2701", 1, CardStatus::Active)]));
        assert!(CardRecord::decode(&good).is_some());
        for (at, byte, why) in [
            (0, 0xA1, "a PAN digit of A"),
            (3, 0xF7, "F in the middle of the PAN"),
            (5, 0xFF, "a PAN of fewer than 12 digits"),
            (9, 0xF0, "a digit behind the end of the PAN"),
            (10, 0, "no status"),
            (10, 6, "an unknown status"),
            (11, 100, "year 100"),
            (12, 0x01, "month 0"),
            (12, 0xD1, "month 13"),
            (12, 0x10, "a plastic without a status"),
            (17, 1, "a plastic behind an empty place"),
            (34, 1, "a plastic behind an empty place"),
        ] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(CardRecord::decode(&bad).is_none(), "{why}");
        }
        assert!(CardRecord::decode(&RecordBytes::new([0; RECORD_LEN])).is_none());
        assert!(CardRecord::decode(&RecordBytes::new([0xFF; RECORD_LEN])).is_none());
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

    proptest! {
        #[test]
        fn encoding_and_decoding_give_the_record_back(record in record()) {
            prop_assert_eq!(CardRecord::decode(&encoded(&record)), Some(record));
        }

        #[test]
        fn decoding_any_bytes_gives_a_record_with_those_bytes_or_none(
            bytes in proptest::array::uniform32(any::<u8>()),
        ) {
            let mut all = RecordBytes::new([0; RECORD_LEN]);
            all[..32].copy_from_slice(&bytes);
            if let Some(record) = CardRecord::decode(&all) {
                prop_assert_eq!(&*encoded(&record), &*all);
            }
        }
    }
}
