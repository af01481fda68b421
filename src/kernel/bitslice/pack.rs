//! Cards to planes and planes to values, for vectors.
//!
//! Read the 128 rows of a pass as one array of bits. A bit's address has a row number (7 bits), a
//! byte number within the row and a bit number within the byte (3 bits). Cards lie one after the
//! other, 16 bytes each; planes want the number of the bit within the card as the row number, and
//! the cards along the row. A transpose only exchanges bits of addresses:
//!
//! - interleaving the bytes of two rows that differ in one bit of the row number moves that bit to
//!   the bottom of the byte number within a 16-byte lane, moves the three bits above it up, and
//!   moves the top one out into the row number; four such steps over 16 rows exchange the number of
//!   the byte within the card with four bits of the card number;
//! - three more exchange the number of the bit within the byte with the last three bits of the card
//!   number, by shifts and selects.
//!
//! What is left of the card number selects the 16-byte lane. The way back takes the same steps in
//! reverse; its last one puts the lanes in order.

use core::hint::black_box;
use core::mem::MaybeUninit;

use super::count;
use super::des::Halves;
use super::word::Word;
use crate::card::{Cvv, PackedCard};

/// A word that is a vector of 16-byte lanes.
pub(in crate::kernel) trait Lanes: Word {
    /// Cards in one vector.
    const ROW: usize = Self::CARDS / 128;
    /// Values in one vector.
    const VALUES: usize = Self::CARDS / 32;

    /// Puts row `n` of group `g` where bit `g` of byte `n` of the two blocks is to stand.
    #[inline(always)]
    fn fill<'a>(
        isa: Self::Isa,
        cards: &[PackedCard],
        filler: &PackedCard,
        blocks: &'a mut MaybeUninit<[Halves<Self>; 2]>,
    ) -> &'a mut [Halves<Self>; 2] {
        let blocks = black_box(blocks.write([Halves::zero(isa); 2]));
        for number in 0..8 {
            for (byte, row) in group(isa, cards, filler, number).into_iter().enumerate() {
                *blocks[byte / 8].plane(byte % 8, number) = row;
            }
        }
        blocks
    }
    /// Reads [`Self::ROW`] cards.
    fn load(isa: Self::Isa, cards: &[PackedCard]) -> Self;
    /// Reads up to [`Self::ROW`] cards, with `filler` in the place of those that are not there.
    fn load_padded(isa: Self::Isa, cards: &[PackedCard], filler: &PackedCard) -> Self;
    /// Asks for a cache line, at any address.
    fn prefetch(isa: Self::Isa, at: *const PackedCard);
    /// Writes [`Self::VALUES`] values.
    fn store(self, values: &mut [Cvv]);
    /// Interleaves the bytes of the lower halves, and of the upper halves, of each 16-byte lane.
    fn interleave_bytes(self, other: Self) -> [Self; 2];
    /// The same for units of two bytes.
    fn interleave_pairs(self, other: Self) -> [Self; 2];
    fn shift_left<const BY: i32>(self) -> Self;
    fn shift_right<const BY: i32>(self) -> Self;
    /// From values whose order has the number of the lane at its bottom to values in order.
    fn order(self) -> Self;
}

/// [`Word::pack`] for vectors.
#[inline(always)]
pub(in crate::kernel) fn pack<'a, W: Lanes>(
    isa: W::Isa,
    cards: &[PackedCard],
    filler: &PackedCard,
    blocks: &'a mut MaybeUninit<[Halves<W>; 2]>,
) -> &'a mut [Halves<W>; 2] {
    // Between the two steps the rows wait where their planes are to stand: no other scratch.
    let blocks = W::fill(isa, cards, filler, blocks);
    let [first, second] = blocks;
    for number in 0..8 {
        transpose_byte(isa, first, number);
    }
    for number in 0..PackedCard::BYTES - 8 {
        transpose_byte(isa, second, number);
    }
    blocks
}

/// The rows of group `number` of eight: bytes 0 to 15 of its cards.
#[inline(always)]
pub(in crate::kernel) fn group<W: Lanes>(
    isa: W::Isa,
    cards: &[PackedCard],
    filler: &PackedCard,
    number: usize,
) -> [W; 16] {
    prefetch::<W>(isa, cards, number);
    interleave_rows(read(isa, cards.get(16 * W::ROW * number..).unwrap_or(&[]), filler))
}

