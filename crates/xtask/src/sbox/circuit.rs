//! Circuits of gates for an S-box, and the proof that a circuit is the S-box.

use core::fmt;

use super::gate::{Gate, Library};
use super::table::{self, INPUTS, OUTPUTS};

/// Where one output of the S-box is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The node.
    pub(crate) node: u8,
    /// Whether the output is the complement of the node.
    pub(crate) inverted: bool,
}

/// Gates in the order of computation, and the four outputs, the most significant first.
///
/// Inversions of outputs cost nothing: the caller folds them into its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// Gate `i` is node `6 + i` and reads earlier nodes only.
    pub(crate) gates: Vec<Gate>,
    /// The outputs.
    pub(crate) outputs: [Output; OUTPUTS],
}

impl Circuit {
    /// Shows that this circuit uses gates of `library` only and is S-box `index` (0 for S1) for
    /// all 64 inputs.
    ///
    /// # Errors
    /// The first reason why it is not.
    pub(crate) fn prove(&self, library: Library, index: usize) -> Result<(), Flaw> {
        let mut tables: Vec<u64> = (0..INPUTS).map(table::input).collect();
        for gate in &self.gates {
            let node = tables.len();
            if gate.inputs.iter().any(|&input| usize::from(input) >= node) {
                return Err(Flaw::Order { node });
            }
            if !library.has(*gate) {
                return Err(Flaw::Gate { node, library });
            }
            tables.push(gate.eval(gate.inputs.map(|input| tables[usize::from(input)])));
        }
        for (output, (found, wanted)) in self.outputs.iter().zip(table::outputs(index)).enumerate()
        {
            let Some(&plain) = tables.get(usize::from(found.node)) else {
                return Err(Flaw::Output { output });
            };
            let wrong = plain ^ wanted ^ u64::from(found.inverted).wrapping_neg();
            if wrong != 0 {
                return Err(Flaw::Value { output, input: wrong.trailing_zeros() });
            }
        }
        Ok(())
    }

    /// The same circuit with every node in the polarity that is 0 when all inputs are 0.
    ///
    /// Two-input gates then come down to `and`, `andn`, `or` and `xor`, and an output is inverted
    /// exactly when the S-box has a 1 there for input 0: in every circuit of that S-box alike.
    #[must_use]
    pub(crate) fn zero_preserving(&self) -> Self {
        let mut inverted = vec![false; INPUTS];
        let mut gates = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            let mut turned = *gate;
            for (k, &input) in gate.inputs.iter().enumerate() {
                if inverted[usize::from(input)] {
                    turned = turned.flipped(k);
                }
            }
            let one = turned.lut & 1 == 1;
            inverted.push(one);
            gates.push(if one { turned.complement() } else { turned }.tidy());
        }
        let outputs = self.outputs.map(|Output { node, inverted: was }| Output {
            node,
            inverted: was ^ inverted[usize::from(node)],
        });
        Self { gates, outputs }
    }
}

/// Why a circuit is not the S-box it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A gate of another library.
    Gate {
        /// The gate's node.
        node: usize,
        /// The library it should come from.
        library: Library,
    },
    /// A gate reads a node that is not computed before it.
    Order {
        /// The gate's node.
        node: usize,
    },
    /// An output names a node that does not exist.
    Output {
        /// The output, 0 for the most significant.
        output: usize,
    },
    /// An output is wrong.
    Value {
        /// The output, 0 for the most significant.
        output: usize,
        /// The smallest six-bit input for which it is wrong.
        input: u32,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gate { node, library } => {
                write!(f, "gate n{node} is not one of the {} gates", library.name())
            }
            Self::Order { node } => write!(f, "gate n{node} reads a node that comes later"),
            Self::Output { output } => write!(f, "output {output} names a node that is not there"),
            Self::Value { output, input } => {
                write!(f, "output {output} is wrong for input {input:06b}")
            }
        }
    }
}

impl core::error::Error for Flaw {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbox::{data, gate::Function};

    #[test]
    fn a_changed_gate_is_found() {
        for (library, circuits) in data::shipped() {
            for (index, circuit) in circuits.iter().enumerate() {
                for at in 0..circuit.gates.len() {
                    let mut changed = circuit.clone();
                    changed.gates[at] = Gate::new(Function::Xor, &[0, 1]);
                    if changed.gates[at] == circuit.gates[at] {
                        changed.gates[at] = Gate::new(Function::Or, &[0, 1]);
                    }
                    let flaw = changed.prove(library, index).expect_err("one gate is wrong");
                    assert!(matches!(flaw, Flaw::Value { .. }), "{flaw}");
                }
            }
        }
    }

    #[test]
    fn an_inverted_output_is_found() {
        for (library, circuits) in data::shipped() {
            let mut changed = circuits[3].clone();
            changed.outputs[2].inverted ^= true;
            assert_eq!(changed.prove(library, 3), Err(Flaw::Value { output: 2, input: 0 }));
            assert!(matches!(circuits[3].prove(library, 4), Err(Flaw::Value { .. })));
        }
    }

    #[test]
    fn gates_of_another_library_and_forward_reads_are_found() {
        let (_, circuits) = &data::shipped()[2];
        let flaw = circuits[0].prove(Library::Lut2, 0).expect_err("lut3 gates are no lut2 gates");
        assert!(matches!(flaw, Flaw::Gate { library: Library::Lut2, .. }));

        let mut changed = circuits[0].clone();
        changed.gates[4].inputs[0] = 10;
        assert_eq!(changed.prove(Library::Lut3, 0), Err(Flaw::Order { node: 10 }));
        changed.gates.clear();
        assert!(matches!(changed.prove(Library::Lut3, 0), Err(Flaw::Output { output: 0 })));
    }

    #[test]
    fn polarity_is_a_matter_of_writing() {
        for (library, circuits) in data::shipped() {
            for (index, circuit) in circuits.iter().enumerate() {
                let turned = circuit.zero_preserving();
                // A select of complements is a select no more, but still a gate of three inputs.
                let wider = if library == Library::Select { Library::Lut3 } else { library };
                assert_eq!(turned.prove(wider, index), Ok(()));
                let inverted = turned.outputs.map(|output| u8::from(output.inverted));
                let spelled = inverted.iter().fold(0, |value, bit| value << 1 | bit);
                assert_eq!(spelled, table::lookup(index, 0));
            }
        }
    }
}
