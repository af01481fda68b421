//! How the 48 wires from S-box outputs to S-box inputs run through byte lanes.
//!
//! In the byte-lane kernels S-box `t` has a byte of its own and its six input bits sit in that
//! byte. `P` and then `E` carry each output bit of an S-box to one or two inputs of others: 48
//! wires, at most one between any two boxes. Give every wire one of six bit positions (its colour)
//! such that no two wires that leave one box, nor two that enter one box, share a position: then a
//! wire keeps its position all the way, and `P` and `E` are nothing but choices, bit by bit, of
//! which byte to read. [`COLOUR`] goes further: it makes those choices a butterfly of three stages,
//! each of which swaps bits between two bytes under a mask. It was found with a SAT solver;
//! [`Butterfly::new`] is evaluated at compile time and refuses a colouring that is no such
//! butterfly, and the tests follow all 48 wires.

use super::fips::{self, E, P};

/// `COLOUR[s][t]`: the bit position of the wire from S-box `s` to S-box `t`, [`NONE`] where there
/// is none.
#[rustfmt::skip]
pub(super) const COLOUR: [[u8; 8]; 8] = [
    [NONE, 4, 0, 5, 2, 1, NONE, 3],
    [1, NONE, 4, 2, 0, NONE, 3, 5],
    [NONE, 1, NONE, 3, 5, 0, 4, 2],
    [4, NONE, 1, NONE, 3, 5, 2, 0],
    [2, 5, 3, 0, NONE, 4, 1, NONE],
    [0, 3, 2, NONE, 4, NONE, 5, 1],
    [3, 0, 5, 1, NONE, 2, NONE, 4],
    [5, 2, NONE, 4, 1, 3, 0, NONE],
];

/// No wire.
pub(super) const NONE: u8 = 0xFF;

/// The targets as the butterfly delivers them: `TARGETS[quad][pair]` names the two boxes of a pair.
/// The sources come in natural order: pair `p` is boxes `2p` and `2p + 1`, quad `q` is pairs `2q`
/// and `2q + 1`.
pub(super) const TARGETS: [[[usize; 2]; 2]; 2] = [[[0, 4], [1, 7]], [[2, 3], [5, 6]]];

/// Masks of the butterfly: a set bit stays on its own side.
pub(super) struct Butterfly {
    /// By source pair: the first box's bits for target quad 0.
    pub quads: [u8; 4],
    /// By source quad and target quad: the first pair's bits for the quad's pair 0.
    pub pairs: [[u8; 2]; 2],
    /// By target quad and pair: source quad 0's bits for the pair's first box.
    pub boxes: [[u8; 2]; 2],
}

/// The one routing in use.
pub(super) const BUTTERFLY: Butterfly = Butterfly::new();

impl Butterfly {
    /// Derives the masks from [`COLOUR`] and [`TARGETS`].
    ///
    /// # Panics
    /// At compile time, if the colouring is not a butterfly.
    const fn new() -> Self {
        let mut b = Self { quads: [0; 4], pairs: [[0; 2]; 2], boxes: [[0; 2]; 2] };
        let mut used = [[0u8; 8]; 2];
        let mut s = 0;
        while s < 8 {
            let mut t = 0;
            while t < 8 {
                let colour = COLOUR[s][t];
                if colour != NONE {
                    let bit = 1 << colour;
                    assert!(
                        used[0][s] & bit == 0 && used[1][t] & bit == 0,
                        "a position is used twice"
                    );
                    used[0][s] |= bit;
                    used[1][t] |= bit;
                    let (quad, pair, side) = place(t);
                    // A wire from the second source sets the same bit when it goes the other way.
                    if quad == s & 1 {
                        b.quads[s / 2] |= bit;
                    }
                    if pair == s >> 1 & 1 {
                        b.pairs[s / 4][quad] |= bit;
                    }
                    if side == s >> 2 {
                        b.boxes[quad][pair] |= bit;
                    }
                }
                t += 1;
            }
            s += 1;
        }
        // Both sides of every exchange must agree on each bit; a disagreement shows as a wire that
        // does not arrive.
        s = 0;
        while s < 8 {
            let mut t = 0;
            while t < 8 {
                if COLOUR[s][t] != NONE {
                    let bit = 1 << COLOUR[s][t];
                    let (quad, pair, side) = place(t);
                    assert!((b.quads[s / 2] & bit != 0) == (quad == s & 1), "no butterfly");
                    assert!(
                        (b.pairs[s / 4][quad] & bit != 0) == (pair == s >> 1 & 1),
                        "no butterfly"
                    );
                    assert!((b.boxes[quad][pair] & bit != 0) == (side == s >> 2), "no butterfly");
                }
                t += 1;
            }
            s += 1;
        }
        b
    }
}

/// Quad, pair and side of target box `t`.
const fn place(t: usize) -> (usize, usize, usize) {
    let mut i = 0;
    while i < 8 {
        if TARGETS[i >> 2][i >> 1 & 1][i & 1] == t {
            return (i >> 2, i >> 1 & 1, i & 1);
        }
        i += 1;
    }
    panic!("every box is a target");
}

