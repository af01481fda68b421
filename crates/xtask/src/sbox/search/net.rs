//! A circuit in the form in which it is searched: with the truth table of every node.

use super::nodes::{self, Nodes};
use crate::sbox::circuit::{Circuit, Output};
use crate::sbox::gate::{Gate, Library};
use crate::sbox::table::{self, INPUTS, OUTPUTS};

/// A circuit with the truth tables of its nodes. Every gate is used, no two nodes are equal or
/// complements, and no node is constant.
///
/// Except for [`Library::Select`], every node is 0 when all inputs are 0. With that, four gates
/// (and, and-not, or, xor) are as good as all ten functions of two inputs.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    library: Library,
    gates: Vec<Gate>,
    outputs: [Output; OUTPUTS],
    tables: Vec<u64>,
}

/// What a new node must compute, where that matters. The rest of the 64 inputs is free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The inputs for which it must be 1.
    pub(crate) ones: u64,
    /// The inputs for which it must be 0.
    pub(crate) zeros: u64,
}

/// What is known about a gate that may be replaced.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What a replacement must compute: the gate's own value wherever an output depends on it.
    pub(crate) target: Target,
    /// The nodes that do not depend on the gate, so that a replacement may read them.
    pub(crate) divisors: Nodes,
    /// The gates, with this one, that nothing would use if it were gone.
    pub(crate) idle: Nodes,
}

impl Net {
    /// The net of a circuit, cleaned of gates that are not used or not needed. `None` when the
    /// circuit is too large to be searched, or needs a gate that the library does not have.
    #[must_use]
    pub(crate) fn new(library: Library, circuit: &Circuit) -> Option<Self> {
        if INPUTS + circuit.gates.len() > Nodes::NODES_MAX {
            return None;
        }
        let mut tables: Vec<u64> = (0..INPUTS).map(table::input).collect();
        for gate in &circuit.gates {
            tables.push(gate.eval(gate.inputs.map(|i| tables[usize::from(i)])));
        }
        let Circuit { gates, outputs } = circuit.clone();
        Self { library, gates, outputs, tables }.replace(u8::MAX, &[])
    }

    /// The circuit, with the inputs of symmetric gates in rising order.
    #[must_use]
    pub(crate) fn circuit(&self) -> Circuit {
        let gates = self.gates.iter().map(|gate| gate.tidy()).collect();
        Circuit { gates, outputs: self.outputs }
    }

