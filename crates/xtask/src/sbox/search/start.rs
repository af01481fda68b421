//! A first circuit: each output as a tree of multiplexers over the inputs, after Kwan.

use super::fit::{Fit, Index};
use super::net::{Net, Target};
use super::nodes::{self, Nodes};
use super::rng::Rng;
use super::walk::LEN_MAX;
use crate::sbox::circuit::{Circuit, Output};
use crate::sbox::gate::{Function, Gate, Library};
use crate::sbox::table::{self, INPUTS, OUTPUTS};

/// A correct circuit for S-box `index`, made in one go: the outputs in random order, each as a
/// tree of multiplexers on inputs in random order. A branch ends as soon as a node so far, or one
/// gate of such nodes, has the wanted value wherever the branch is taken.
#[must_use]
pub(crate) fn start(library: Library, index: usize, rng: &mut Rng) -> Net {
    loop {
        if let Some(net) = attempt(library, index, rng) {
            return net;
        }
    }
}

fn attempt(library: Library, index: usize, rng: &mut Rng) -> Option<Net> {
    let mut tree = Tree { library, rng, index: Index::new(), gates: Vec::new() };
    for i in 0..INPUTS {
        tree.index.push(table::input(i));
    }
    let mut order: [usize; OUTPUTS] = [0, 1, 2, 3];
    for i in (1..OUTPUTS).rev() {
        order.swap(i, tree.rng.below(i + 1));
    }
    let mut outputs = [Output { node: 0, inverted: false }; OUTPUTS];
    for i in order {
        let table = table::outputs(index)[i];
        outputs[i] = tree.grow(Target { ones: table, zeros: !table }, Nodes::below(INPUTS))?;
    }
    Net::new(library, &Circuit { gates: tree.gates, outputs }).filter(|net| net.len() <= LEN_MAX)
}

struct Tree<'a> {
    library: Library,
    rng: &'a mut Rng,
    index: Index,
    gates: Vec<Gate>,
}

impl Tree<'_> {
    /// A node that meets the target or its complement; `inputs` are still to be branched on.
    /// `None` when the tree has grown out of bounds.
    fn grow(&mut self, target: Target, inputs: Nodes) -> Option<Output> {
        let divisors = Nodes::below(INPUTS + self.gates.len());
        let mut seen = 0;
        let mut best: Option<Fit> = None;
        let rng = &mut *self.rng;
        self.index.fits(self.library, target, divisors, |fit| {
            let shorter = best.is_none_or(|best| fit.len < best.len);
            seen = if shorter { 1 } else { seen + 1 };
            if shorter || (best.is_some_and(|best| fit.len == best.len) && rng.one_in(seen)) {
                best = Some(fit);
            }
        });
        match best {
            Some(Fit { len: 1, inputs: [node, ..] }) => {
                return Some(Output { node, inverted: !target.is_met(self.index.table(node)) });
            }
            Some(fit) => {
                let gate = self.index.gate(self.library, target, fit, self.rng);
                let inverted = !target.is_met(self.index.eval(gate));
                return self.push(gate).map(|node| Output { node, inverted });
            }
            None => {}
        }
        let s = inputs.into_iter().nth(self.rng.below(inputs.len()))?;
        let rest = inputs.without(s);
        let [when1, when0] = self.index.split(target, s);
        let zeros = self.grow(when0, rest)?;
        let node = if self.library == Library::Lut2 {
            // zeros ^ (s & change)
            let wrong = when1.missed_by(self.value(zeros));
            let right = (when1.ones | when1.zeros) & !wrong;
            let change = self.grow(Target { ones: wrong, zeros: right }, rest)?;
            let change = self.and(s, change)?;
            let function = if zeros.inverted { Function::Xnor } else { Function::Xor };
            self.push(Gate::new(function, &[zeros.node, change]))?
        } else {
            let ones = self.grow(when1, rest)?;
            let inputs = [s, ones.node, zeros.node];
            let mut gate = Gate::new(Function::Select, &inputs);
            if self.library == Library::Lut3 {
                let tables = inputs.map(|node| self.index.table(node));
                gate.lut = target.solve(tables, 0);
                self.push(gate)?
            } else if ones.inverted == zeros.inverted {
                self.push(if ones.inverted { gate.complement() } else { gate })?
            } else {
                // A select has no complements as inputs: (ones & s) | (zeros & !s)
                let ones = self.and(s, ones)?;
                let not_s = self.push(Gate::new(Function::Nor, &[s, s]))?;
                let zeros = self.and(not_s, zeros)?;
                self.push(Gate::new(Function::Or, &[ones, zeros]))?
            }
        };
        Some(Output { node, inverted: false })
    }

    fn value(&self, signal: Output) -> u64 {
        self.index.table(signal.node) ^ u64::from(signal.inverted).wrapping_neg()
    }

    fn and(&mut self, node: u8, signal: Output) -> Option<u8> {
        let function = if signal.inverted { Function::AndNot } else { Function::And };
        self.push(Gate::new(function, &[node, signal.node]))
    }

    fn push(&mut self, gate: Gate) -> Option<u8> {
        let node = INPUTS + self.gates.len();
        if node == Nodes::NODES_MAX {
            return None;
        }
        self.index.push(self.index.eval(gate));
        self.gates.push(gate);
        Some(nodes::node(node))
    }
}