/// Asks for a group of the cards that follow in memory: in a batch, those of the next pass.
#[inline(always)]
fn prefetch<W: Lanes>(isa: W::Isa, cards: &[PackedCard], group: usize) {
    for line in 0..W::CARDS / 32 {
        W::prefetch(
            isa,
            cards.as_ptr().wrapping_add(W::CARDS - 1 + group * (W::CARDS / 8) + 4 * line),
        );
    }
}

/// [`Word::unpack`] for vectors.
#[inline(always)]
pub(in crate::kernel) fn unpack<W: Lanes, const SLOTS: usize>(
    isa: W::Isa,
    digits: &[[W; 4]; SLOTS],
    spare: &mut [W; 32],
    out: &mut [Cvv],
) -> u32 {
    let low = byte(isa, digits, 0);
    let middle = byte(isa, digits, 1);
    let high = byte(isa, digits, 2);
    let count = W::splat(isa, 0x0101_0101 * count::<SLOTS>());
    write(spare, out, 0, low[0].interleave_bytes(middle[0]), high[0].interleave_bytes(count));
    write(spare, out, 1, low[1].interleave_bytes(middle[1]), high[1].interleave_bytes(count));
    write(spare, out, 2, low[2].interleave_bytes(middle[2]), high[2].interleave_bytes(count));
    write(spare, out, 3, low[3].interleave_bytes(middle[3]), high[3].interleave_bytes(count));
    write(spare, out, 4, low[4].interleave_bytes(middle[4]), high[4].interleave_bytes(count));
    write(spare, out, 5, low[5].interleave_bytes(middle[5]), high[5].interleave_bytes(count));
    write(spare, out, 6, low[6].interleave_bytes(middle[6]), high[6].interleave_bytes(count));
    write(spare, out, 7, low[7].interleave_bytes(middle[7]), high[7].interleave_bytes(count));

    let mut row = [const { Cvv::EMPTY }; 16];
    let whole = out.len() / W::VALUES;
    spare[whole].store(&mut row[..W::VALUES]);
    for (value, computed) in out[whole * W::VALUES..].iter_mut().zip(&row) {
        value.set_bits(computed.bits());
        // Keeps LLVM from making a call of a copy of a few words.
        black_box(());
    }
    spare[31].store(&mut row[..W::VALUES]);
    row[W::VALUES - 1].bits()
}

/// Byte `number` of the values, for eight groups of cards: digits `SLOTS - 1 - 2 * number` and,
/// above it, the one before.
#[inline(always)]
fn byte<W: Lanes, const SLOTS: usize>(
    isa: W::Isa,
    digits: &[[W; 4]; SLOTS],
    number: usize,
) -> [W; 8] {
    if 2 * number >= SLOTS {
        return [W::splat(isa, 0); 8];
    }
    let [l3, l2, l1, l0] = digits[SLOTS - 1 - 2 * number];
    let [h3, h2, h1, h0] =
        if 2 * number + 1 < SLOTS { digits[SLOTS - 2 - 2 * number] } else { [W::splat(isa, 0); 4] };
    transpose_bits(isa, [l0, l1, l2, l3, h0, h1, h2, h3])
}

/// Writes a group of `W::CARDS / 8` values from their lower and upper two bytes: whole rows to
/// `out`, others to `spare`.
#[inline(always)]
fn write<W: Lanes>(
    spare: &mut [W; 32],
    out: &mut [Cvv],
    group: usize,
    lower: [W; 2],
    upper: [W; 2],
) {
    let [a, b] = lower[0].interleave_pairs(upper[0]);
    let [c, d] = lower[1].interleave_pairs(upper[1]);
    write_row(spare, out, 4 * group, a.order());
    write_row(spare, out, 4 * group + 1, b.order());
    write_row(spare, out, 4 * group + 2, c.order());
    write_row(spare, out, 4 * group + 3, d.order());
}

#[inline(always)]
fn write_row<W: Lanes>(spare: &mut [W; 32], out: &mut [Cvv], number: usize, row: W) {
    match out.get_mut(number * W::VALUES..(number + 1) * W::VALUES) {
        Some(values) => row.store(values),
        None => spare[number] = row,
    }
}

