//! All gates that meet a target, found by what tells its ones from its zeros.

use super::net::{Net, Target};
use super::nodes::{self, Nodes};
use super::rng::Rng;
use crate::sbox::gate::{Function, Gate, Library};

/// The nodes of a net, arranged for the enumeration.
#[derive(Debug)]
pub(crate) struct Index {
    /// For each of the 64 inputs of the S-box, the nodes that are 1.
    columns: [Nodes; 64],
    /// For every node, the gates that must be kept for it.
    cones: [Nodes; Nodes::NODES_MAX],
    /// For every node, its truth table.
    tables: [u64; Nodes::NODES_MAX],
    len: usize,
}

/// The inputs of a gate that can meet a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    /// The inputs, the last repeated where there are fewer than three.
    pub(crate) inputs: [u8; 3],
    /// How many count: 0 for a constant, 1 for a node or its complement.
    pub(crate) len: usize,
}

impl Index {
    /// An index of nothing.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self {
            columns: [Nodes::EMPTY; 64],
            cones: [Nodes::EMPTY; Nodes::NODES_MAX],
            tables: [0; Nodes::NODES_MAX],
            len: 0,
        }
    }

    /// Makes this the index of `net`.
    pub(crate) fn read(&mut self, net: &Net) {
        self.len = net.len();
        self.tables[..self.len].copy_from_slice(net.tables());
        nodes::columns(net.tables(), &mut self.columns);
        net.cones(&mut self.cones);
        self.cones[self.len] = Nodes::EMPTY;
    }

    /// The number of a node that would come next.
    #[inline]
    #[must_use]
    pub(crate) const fn next(&self) -> u8 {
        nodes::node(self.len)
    }

    /// Gives the next node a truth table, for [`Index::gate`]; the enumeration ignores it.
    pub(crate) const fn set_next(&mut self, table: u64) {
        self.tables[self.len] = table;
    }

    /// Adds a node that the enumeration may use.
    pub(crate) fn push(&mut self, table: u64) {
        let node = Nodes::one(nodes::node(self.len));
        for (v, column) in self.columns.iter_mut().enumerate() {
            if table >> v & 1 == 1 {
                *column = *column | node;
            }
        }
        self.tables[self.len] = table;
        self.len += 1;
    }

    /// The truth table of `node`.
    #[inline]
    #[must_use]
    pub(crate) const fn table(&self, node: u8) -> u64 {
        self.tables[node as usize]
    }

    /// The gates that must be kept for `node`.
    #[inline]
    #[must_use]
    pub(crate) const fn cone(&self, node: u8) -> Nodes {
        self.cones[node as usize]
    }

    /// The truth table of a gate.
    #[inline]
    #[must_use]
    pub(crate) fn eval(&self, gate: Gate) -> u64 {
        gate.eval(gate.inputs.map(|node| self.table(node)))
    }

    /// Calls `visit` with the sets of `divisors` of which a gate of `library` can meet the target;
    /// nodes are not added to a set that is enough.
    #[inline]
    pub(crate) fn fits(
        &self,
        library: Library,
        target: Target,
        divisors: Nodes,
        mut visit: impl FnMut(Fit),
    ) {
        let Some(first) = target.clash() else {
            return visit(Fit { inputs: [0; 3], len: 0 });
        };
        if library == Library::Select {
            self.selects(target, divisors, &mut visit);
        }
        // A gate tells ones from zeros, so one of its inputs tells the first one from the first
        // zero; and so on for what is still mixed when that input is known.
        let mut rest = divisors;
        for a in divisors & self.telling(first) {
            rest = rest.without(a);
            let parts = self.split(target, a);
            let Some(second) = parts[0].clash().or(parts[1].clash()) else {
                visit(Fit { inputs: [a; 3], len: 1 });
                continue;
            };
            if library == Library::Lut3 {
                self.triples(a, parts, rest & self.telling(second), rest, &mut visit);
                continue;
            }
            for b in self.dividers(&parts, rest) {
                visit(Fit { inputs: [a, b, b], len: 2 });
            }
        }
    }

    /// The nodes that meet a target as they are.
    #[inline]
    #[must_use]
    pub(crate) fn meeting(&self, target: Target, mut nodes: Nodes) -> Nodes {
        for (mut inputs, turn) in [(target.ones, false), (target.zeros, true)] {
            while inputs != 0 && !nodes.is_empty() {
                let column = self.columns[inputs.trailing_zeros() as usize];
                nodes = nodes & if turn { !column } else { column };
                inputs &= inputs - 1;
            }
        }
        nodes
    }

    /// The gate for a fit. Where the target leaves its value open, chance decides.
    #[must_use]
    pub(crate) fn gate(&self, library: Library, target: Target, fit: Fit, rng: &mut Rng) -> Gate {
        if library == Library::Select && fit.len == 3 {
            let gate = Gate::new(Function::Select, &fit.inputs);
            let met = target.is_met(self.eval(gate));
            return if met { gate } else { gate.complement() };
        }
        let tables = fit.inputs.map(|node| self.table(node));
        Gate { inputs: fit.inputs, lut: target.solve(tables, rng.byte()) }
    }

    /// The two parts of a target: where `node` is 1 and where it is 0.
    #[inline]
    #[must_use]
    pub(crate) const fn split(&self, target: Target, node: u8) -> [Target; 2] {
        let table = self.table(node);
        [target.within(table), target.within(!table)]
    }

    #[inline]
    fn triples(
        &self,
        a: u8,
        [a1, a0]: [Target; 2],
        second: Nodes,
        mut rest: Nodes,
        visit: &mut impl FnMut(Fit),
    ) {
        for b in second {
            rest = rest.without(b);
            let [a1b1, a1b0] = self.split(a1, b);
            let [a0b1, a0b0] = self.split(a0, b);
            let parts = [a1b1, a1b0, a0b1, a0b0];
            if parts.iter().all(|part| part.clash().is_none()) {
                visit(Fit { inputs: [a, b, b], len: 2 });
                continue;
            }
            for c in self.dividers(&parts, rest) {
                visit(Fit { inputs: [a, b, c], len: 3 });
            }
        }
    }

    /// Selects of three nodes.
    #[inline]
    fn selects(&self, target: Target, divisors: Nodes, visit: &mut impl FnMut(Fit)) {
        for s in divisors {
            let [when1, when0] = self.split(target, s);
            if when1.clash().is_none() || when0.clash().is_none() {
                continue;
            }
            for (when1, when0) in [(when1, when0), (when1.inverted(), when0.inverted())] {
                for a in self.meeting(when1, divisors) {
                    for b in self.meeting(when0, divisors) {
                        visit(Fit { inputs: [s, a, b], len: 3 });
                    }
                }
            }
        }
    }

    /// The nodes that tell the two inputs apart.
    #[inline]
    fn telling(&self, (one, zero): (usize, usize)) -> Nodes {
        self.columns[one] ^ self.columns[zero]
    }

    /// Those of `nodes` that tell the ones of every part from its zeros.
    #[inline]
    fn dividers(&self, parts: &[Target], mut nodes: Nodes) -> impl Iterator<Item = u8> {
        for part in parts {
            if let Some(clash) = part.clash() {
                nodes = nodes & self.telling(clash);
            }
        }
        nodes.into_iter().filter(|&node| {
            parts.iter().all(|&part| {
                let [when1, when0] = self.split(part, node);
                when1.clash().is_none() && when0.clash().is_none()
            })
        })
    }
}

impl Fit {
    /// The inputs, each once.
    #[inline]
    #[must_use]
    pub(crate) fn nodes(&self) -> &[u8] {
        &self.inputs[..self.len]
    }
}