/// The S-boxes in wire form: `WIRED[t][i]` holds all six outgoing wires of box `t`, where `i` are
/// its six incoming ones.
pub(super) const WIRED: [[u8; 64]; 8] = {
    let mut wired = [[0; 64]; 8];
    let mut s = 0;
    while s < 8 {
        let mut i = 0;
        while i < 64 {
            wired[s][i] = outgoing(s, fips::sbox(s, gathered(s, i as u8) as usize));
            i += 1;
        }
        s += 1;
    }
    wired
};

/// Bit position, in the byte of box `t`, of its input bit `e` (0–5, the standard's order).
pub(super) const POSITION: [[u8; 6]; 8] = {
    let mut position = [[0; 6]; 8];
    let mut t = 0;
    while t < 8 {
        let mut e = 0;
        while e < 6 {
            position[t][e] = COLOUR[source(t, e).0][t];
            e += 1;
        }
        t += 1;
    }
    position
};

/// Six bits in the standard's order, the first in bit 5, moved to the positions of box `t`.
///
/// Constant time: for round keys.
#[inline(always)]
#[must_use]
pub(super) const fn scattered(t: usize, bits: u8) -> u8 {
    let mut wires = 0;
    let mut e = 0;
    while e < 6 {
        wires |= (bits >> (5 - e) & 1) << POSITION[t][e];
        e += 1;
    }
    wires
}

/// The inverse of [`scattered`].
const fn gathered(t: usize, wires: u8) -> u8 {
    let mut bits = 0;
    let mut e = 0;
    while e < 6 {
        bits |= (wires >> POSITION[t][e] & 1) << (5 - e);
        e += 1;
    }
    bits
}

/// The S-box and its output bit (0–3, the first is the most significant) that feed input `e` of box
/// `t`.
const fn source(t: usize, e: usize) -> (usize, usize) {
    let bit = P[E[6 * t + e] as usize - 1] as usize - 1;
    (bit / 4, bit % 4)
}

/// The four output bits of box `s` on its six outgoing wires.
const fn outgoing(s: usize, value: u8) -> u8 {
    let mut wires = 0;
    let mut i = 0;
    while i < 48 {
        let (from, bit) = source(i / 6, i % 6);
        if from == s {
            wires |= (value >> (3 - bit) & 1) << COLOUR[s][i / 6];
        }
        i += 1;
    }
    wires
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_join_exactly_the_boxes_that_p_and_e_join() {
        let mut wires = [[false; 8]; 8];
        for t in 0..8 {
            for e in 0..6 {
                let from = &mut wires[source(t, e).0][t];
                assert!(!*from, "two wires from one box to another");
                *from = true;
            }
        }
        for (row, colours) in wires.iter().zip(&COLOUR) {
            for (&wire, &colour) in row.iter().zip(colours) {
                assert_eq!(wire, colour != NONE);
                assert!(colour < 6 || colour == NONE);
            }
        }
    }

    #[test]
    fn every_wire_arrives_where_p_and_e_send_it() {
        // The butterfly, one source bit at a time, in plain bytes.
        for s in 0..8 {
            for colour in 0..6 {
                let mut f = [0u8; 8];
                f[s] = 1 << colour;
                let arrived = exchange(&f);
                let target =
                    (0..8).find(|&t| COLOUR[s][t] == colour).expect("six wires leave each box");
                let mut expected = [0; 8];
                expected[target] = 1 << colour;
                assert_eq!(arrived, expected, "box {s}, position {colour}");
            }
        }
    }

    #[test]
    fn wired_boxes_are_the_standard_ones() {
        for s in 0..8 {
            for input in 0..64u8 {
                let wires = WIRED[s][usize::from(scattered(s, input))];
                let value = fips::sbox(s, usize::from(input));
                for (t, positions) in POSITION.iter().enumerate() {
                    for (e, position) in positions.iter().enumerate() {
                        let (from, bit) = source(t, e);
                        if from == s {
                            assert_eq!(wires >> position & 1, value >> (3 - bit) & 1);
                        }
                    }
                }
            }
        }
    }

    fn exchange(f: &[u8; 8]) -> [u8; 8] {
        let choose = |mask: u8, a: u8, b: u8| mask & a | !mask & b;
        let mut x = [[0; 4]; 2];
        for p in 0..4 {
            x[0][p] = choose(BUTTERFLY.quads[p], f[2 * p], f[2 * p + 1]);
            x[1][p] = choose(BUTTERFLY.quads[p], f[2 * p + 1], f[2 * p]);
        }
        let mut out = [0; 8];
        for quad in 0..2 {
            let mut y = [[0; 2]; 2];
            for from in 0..2 {
                let mask = BUTTERFLY.pairs[from][quad];
                y[0][from] = choose(mask, x[quad][2 * from], x[quad][2 * from + 1]);
                y[1][from] = choose(mask, x[quad][2 * from + 1], x[quad][2 * from]);
            }
            for pair in 0..2 {
                let mask = BUTTERFLY.boxes[quad][pair];
                out[TARGETS[quad][pair][0]] = choose(mask, y[pair][0], y[pair][1]);
                out[TARGETS[quad][pair][1]] = choose(mask, y[pair][1], y[pair][0]);
            }
        }
        out
    }
}