/// Sixteen rows of cards, from what is left of the cards and then from `filler`.
#[inline(always)]
fn read<W: Lanes>(isa: W::Isa, cards: &[PackedCard], filler: &PackedCard) -> [W; 16] {
    let mut rows = [W::splat(isa, 0); 16];
    if cards.len() >= 16 * W::ROW {
        for (row, cards) in rows.iter_mut().zip(cards.chunks_exact(W::ROW)) {
            *row = W::load(isa, cards);
        }
    } else {
        let rows = black_box(&mut rows);
        for (number, row) in rows.iter_mut().enumerate() {
            *row = W::load_padded(isa, cards.get(number * W::ROW..).unwrap_or(&[]), filler);
        }
        return *rows;
    }
    rows
}

/// Four steps of interleaving: what was the number of the row becomes the number of the byte within
/// the 16-byte lane, and the other way round.
#[inline(always)]
fn interleave_rows<W: Lanes>(rows: [W; 16]) -> [W; 16] {
    interleave_once(interleave_once(interleave_once(interleave_once(rows))))
}

#[inline(always)]
#[allow(clippy::many_single_char_names, reason = "sixteen rows in order")]
fn interleave_once<W: Lanes>(rows: [W; 16]) -> [W; 16] {
    let [a, b] = rows[0].interleave_bytes(rows[8]);
    let [c, d] = rows[1].interleave_bytes(rows[9]);
    let [e, f] = rows[2].interleave_bytes(rows[10]);
    let [g, h] = rows[3].interleave_bytes(rows[11]);
    let [i, j] = rows[4].interleave_bytes(rows[12]);
    let [k, l] = rows[5].interleave_bytes(rows[13]);
    let [m, n] = rows[6].interleave_bytes(rows[14]);
    let [o, p] = rows[7].interleave_bytes(rows[15]);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// Turns byte `number` of a block from eight groups of cards into eight planes, in place.
#[inline(always)]
fn transpose_byte<W: Lanes>(isa: W::Isa, block: &mut Halves<W>, number: usize) {
    let rows = [
        *block.plane(number, 0),
        *block.plane(number, 1),
        *block.plane(number, 2),
        *block.plane(number, 3),
        *block.plane(number, 4),
        *block.plane(number, 5),
        *block.plane(number, 6),
        *block.plane(number, 7),
    ];
    let [b7, b6, b5, b4, b3, b2, b1, b0] = transpose_bits(isa, rows);
    *block.plane(number, 0) = b0;
    *block.plane(number, 1) = b1;
    *block.plane(number, 2) = b2;
    *block.plane(number, 3) = b3;
    *block.plane(number, 4) = b4;
    *block.plane(number, 5) = b5;
    *block.plane(number, 6) = b6;
    *block.plane(number, 7) = b7;
}

/// Exchanges the number of the row with the number of the bit within the byte.
#[inline(always)]
#[allow(clippy::many_single_char_names, reason = "eight rows in order")]
fn transpose_bits<W: Lanes>(isa: W::Isa, rows: [W; 8]) -> [W; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let mask = [W::splat(isa, 0x0f0f_0f0f), W::splat(isa, 0xf0f0_f0f0)];
    let [a, e] = exchange::<W, 4>(mask, a, e);
    let [b, f] = exchange::<W, 4>(mask, b, f);
    let [c, g] = exchange::<W, 4>(mask, c, g);
    let [d, h] = exchange::<W, 4>(mask, d, h);
    let mask = [W::splat(isa, 0x3333_3333), W::splat(isa, 0xcccc_cccc)];
    let [a, c] = exchange::<W, 2>(mask, a, c);
    let [b, d] = exchange::<W, 2>(mask, b, d);
    let [e, g] = exchange::<W, 2>(mask, e, g);
    let [f, h] = exchange::<W, 2>(mask, f, h);
    let mask = [W::splat(isa, 0x5555_5555), W::splat(isa, 0xaaaa_aaaa)];
    let [a, b] = exchange::<W, 1>(mask, a, b);
    let [c, d] = exchange::<W, 1>(mask, c, d);
    let [e, f] = exchange::<W, 1>(mask, e, f);
    let [g, h] = exchange::<W, 1>(mask, g, h);
    [a, b, c, d, e, f, g, h]
}

/// Exchanges the bits of `low` that are in `above` with the bits of `high` that are in `below`,
/// `BY` places further down.
#[inline(always)]
fn exchange<W: Lanes, const BY: i32>([below, above]: [W; 2], low: W, high: W) -> [W; 2] {
    [below.select(low, high.shift_left::<BY>()), above.select(high, low.shift_right::<BY>())]
}
