//! The bytes that are sealed: of a record, and of a whole card.
//!
//! # Record
//!
//! What stands under a reference.
//!
//! | bytes | holds |
//! |---|---|
//! | 10 | the PAN, four bits a digit, filled up with F to 19 digits; in the last four bits the status |
//! | 3 a place | two places for plastics, or eight: year; month and status, four bits each; sequence number. An empty place is zero |
//!
//! So all cards with one or two plastics, which is nearly all, have records of the same length, and
//! it is one AES block.
//!
//! # Card
//!
//! What stands under the PAN: the record and everything that the card is found by, because whoever
//! changes a card has to find all copies of its record, and whoever exports it or makes a new index
//! needs the identifiers, of which the index tells nothing.
//!
//! | bytes | holds |
//! |---|---|
//! | 10 | PAN and status, as in a record |
//! | 1 | the number of plastics |
//! | 3 a plastic | as in a record, without empty places |
//! | 2 to 33 a reference | kind (1 bit), whether digits are packed (1 bit), number of characters (6 bits); the characters, two digits a byte where there are only digits |
//! | 0 to 15 | zeros, up to a multiple of 16 |

use cvv2::{Expiry, Pan};
use zeroize::{Zeroize, Zeroizing};

use crate::card_ref::{CardRef, CardRefKind, ContractNumber, Exid, ExidForm};
use crate::record::{CardRecord, CardStatus, Plastic};
use crate::store::REFS_MAX;

/// A card with everything that it is found by.
pub(crate) struct Card {
    pub(crate) record: CardRecord,
    pub(crate) refs: Vec<CardRef>,
}

/// Room for the bytes of one record or card after another; zeroized when dropped.
pub(crate) struct Plain<const ROOM: usize> {
    /// Zeros from `len` on.
    bytes: [u8; ROOM],
    len: usize,
}

/// Room for a record.
pub(crate) type RecordBytes = Plain<RECORD_LEN_MAX>;

/// Room for a card.
pub(crate) type CardBytes = Plain<CARD_LEN_MAX>;

impl<const ROOM: usize> Plain<ROOM> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; ROOM], len: 0 }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Room for exactly `len` bytes, if there is so much.
    pub(crate) fn room_for(&mut self, len: usize) -> Option<&mut [u8]> {
        self.clear();
        let room = self.bytes.get_mut(..len)?;
        self.len = len;
        Some(room)
    }

    fn clear(&mut self) {
        self.bytes[..self.len].zeroize();
        self.len = 0;
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Packs ASCII digits, two a byte; the last four bits of an odd number of digits are F.
    fn extend_with_digits(&mut self, ascii: &[u8]) {
        for pair in ascii.chunks(2) {
            let low = pair.get(1).map_or(0x0F, |digit| digit & 0x0F);
            self.push(pair[0] << 4 | low);
        }
    }

    /// Leaves zeros.
    fn skip_to(&mut self, len: usize) {
        self.len = len;
    }

    fn push_head(&mut self, record: &CardRecord) {
        self.extend_with_digits(record.pan().expose().as_bytes());
        self.bytes[self.len..HEAD_LEN].fill(0xFF);
        self.len = HEAD_LEN;
        self.bytes[HEAD_LEN - 1] &= 0xF0 | record.status().code();
    }

    fn push_plastic(&mut self, plastic: &Plastic) {
        let expiry = plastic.expiry();
        self.push(expiry.year_of_century());
        self.push(expiry.month() << 4 | plastic.status().code());
        self.push(plastic.sequence());
    }
}

impl<const ROOM: usize> Drop for Plain<ROOM> {
    /// Only what was written: there is room for the longest card, and most are short.
    fn drop(&mut self) {
        self.clear();
    }
}

