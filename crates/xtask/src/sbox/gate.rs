//! Gates: what they compute, and which of them a kernel has.

/// Which gates a circuit may use. Each gate counts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// The ten functions that depend on two inputs: for portable code and AVX2.
    Lut2,
    /// Those, and `select`: for instruction sets with a bitwise select, such as NEON (`bsl`).
    Select,
    /// Every function of three inputs: for AVX-512 (`vpternlog`).
    Lut3,
}

impl Library {
    /// All libraries.
    pub(crate) const ALL: [Self; 3] = [Self::Lut2, Self::Select, Self::Lut3];

    /// The name on the command line and in file names.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lut2 => "lut2",
            Self::Select => "select",
            Self::Lut3 => "lut3",
        }
    }

    /// The gates, in words.
    #[must_use]
    pub(crate) const fn gates(self) -> &'static str {
        match self {
            Self::Lut2 => "two-input gates",
            Self::Select => "two-input gates and selects",
            Self::Lut3 => "three-input gates",
        }
    }

    /// Whether `gate` is one gate of this library.
    #[must_use]
    pub(crate) fn has(self, gate: Gate) -> bool {
        match gate.function() {
            Function::Lut(_) => self == Self::Lut3,
            Function::Select => self != Self::Lut2,
            _ => true,
        }
    }
}

/// One gate: any function of three nodes. Nodes 0 to 5 are the inputs of the S-box, the most
/// significant first; node 6 is the first gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The nodes it reads. A gate of two inputs names its second input twice.
    pub(crate) inputs: [u8; 3],
    /// Its value for inputs `a b c` is bit `4a + 2b + c`. A gate of two inputs ignores `c`.
    pub(crate) lut: u8,
}

impl Gate {
    /// The gate that computes `function` of the first of `inputs`.
    ///
    /// # Panics
    /// When there are fewer inputs than the function has.
    #[must_use]
    pub(crate) fn new(function: Function, inputs: &[u8]) -> Self {
        let [a, b] = [inputs[0], inputs[1]];
        let c = if function.arity() == 3 { inputs[2] } else { b };
        Self { inputs: [a, b, c], lut: function.lut() }
    }

    /// The simplest name of what this gate computes.
    #[must_use]
    pub(crate) fn function(self) -> Function {
        Function::NAMED
            .into_iter()
            .find(|f| f.lut() == self.lut && (f.arity() == 3 || self.inputs[1] == self.inputs[2]))
            .unwrap_or(Function::Lut(self.lut))
    }

    /// The nodes it reads, in the order of the arguments of [`Gate::function`].
    #[must_use]
    pub(crate) fn operands(&self) -> &[u8] {
        &self.inputs[..self.function().arity()]
    }

    /// Its truth table, from those of its inputs.
    #[inline]
    #[must_use]
    pub(crate) const fn eval(self, [a, b, c]: [u64; 3]) -> u64 {
        const fn pick(s: u64, ones: u64, zeros: u64) -> u64 {
            zeros ^ (s & (ones ^ zeros))
        }
        const fn bit(lut: u8, cell: u8) -> u64 {
            ((lut >> cell & 1) as u64).wrapping_neg()
        }
        let lut = self.lut;
        let a0b0 = pick(c, bit(lut, 1), bit(lut, 0));
        let a0b1 = pick(c, bit(lut, 3), bit(lut, 2));
        let a1b0 = pick(c, bit(lut, 5), bit(lut, 4));
        let a1b1 = pick(c, bit(lut, 7), bit(lut, 6));
        pick(a, pick(b, a1b1, a1b0), pick(b, a0b1, a0b0))
    }

    /// The same gate if input `k` were always `value`.
    #[must_use]
    pub(crate) const fn fixed(self, k: usize, value: bool) -> Self {
        let (ones, zeros, half) = (self.lut & CELLS[k], self.lut & !CELLS[k], 4 >> k);
        let lut = if value { ones | ones >> half } else { zeros | zeros << half };
        Self { lut, ..self }
    }

    /// The gate that reads the complement of input `k`.
    #[must_use]
    pub(crate) const fn flipped(self, k: usize) -> Self {
        let (ones, zeros, half) = (self.lut & CELLS[k], self.lut & !CELLS[k], 4 >> k);
        Self { lut: ones >> half | zeros << half, ..self }
    }

    /// The complement of the gate.
    #[must_use]
    pub(crate) const fn complement(self) -> Self {
        Self { lut: !self.lut, ..self }
    }

    /// Whether input `k` makes no difference.
    #[must_use]
    pub(crate) const fn ignores(self, k: usize) -> bool {
        self.lut == self.flipped(k).lut
    }