    /// The number of gates.
    #[inline]
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        self.gates.len()
    }

    /// The number of inputs and gates.
    #[inline]
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    /// The gate `node`.
    #[inline]
    #[must_use]
    pub(crate) fn gate(&self, node: u8) -> Gate {
        self.gates[usize::from(node) - INPUTS]
    }

    /// The library of the gates.
    #[inline]
    #[must_use]
    pub(crate) fn library(&self) -> Library {
        self.library
    }

    /// The truth table of `node`.
    #[inline]
    #[must_use]
    pub(crate) fn table(&self, node: u8) -> u64 {
        self.tables[usize::from(node)]
    }

    /// What must be known to replace the gate `node`.
    #[must_use]
    pub(crate) fn place(&self, node: u8) -> Place {
        let above = usize::from(node) + 1;
        // Flip the gate and see what follows.
        let mut flipped = [0; Nodes::NODES_MAX];
        flipped[..self.len()].copy_from_slice(&self.tables);
        flipped[usize::from(node)] ^= u64::MAX;
        let mut changed = Nodes::one(node);
        for at in above..self.len() {
            let gate = self.gates[at - INPUTS];
            if gate.inputs.iter().any(|&i| changed.has(i)) {
                changed = changed | Nodes::one(nodes::node(at));
                flipped[at] = gate.eval(gate.inputs.map(|i| flipped[usize::from(i)]));
            }
        }
        let care = self.outputs.iter().fold(0, |care, output| {
            let at = usize::from(output.node);
            care | (flipped[at] ^ self.tables[at])
        });
        // Find what is still used without the gate.
        let mut used = self.output_nodes();
        for at in (INPUTS..self.len()).rev() {
            if used.has(nodes::node(at)) && at != usize::from(node) {
                used = used | self.inputs_of(at);
            }
        }
        let used = used.without(node);
        let table = self.table(node);
        Place {
            target: Target { ones: table & care, zeros: !table & care },
            divisors: Nodes::below(self.len()) & !changed,
            idle: Nodes::below(self.len()) & !used & !Nodes::below(INPUTS),
        }
    }

    /// For every node, the gates that must be kept for it.
    pub(crate) fn cones(&self, cones: &mut [Nodes; Nodes::NODES_MAX]) {
        cones[..INPUTS].fill(Nodes::EMPTY);
        for at in INPUTS..self.len() {
            let gate = self.gates[at - INPUTS];
            cones[at] = gate
                .inputs
                .iter()
                .fold(Nodes::one(nodes::node(at)), |cone, &i| cone | cones[usize::from(i)]);
        }
    }

    /// The truth tables of all nodes.
    #[inline]
    #[must_use]
    pub(crate) fn tables(&self) -> &[u64] {
        &self.tables
    }

    /// The net in which the last of `new` takes the place of gate `node`. The gates of `new` are
    /// nodes from [`Net::len`] on. Gates without use are dropped, equal nodes merged. `None` when
    /// an inversion is left over that the library cannot hide in a gate.
    #[must_use]
    pub(crate) fn replace(&self, node: u8, new: &[Gate]) -> Option<Self> {
        let mut builder = Builder {
            old: self,
            node,
            new,
            done: [None; Nodes::NODES_MAX],
            net: Self {
                library: self.library,
                gates: Vec::with_capacity(self.size() + new.len()),
                outputs: self.outputs,
                tables: Vec::with_capacity(self.len() + new.len()),
            },
        };
        builder.net.tables.extend_from_slice(&self.tables[..INPUTS]);
        for i in 0..OUTPUTS {
            let output = self.outputs[i];
            match builder.build(output.node)? {
                Signal::Node { node, inverted } => {
                    let inverted = inverted ^ output.inverted;
                    builder.net.outputs[i] = Output { node, inverted };
                }
                Signal::Constant(_) => unreachable!("no output of an S-box is constant"),
            }
        }
        Some(builder.net)
    }

    /// Adds a gate of new nodes if no node has its value yet, and says where that value is found.
    /// `None` when the library has no such gate.
    fn add(&mut self, old: Gate, inputs: [Signal; 3]) -> Option<Signal> {
        let mut gate = old;
        for (k, signal) in inputs.into_iter().enumerate() {
            match signal {
                Signal::Constant(value) => {
                    gate.inputs[k] = 0;
                    gate = gate.fixed(k, value);
                }
                Signal::Node { node, inverted } => {
                    gate.inputs[k] = node;
                    if inverted {
                        gate = gate.flipped(k);
                    }
                }
            }
        }
        let table = gate.eval(gate.inputs.map(|i| self.table(i)));
        if table == 0 || table == u64::MAX {
            return Some(Signal::Constant(table != 0));
        }
        if let Some(at) = self.tables.iter().position(|&t| t == table || t == !table) {
            let inverted = self.tables[at] != table;
            return Some(Signal::Node { node: nodes::node(at), inverted });
        }
        // Most gates only move to another place; they are as tidy as they were.
        let [a, b, c] = gate.inputs;
        let moved = gate.lut == old.lut && a != b && a != c && (b == c) == gate.ignores(2);
        if !moved {
            gate = gate.tidy();
        }
        let inverted = match self.library {
            Library::Select => !self.library.has(gate),
            Library::Lut2 | Library::Lut3 => table & 1 == 1,
        };
        if inverted {
            gate = gate.complement().tidy();
        }
        if self.len() == Nodes::NODES_MAX || !(moved && !inverted || self.library.has(gate)) {
            return None;
        }
        self.gates.push(gate);
        self.tables.push(if inverted { !table } else { table });
        Some(Signal::Node { node: nodes::node(self.len() - 1), inverted })
    }

    fn output_nodes(&self) -> Nodes {
        self.outputs.iter().fold(Nodes::EMPTY, |set, output| set | Nodes::one(output.node))
    }

    #[inline]
    fn inputs_of(&self, at: usize) -> Nodes {
        let [a, b, c] = self.gates[at - INPUTS].inputs;
        Nodes::one(a) | Nodes::one(b) | Nodes::one(c)
    }
}