impl RecordBytes {
    /// Writes the record in place of what was there.
    pub(crate) fn write(&mut self, record: &CardRecord) {
        self.clear();
        self.push_head(record);
        record.plastics().iter().for_each(|plastic| self.push_plastic(plastic));
        let places = if record.plastics().len() <= FEW { FEW } else { CardRecord::PLASTICS_MAX };
        self.skip_to(HEAD_LEN + places * PLASTIC_LEN);
    }

    /// The record of which these are the bytes, if there is one.
    pub(crate) fn read(&self) -> Option<CardRecord> {
        let (head, places) = self.as_slice().split_first_chunk()?;
        let (places, rest) = places.as_chunks::<PLASTIC_LEN>();
        let is_empty = |place: &[u8; PLASTIC_LEN]| *place == [0; PLASTIC_LEN];
        let count = places.iter().position(is_empty).unwrap_or(places.len());
        let due = if count <= FEW { FEW } else { CardRecord::PLASTICS_MAX };
        if !rest.is_empty() || places.len() != due || !places[count..].iter().all(is_empty) {
            return None;
        }
        read_record(head, &places[..count])
    }
}

impl CardBytes {
    /// Writes the card in place of what was there.
    pub(crate) fn write(&mut self, record: &CardRecord, refs: &[CardRef]) {
        self.clear();
        self.push_head(record);
        self.push(u8::try_from(record.plastics().len()).expect("at most 8"));
        record.plastics().iter().for_each(|plastic| self.push_plastic(plastic));
        for card in refs {
            self.push_reference(card);
        }
        self.skip_to(self.len.next_multiple_of(STEP));
    }

    /// The card of which these are the bytes, if there is one.
    pub(crate) fn read(&self) -> Option<Card> {
        let (head, rest) = self.as_slice().split_first_chunk()?;
        let (&[count], rest) = rest.split_first_chunk()?;
        let (plastics, mut rest) = rest.split_at_checked(usize::from(count) * PLASTIC_LEN)?;
        let record = read_record(head, plastics.as_chunks().0)?;
        let mut refs = Vec::with_capacity(2);
        while let Some((&header, behind)) = rest.split_first()
            && header != 0
        {
            let (card, behind) = read_reference(header, behind)?;
            refs.push(card);
            rest = behind;
        }
        let is_padding = rest.len() < STEP && rest.iter().all(|&byte| byte == 0);
        (is_padding && self.len.is_multiple_of(STEP) && (1..=REFS_MAX).contains(&refs.len()))
            .then_some(Card { record, refs })
    }

    fn push_reference(&mut self, card: &CardRef) {
        let ascii = card.expose().as_bytes();
        let kind = match card.kind() {
            CardRefKind::ContractNumber => 0,
            CardRefKind::Exid => KIND_EXID,
        };
        let len = u8::try_from(ascii.len()).expect("at most 32");
        if ascii.iter().all(u8::is_ascii_digit) {
            self.push(kind | PACKED | len);
            self.extend_with_digits(ascii);
        } else {
            self.push(kind | len);
            self.extend(ascii);
        }
    }
}

fn read_record(head: &[u8; HEAD_LEN], plastics: &[[u8; PLASTIC_LEN]]) -> Option<CardRecord> {
    let status = CardStatus::from_code(head[HEAD_LEN - 1] & 0x0F)?;
    let mut digits = Zeroizing::new([0; 2 * HEAD_LEN]);
    unpack(head, &mut *digits);
    let digits = &digits[..2 * HEAD_LEN - 1];
    let len = digits.iter().position(|&ascii| ascii == FILLER).unwrap_or(digits.len());
    if digits[len..].iter().any(|&ascii| ascii != FILLER) {
        return None;
    }
    let pan = Pan::parse(str::from_utf8(&digits[..len]).ok()?).ok()?;
    let plastics = plastics.iter().map(read_plastic).collect::<Option<Vec<_>>>()?;
    CardRecord::new(pan, status, plastics).ok()
}

