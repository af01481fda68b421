//! A card as the kernels take it.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{Expiry, ExpiryOrder, Pan, ServiceCode};
use crate::declassify::declassify;

/// PAN, expiry and service code of one card as the two 8-byte blocks of the calculation.
///
/// The digits PAN, expiry, service code stand one after the other, four bits each, the most
/// significant first, and are filled up with zeros to 32 digits. The first 16 are block 1, the
/// others block 2. A PAN is never cut and never padded on its left.
///
/// Sixteen bytes a card, wiped when dropped; [`CvkPair::pack`](crate::CvkPair::pack) makes one with
/// the expiry in the order that belongs to the key.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct PackedCard {
    blocks: [u8; 16],
}

impl PackedCard {
    /// Bytes that may hold digits: the longest PAN, the expiry and the service code are 26. The
    /// others are zero.
    pub(crate) const BYTES: usize = (Pan::LEN_MAX + 4 + 3).div_ceil(2);

    /// Packs a card whose expiry enters the calculation in `order`.
    #[must_use]
    pub fn new(pan: &Pan, expiry: &Expiry, order: ExpiryOrder, service_code: &ServiceCode) -> Self {
        Self::from_opaque_digits(pan, expiry.digits(order), service_code)
    }

    /// Packs a card whose four expiry digits (each 0 to 9) need not be a date.
    pub(crate) fn from_opaque_digits(
        pan: &Pan,
        expiry: [u8; 4],
        service_code: &ServiceCode,
    ) -> Self {
        let mut packed = Self { blocks: [0; 16] };
        let tail = expiry.into_iter().chain(service_code.digits());
        for (i, digit) in pan.ascii().iter().map(|ascii| ascii & 0xF).chain(tail).enumerate() {
            packed.blocks[i / 2] |= if i % 2 == 0 { digit << 4 } else { digit };
        }
        packed
    }

    /// A card from its two blocks, block 1 first; every nibble is a digit 0 to 9, and what is behind
    /// [`BYTES`](Self::BYTES) zero.
    pub(crate) const fn from_blocks(blocks: [u8; 16]) -> Self {
        Self { blocks }
    }

    /// The two blocks, block 1 first.
    pub(crate) fn blocks(&self) -> &[u8; 16] {
        &self.blocks
    }
}

impl fmt::Debug for PackedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackedCard([redacted])")
    }
}

impl ConstantTimeEq for PackedCard {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.blocks.ct_eq(&other.blocks)
    }
}

impl PartialEq for PackedCard {
    fn eq(&self, other: &Self) -> bool {
        declassify(self.ct_eq(other))
    }
}

impl Eq for PackedCard {}

impl Zeroize for PackedCard {
    fn zeroize(&mut self) {
        self.blocks.zeroize();
    }
}

impl Drop for PackedCard {
    fn drop(&mut self) {
        self.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn every_pan_length_fills_the_two_blocks_as_the_text_says() {
        let digits = "9876543210987654321";
        let expiry = Expiry::parse_yymm("2712").unwrap();
        let code = ServiceCode::parse("346").unwrap();
        for len in Pan::LEN_MIN..=Pan::LEN_MAX {
            let pan = Pan::parse(&digits[..len]).unwrap();
            let packed = PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &code);
            assert_eq!(
                hex::encode(packed.blocks()),
                format!("{:0<32}", format!("{}2712346", &digits[..len]))
            );
        }
    }

    #[test]
    fn the_order_of_the_expiry_is_the_callers() {
        let pan = Pan::parse("4123456789012345").unwrap();
        let expiry = Expiry::parse_yymm("2712").unwrap();
        let packed = PackedCard::new(&pan, &expiry, ExpiryOrder::MmYy, &ServiceCode::CVV2);
        assert_eq!(packed.blocks()[8..], [0x12, 0x27, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn debug_shows_no_digit() {
        let pan = Pan::parse("4123456789012345").unwrap();
        let packed = PackedCard::from_opaque_digits(&pan, [9, 9, 9, 9], &ServiceCode::ICVV);
        assert_eq!(format!("{packed:?}"), "PackedCard([redacted])");
    }
}