impl Target {
    /// Whatever the node computes will do.
    pub(crate) const FREE: Self = Self { ones: 0, zeros: 0 };

    /// An input at which the node must be 1 and one at which it must be 0, if it may not be
    /// constant. One of the inputs of its gate must tell the two apart.
    #[inline]
    #[must_use]
    pub(crate) const fn clash(self) -> Option<(usize, usize)> {
        if self.ones == 0 || self.zeros == 0 {
            return None;
        }
        Some((self.ones.trailing_zeros() as usize, self.zeros.trailing_zeros() as usize))
    }

    /// The target within a part of the inputs.
    #[inline]
    #[must_use]
    pub(crate) const fn within(self, part: u64) -> Self {
        Self { ones: self.ones & part, zeros: self.zeros & part }
    }

    /// The target of the complement.
    #[inline]
    #[must_use]
    pub(crate) const fn inverted(self) -> Self {
        Self { ones: self.zeros, zeros: self.ones }
    }

    /// Both targets at once; they must not contradict each other.
    #[inline]
    #[must_use]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self { ones: self.ones | other.ones, zeros: self.zeros | other.zeros }
    }

    /// The inputs for which a node with this table is not what it must be.
    #[inline]
    #[must_use]
    pub(crate) const fn missed_by(self, table: u64) -> u64 {
        self.ones & !table | self.zeros & table
    }

    /// Whether a node with this table would do.
    #[inline]
    #[must_use]
    pub(crate) const fn is_met(self, table: u64) -> bool {
        self.missed_by(table) == 0
    }

    /// The gate of these inputs that meets the target; `free` chooses what the target leaves open.
    #[inline]
    #[must_use]
    pub(crate) fn solve(self, [a, b, c]: [u64; 3], free: u8) -> u8 {
        let mut lut = 0;
        for cell in 0..8u8 {
            let side = |bit: u8, table: u64| if cell >> bit & 1 == 1 { table } else { !table };
            let part = self.within(side(2, a) & side(1, b) & side(0, c));
            let open = part.ones == 0 && part.zeros == 0;
            let bit = if open { free >> cell & 1 } else { u8::from(part.ones != 0) };
            lut |= bit << cell;
        }
        lut
    }
}

#[derive(Clone, Copy, Debug)]
enum Signal {
    Constant(bool),
    Node { node: u8, inverted: bool },
}

struct Builder<'a> {
    old: &'a Net,
    node: u8,
    new: &'a [Gate],
    done: [Option<Signal>; Nodes::NODES_MAX],
    net: Net,
}

impl Builder<'_> {
    /// Builds what `node` of the old net needs, and says what became of it.
    fn build(&mut self, node: u8) -> Option<Signal> {
        let at = usize::from(node);
        if at < INPUTS {
            return Some(Signal::Node { node, inverted: false });
        }
        if let Some(signal) = self.done[at] {
            return Some(signal);
        }
        let signal = if node == self.node {
            self.build(nodes::node(self.old.len() + self.new.len() - 1))?
        } else {
            let gate = match at.checked_sub(self.old.len()) {
                None => self.old.gates[at - INPUTS],
                Some(new) => self.new[new],
            };
            let [a, b, c] = gate.inputs;
            let a = self.build(a)?;
            let b = self.build(b)?;
            let c = self.build(c)?;
            self.net.add(gate, [a, b, c])?
        };
        self.done[at] = Some(signal);
        Some(signal)
    }
}