fn read_plastic(&[year, month_and_status, sequence]: &[u8; PLASTIC_LEN]) -> Option<Plastic> {
    if year > 99 {
        return None;
    }
    let month = month_and_status >> 4;
    let mut yymm = [year / 10, year % 10, month / 10, month % 10].map(|digit| b'0' + digit);
    let expiry = Expiry::parse_yymm(str::from_utf8(&yymm).ok()?).ok();
    yymm.zeroize();
    Some(Plastic::new(expiry?, sequence, CardStatus::from_code(month_and_status & 0x0F)?))
}

/// The reference with this header, and what is behind its characters.
fn read_reference(header: u8, bytes: &[u8]) -> Option<(CardRef, &[u8])> {
    let len = usize::from(header & LEN);
    let is_packed = header & PACKED != 0;
    let (bytes, behind) = bytes.split_at_checked(if is_packed { len.div_ceil(2) } else { len })?;
    let mut ascii = Zeroizing::new([0; LEN as usize + 1]);
    if is_packed {
        unpack(bytes, &mut *ascii);
        if len % 2 == 1 && ascii[len] != FILLER {
            return None;
        }
    } else {
        ascii[..len].copy_from_slice(bytes);
    }
    let text = str::from_utf8(&ascii[..len]).ok()?;
    let is_canonical = is_packed == text.bytes().all(|ascii| ascii.is_ascii_digit());
    let card = if header & KIND_EXID != 0 {
        Exid::parse(text, ExidForm::Any).ok()?.into()
    } else {
        ContractNumber::parse(text).ok()?.into()
    };
    is_canonical.then_some((card, behind))
}

/// Four bits a character; F becomes [`FILLER`], and A to E characters that no parser takes for
/// digits.
fn unpack(packed: &[u8], ascii: &mut [u8]) {
    for (pair, byte) in ascii.chunks_exact_mut(2).zip(packed) {
        pair.copy_from_slice(&[b'0' + (byte >> 4), b'0' + (byte & 0x0F)]);
    }
}

/// Nineteen digits and the status, four bits each.
const HEAD_LEN: usize = Pan::LEN_MAX.div_ceil(2);
const PLASTIC_LEN: usize = 3;

/// Up to so many plastics all records have the same length.
const FEW: usize = 2;

const FILLER: u8 = b'0' + 0x0F;

/// The bits of a reference's header.
const KIND_EXID: u8 = 0x80;
const PACKED: u8 = 0x40;
const LEN: u8 = 0x3F;

/// The lengths of cards are multiples of it, so that they do not tell how long an identifier is.
const STEP: usize = 16;

