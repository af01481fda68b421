//! A random walk through the circuits of one S-box, biased towards small ones.

use super::fit::{Fit, Index};
use super::net::{Net, Place, Target};
use super::nodes::{self, Nodes};
use super::rng::Rng;
use crate::sbox::gate::{Gate, Library};
use crate::sbox::table::INPUTS;

/// A net on its way through random changes.
#[derive(Debug)]
pub(crate) struct Walk {
    net: Net,
    index: Index,
    rng: Rng,
    frames: Vec<Frame>,
}

/// A gate with one input missing: what the missing node must compute for the gate to meet its
/// target.
#[derive(Clone, Copy, Debug)]
struct Frame {
    inner: Target,
    outer: Fit,
}

impl Walk {
    /// A walk that starts with `net`.
    #[must_use]
    pub(crate) fn new(net: Net, rng: Rng) -> Self {
        let mut walk = Self { net, index: Index::new(), rng, frames: Vec::new() };
        walk.index.read(&walk.net);
        walk
    }

    /// Where the walk is.
    #[must_use]
    pub(crate) fn net(&self) -> &Net {
        &self.net
    }

    /// Takes a random gate and puts another in its place, or two. The net does not grow, but for
    /// one gate with probability `growth` when two gates are tried.
    pub(crate) fn step(&mut self, growth: f64) {
        let node = nodes::node(INPUTS + self.rng.below(self.net.size()));
        let place = self.net.place(node);
        let new = if self.rng.one_in(TWO_GATES_ONE_IN) {
            let room = usize::from(self.net.len() < LEN_MAX && self.rng.chance(growth));
            self.two_gates(node, &place, room)
        } else {
            self.one_gate(&place)
        };
        // No answer when the library cannot hide an inversion that the change leaves over.
        if let Some(net) = new.and_then(|new| self.net.replace(node, &new)) {
            self.index.read(&net);
            self.net = net;
        }
    }

    /// A random gate for the place.
    fn one_gate(&mut self, place: &Place) -> Option<Vec<Gate>> {
        let library = self.net.library();
        let mut choice = Choice::new(place.idle.len(), &mut self.rng);
        self.index.fits(library, place.target, place.divisors, |fit| {
            choice.offer(kept(&self.index, place, Nodes::EMPTY, fit).len(), fit);
        });
        let fit = choice.made?;
        let gate = self.index.gate(library, place.target, fit, &mut self.rng);
        if library == Library::Select && self.rng.one_in(2) {
            // Elsewhere polarity is fixed; here either may suit the selects around.
            let node = self.index.next();
            return Some(vec![gate.complement(), Gate { inputs: [node; 3], lut: 0x0f }]);
        }
        Some(vec![gate])
    }

    /// Two random gates for the place of one, if the net does not grow by more than `room`.
    fn two_gates(&mut self, node: u8, place: &Place, room: usize) -> Option<Vec<Gate>> {
        let library = self.net.library();
        let kept_max = (place.idle.len() + room).checked_sub(2)?;
        self.frames.clear();
        match library {
            Library::Lut2 => self.two_input_frames(place),
            Library::Select => {
                self.two_input_frames(place);
                self.select_frames(place);
            }
            Library::Lut3 => self.three_input_frames(node, place),
        }
        let mut choice = Choice::new(kept_max, &mut self.rng);
        for &frame in &self.frames {
            let outer = kept(&self.index, place, Nodes::EMPTY, frame.outer);
            if outer.len() > kept_max {
                continue;
            }
            self.index.fits(library, frame.inner, place.divisors, |fit| {
                if fit.len > 1 {
                    choice.offer(kept(&self.index, place, outer, fit).len(), (frame, fit));
                }
            });
        }
        let (frame, fit) = choice.made?;
        let inner = self.index.gate(library, frame.inner, fit, &mut self.rng);
        self.index.set_next(self.index.eval(inner));
        let outer = self.index.gate(library, place.target, frame.outer, &mut self.rng);
        Some(vec![inner, outer])
    }