    /// The one way to write a gate: repeated and ignored inputs last, the others in rising order
    /// unless the function has a name with another order.
    #[must_use]
    pub(crate) fn tidy(mut self) -> Self {
        for (j, k) in [(0, 1), (0, 2), (1, 2)] {
            if self.inputs[j] == self.inputs[k] {
                let ones = self.fixed(k, true).lut & CELLS[j];
                self.lut = ones | self.fixed(k, false).lut & !CELLS[j];
            }
        }
        let mut order = [0, 1, 2];
        order.sort_by_key(|&k| (self.ignores(k), self.inputs[k]));
        let gate = self.reordered(order);
        let orders: &[_] = if gate.ignores(2) {
            &[[0, 1, 2], [1, 0, 2]]
        } else {
            &[[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        };
        orders
            .iter()
            .map(|&order| gate.reordered(order))
            .find(|gate| !matches!(gate.function(), Function::Lut(_)))
            .unwrap_or(gate)
    }

    /// The same gate written with its input `order[k]` as input `k`.
    fn reordered(self, order: [usize; 3]) -> Self {
        let lut = (0..8u8).fold(0, |lut, cell| {
            let bit = |k: usize| {
                if cell & (4 >> k) == 0 { 0 } else { 4u8 >> order[k] }
            };
            lut | (self.lut >> (bit(0) | bit(1) | bit(2)) & 1) << cell
        });
        let mut gate = Self { inputs: order.map(|k| self.inputs[k]), lut };
        if gate.ignores(2) {
            gate.inputs[2] = gate.inputs[1];
        }
        gate
    }
}

/// What a gate computes, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// `a & b`
    And,
    /// `a & !b`
    AndNot,
    /// `a | b`
    Or,
    /// `a ^ b`
    Xor,
    /// `!(a & b)`
    Nand,
    /// `a | !b`
    OrNot,
    /// `!(a | b)`
    Nor,
    /// `!(a ^ b)`
    Xnor,
    /// `a ? b : c`
    Select,
    /// Any other function of three inputs, as [`Gate::lut`] has it.
    Lut(u8),
}

impl Function {
    /// The functions that have a name of their own.
    pub(crate) const NAMED: [Self; 9] = [
        Self::And,
        Self::AndNot,
        Self::Or,
        Self::Xor,
        Self::Nand,
        Self::OrNot,
        Self::Nor,
        Self::Xnor,
        Self::Select,
    ];

    /// The name in data files.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::AndNot => "andn",
            Self::Or => "or",
            Self::Xor => "xor",
            Self::Nand => "nand",
            Self::OrNot => "orn",
            Self::Nor => "nor",
            Self::Xnor => "xnor",
            Self::Select => "select",
            Self::Lut(_) => "lut",
        }
    }

    /// How many inputs it has.
    #[must_use]
    pub(crate) const fn arity(self) -> usize {
        match self {
            Self::Select | Self::Lut(_) => 3,
            _ => 2,
        }
    }

    /// Its value for all inputs, in the form of [`Gate::lut`].
    #[must_use]
    pub(crate) const fn lut(self) -> u8 {
        const A: u8 = CELLS[0];
        const B: u8 = CELLS[1];
        const C: u8 = CELLS[2];
        match self {
            Self::And => A & B,
            Self::AndNot => A & !B,
            Self::Or => A | B,
            Self::Xor => A ^ B,
            Self::Nand => !(A & B),
            Self::OrNot => A | !B,
            Self::Nor => !(A | B),
            Self::Xnor => !(A ^ B),
            Self::Select => (A & B) | (!A & C),
            Self::Lut(lut) => lut,
        }
    }
}

/// The bits of a lut for which input `a`, `b`, `c` is 1.
const CELLS: [u8; 3] = [0b1111_0000, 0b1100_1100, 0b1010_1010];

#[cfg(test)]
mod tests {
    use super::*;

    /// Truth tables of three independent nodes.
    const TABLES: [u64; 3] = [0xf0, 0xcc, 0xaa];

    fn eval(gate: Gate) -> u64 {
        gate.eval(gate.inputs.map(|i| TABLES[usize::from(i)])) & 0xff
    }

    fn gates() -> impl Iterator<Item = Gate> {
        (0..=u8::MAX)
            .flat_map(|lut| (0..27).map(move |n| Gate { inputs: [n / 9, n / 3 % 3, n % 3], lut }))
    }

    #[test]
    fn eval_follows_the_lut() {
        for lut in 0..=u8::MAX {
            assert_eq!(eval(Gate { inputs: [0, 1, 2], lut }), u64::from(lut));
        }
    }

    #[test]
    fn tidy_gates_keep_their_value() {
        for gate in gates() {
            assert_eq!(eval(gate), eval(gate.tidy()), "{gate:?}");
            assert_eq!(gate.tidy(), gate.tidy().tidy(), "{gate:?}");
        }
    }

    #[test]
    fn every_function_of_two_inputs_has_a_name() {
        for gate in gates() {
            let ignored = (0..3).filter(|&k| gate.ignores(k)).count();
            let distinct = gate.inputs == [0, 1, 2];
            if distinct && ignored == 1 {
                assert!(Library::Lut2.has(gate.tidy()), "{gate:?}");
            }
        }
    }

    #[test]
    fn fixed_and_flipped_are_what_they_say() {
        for lut in 0..=u8::MAX {
            let gate = Gate { inputs: [0, 1, 2], lut };
            for k in 0..3 {
                let eval_with = |value: u64| {
                    let mut tables = TABLES;
                    tables[k] = value;
                    gate.eval(tables) & 0xff
                };
                assert_eq!(eval(gate.fixed(k, false)), eval_with(0));
                assert_eq!(eval(gate.fixed(k, true)), eval_with(u64::MAX));
                assert_eq!(eval(gate.flipped(k)), eval_with(!TABLES[k]));
            }
        }
    }
}