const PLASTICS_LEN_MAX: usize = CardRecord::PLASTICS_MAX * PLASTIC_LEN;
const RECORD_LEN_MAX: usize = HEAD_LEN + PLASTICS_LEN_MAX;
const CARD_LEN_MAX: usize =
    (HEAD_LEN + 1 + PLASTICS_LEN_MAX + REFS_MAX * (1 + ContractNumber::LEN_MAX))
        .next_multiple_of(STEP);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::tests::record;

    fn card(pan: &str, plastics: &[(&str, u8, CardStatus)]) -> CardRecord {
        let plastics = plastics
            .iter()
            .map(|&(yymm, sequence, status)| {
                Plastic::new(Expiry::parse_yymm(yymm).unwrap(), sequence, status)
            })
            .collect();
        CardRecord::new(Pan::parse(pan).unwrap(), CardStatus::Lost, plastics).unwrap()
    }

    fn number(text: &str) -> CardRef {
        ContractNumber::parse(text).unwrap().into()
    }

    fn exid(text: &str) -> CardRef {
        Exid::parse(text, ExidForm::Any).unwrap().into()
    }

    fn record_bytes(record: &CardRecord) -> RecordBytes {
        let mut bytes = RecordBytes::new();
        bytes.write(record);
        bytes
    }

    fn card_bytes(record: &CardRecord, refs: &[CardRef]) -> CardBytes {
        let mut bytes = CardBytes::new();
        bytes.write(record, refs);
        bytes
    }

    /// What reading makes of `bytes`.
    fn record_of(bytes: &[u8]) -> Option<CardRecord> {
        let mut plain = RecordBytes::new();
        plain.room_for(bytes.len())?.copy_from_slice(bytes);
        plain.read()
    }

    fn card_of(bytes: &[u8]) -> Option<Card> {
        let mut plain = CardBytes::new();
        plain.room_for(bytes.len())?.copy_from_slice(bytes);
        plain.read()
    }

    const ACTIVE: CardStatus = CardStatus::Active;

    #[test]
    fn the_layout_of_a_record_is_fixed() {
        let short = card("412345678901234", &[("2701", 1, ACTIVE)]);
        assert_eq!(
            hex::encode(record_bytes(&short).as_slice()),
            "412345678901234ffff4\
             1b1101\
             000000"
        );
        let plastics =
            [("2701", 1, ACTIVE), ("3112", 255, CardStatus::Stolen), ("9901", 0, ACTIVE)];
        let long = card("4123456789012345678", &plastics);
        let expected =
            format!("41234567890123456784{}{}", "1b11011fc5ff631100", "000000".repeat(5));
        assert_eq!(hex::encode(record_bytes(&long).as_slice()), expected);
    }

    #[test]
    fn the_layout_of_a_card_is_fixed() {
        let record = card("412345678901234", &[("2701", 1, ACTIVE)]);
        let refs = [exid("99984100148297467162"), number("0014829"), number("A-1"), exid("7")];
        let expected = [
            "412345678901234ffff4",
            "01",
            "1b1101",
            "d4",
            "99984100148297467162",
            "47",
            "0014829f",
            "03",
            "412d31",
            "c1",
            "7f",
            "000000000000000000000000",
        ];
        assert_eq!(hex::encode(card_bytes(&record, &refs).as_slice()), expected.concat());
    }

    #[test]
    fn records_have_two_lengths_and_cards_multiples_of_16() {
        for count in 1..=8 {
            let record = card("412345678901234", &vec![("2701", 1, ACTIVE); count]);
            let len = record_bytes(&record).as_slice().len();
            assert_eq!(len, if count <= 2 { 16 } else { 34 });
        }
        let record = card("4123456789012345", &[("2701", 1, ACTIVE)]);
        let common = [exid("99984100148297467162"), number("0014829746")];
        assert_eq!(card_bytes(&record, &common).as_slice().len(), 32);
        let longest = "-".repeat(32);
        let most: Vec<_> = (0..64).map(|_| number(&longest)).collect();
        let record = card("4123456789012345", &[("2701", 1, ACTIVE); 8]);
        assert_eq!(card_bytes(&record, &most).as_slice().len(), CARD_LEN_MAX);
    }

    #[test]
    fn bytes_that_no_record_has_are_refused() {
        let good = record_bytes(&card("412345678901234", &[("2701", 1, ACTIVE)]));
        assert!(record_of(good.as_slice()).is_some());
        for (at, byte, why) in [
            (0, 0xA1, "a PAN digit of A"),
            (3, 0xF7, "F in the middle of the PAN"),
            (5, 0xFF, "a PAN of fewer than 12 digits"),
            (9, 0x04, "a digit behind the end of the PAN"),
            (9, 0xF0, "no status"),
            (9, 0xF6, "an unknown status"),
            (10, 100, "year 100"),
            (11, 0x01, "month 0"),
            (11, 0xD1, "month 13"),
            (11, 0x10, "a plastic without a status"),
            (15, 1, "half a plastic"),
        ] {
            let mut bad = good.as_slice().to_vec();
            bad[at] = byte;
            assert!(record_of(&bad).is_none(), "{why}");
        }
        for len in [0, 9, 10, 13, 15, 19, 31, 34] {
            assert!(
                record_of(&[good.as_slice(), &[0; 34]].concat()[..len]).is_none(),
                "{len} bytes"
            );
        }
        let eight = record_bytes(&card("412345678901234", &[("2701", 1, ACTIVE); 8]));
        let mut hole = eight.as_slice().to_vec();
        hole[16..19].fill(0);
        assert!(record_of(&hole).is_none(), "a plastic behind an empty place");
    }

    #[test]
    fn bytes_that_no_card_has_are_refused() {
        let record = card("412345678901234", &[("2701", 1, ACTIVE)]);
        let good = card_bytes(&record, &[number("0014829"), number("A-1")]);
        assert!(card_of(good.as_slice()).is_some());
        for (at, byte, why) in [
            (10, 0, "no plastic"),
            (10, 9, "nine plastics"),
            (10, 255, "more plastics than bytes"),
            (14, 0, "no reference, and something behind it"),
            (14, 0x40, "an identifier without characters"),
            (14, 0x61, "33 digits"),
            (14, 0x07, "seven digits that are not packed"),
            (18, 0x90, "a digit behind the last one"),
            (17, 0xA2, "a packed character that is no digit"),
            (19, 0x43, "letters that are packed"),
            (20, b' ', "a blank"),
            (21, b'X', "a masked contract number"),
            (31, 1, "something behind the end"),
        ] {
            let mut bad = good.as_slice().to_vec();
            bad[at] = byte;
            assert!(card_of(&bad).is_none(), "{why}");
        }
        let unlisted = card_bytes(&record, &[]);
        assert!(card_of(unlisted.as_slice()).is_none(), "no reference at all");
        assert!(card_of(&good.as_slice()[..31]).is_none(), "a length that no card has");
        assert!(
            card_of(&[good.as_slice(), &[0; 16]].concat()).is_none(),
            "too much behind the end"
        );
    }

    #[test]
    fn room_that_was_used_shows_nothing_of_the_card_before() {
        let mut bytes = CardBytes::new();
        let long = card("4123456789012345678", &[("2701", 1, ACTIVE); 8]);
        bytes.write(&long, &[number("000000000000000000000000000000"), number("A-1")]);
        let short = card("412345678901", &[("2701", 1, ACTIVE)]);
        bytes.write(&short, &[number("1")]);
        assert_eq!(bytes.as_slice(), card_bytes(&short, &[number("1")]).as_slice());
        assert!(bytes.bytes[bytes.len..].iter().all(|&byte| byte == 0));
    }

    fn reference() -> impl Strategy<Value = CardRef> {
        prop_oneof![
            "[0-9]{1,32}".prop_map(|text| number(&text)),
            "[0-9]{1,32}".prop_map(|text| exid(&text)),
            "[!-WYZ-wyz~]{1,32}".prop_map(|text| number(&text)),
            "[!-~]{1,32}".prop_map(|text| exid(&text)),
        ]
    }

    proptest! {
        #[test]
        fn writing_and_reading_give_the_same(
            record in record(), refs in proptest::collection::vec(reference(), 1..=64),
        ) {
            prop_assert_eq!(record_bytes(&record).read(), Some(record.clone()));
            let card = card_bytes(&record, &refs).read().unwrap();
            prop_assert!(card.record == record && card.refs == refs);
        }

        #[test]
        fn reading_any_bytes_gives_something_with_those_bytes_or_nothing(
            head in "[0-9]{14}", tail in proptest::collection::vec(0..=0x50_u8, 25),
        ) {
            let bytes = [hex::decode(head).unwrap(), tail].concat();
            for len in [16, 32] {
                if let Some(record) = record_of(&bytes[..len]) {
                    let again = record_bytes(&record);
                    prop_assert_eq!(again.as_slice(), &bytes[..len]);
                }
                if let Some(card) = card_of(&bytes[..len]) {
                    let again = card_bytes(&card.record, &card.refs);
                    prop_assert_eq!(again.as_slice(), &bytes[..len]);
                }
            }
        }
    }
}