    /// Gates of the new node and one that is there.
    fn two_input_frames(&mut self, place: &Place) {
        let new = self.index.next();
        for node in place.divisors {
            let [when1, when0] = self.index.split(place.target, node);
            let inner = match (when1.clash(), when0.clash()) {
                // As a xor: with equal polarity in both parts the new node alone would do.
                (Some(_), Some(_)) => when1.with(when0.inverted()),
                (Some(_), None) => when1,
                (None, Some(_)) => when0,
                (None, None) => continue,
            };
            self.frames.push(Frame { inner, outer: Fit { inputs: [new, node, node], len: 2 } });
        }
    }

    /// Selects of the new node and two that are there.
    fn select_frames(&mut self, place: &Place) {
        let new = self.index.next();
        let divisors = place.divisors;
        for target in [place.target, place.target.inverted()] {
            for s in divisors {
                let [when1, when0] = self.index.split(target, s);
                if when1.clash().is_none() || when0.clash().is_none() {
                    continue;
                }
                for zeros in self.index.meeting(when0, divisors) {
                    let outer = Fit { inputs: [s, new, zeros], len: 3 };
                    self.frames.push(Frame { inner: when1, outer });
                }
                for ones in self.index.meeting(when1, divisors) {
                    let outer = Fit { inputs: [s, ones, new], len: 3 };
                    self.frames.push(Frame { inner: when0, outer });
                }
            }
            // The new node chooses: where the two differ, the one that is right.
            let mut rest = divisors;
            for a in divisors {
                rest = rest.without(a);
                let wrong = target.missed_by(self.index.table(a));
                for b in rest {
                    let wrong_b = target.missed_by(self.index.table(b));
                    if wrong & wrong_b == 0 && wrong != 0 && wrong_b != 0 {
                        let inner = Target { ones: wrong_b, zeros: wrong };
                        let outer = Fit { inputs: [new, a, b], len: 3 };
                        self.frames.push(Frame { inner, outer });
                    }
                }
            }
        }
    }

    /// Gates of the new node and two that are there, a sample: one in two of these nodes are inputs
    /// of the present gate, for they are the likely ones.
    fn three_input_frames(&mut self, node: u8, place: &Place) {
        let new = self.index.next();
        let present = self.net.gate(node).inputs;
        for _ in 0..FRAMES {
            let [a, b] = [(); 2].map(|()| {
                if self.rng.one_in(2) {
                    present[self.rng.below(3)]
                } else {
                    nodes::node(self.rng.below(self.net.len()))
                }
            });
            if a == b || !place.divisors.has(a) || !place.divisors.has(b) {
                continue;
            }
            let [when1, when0] = self.index.split(place.target, a);
            let mut inner = Target::FREE;
            for part in [self.index.split(when1, b), self.index.split(when0, b)].concat() {
                if part.clash().is_some() {
                    inner = inner.with(if self.rng.one_in(2) { part } else { part.inverted() });
                }
            }
            self.frames.push(Frame { inner, outer: Fit { inputs: [new, a, b], len: 3 } });
        }
    }
}

/// A random choice among offers that come one by one.
#[derive(Debug)]
struct Choice<'a, T> {
    made: Option<T>,
    kept_max: usize,
    cheapest_only: bool,
    seen: usize,
    rng: &'a mut Rng,
}

impl<'a, T> Choice<'a, T> {
    /// Takes offers that keep at most so many gates. One time in two, only the cheapest of them.
    fn new(kept_max: usize, rng: &'a mut Rng) -> Self {
        Self { made: None, kept_max, cheapest_only: rng.one_in(2), seen: 0, rng }
    }

    #[inline]
    fn offer(&mut self, kept: usize, offer: T) {
        if kept > self.kept_max {
            return;
        }
        if self.cheapest_only && kept < self.kept_max {
            self.kept_max = kept;
            self.seen = 0;
        }
        self.seen += 1;
        if self.rng.one_in(self.seen) {
            self.made = Some(offer);
        }
    }
}

/// The idle gates of a place that come back into use with a fit, and with `others`.
#[inline]
fn kept(index: &Index, place: &Place, others: Nodes, fit: Fit) -> Nodes {
    fit.nodes().iter().fold(others, |cone, &node| cone | index.cone(node)) & place.idle
}

/// One step in so many tries two gates.
const TWO_GATES_ONE_IN: usize = 2;

/// Incomplete three-input gates that one step tries.
const FRAMES: usize = 32;

/// A net does not grow beyond so many nodes.
pub(crate) const LEN_MAX: usize = Nodes::NODES_MAX - 8;
