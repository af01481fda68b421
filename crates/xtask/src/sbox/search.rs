//! The search for smaller circuits.
//!
//! A circuit is changed gate by gate ([`walk`]). For the gate at hand, flipping its value for all
//! 64 inputs shows where an output depends on it ([`net`]); elsewhere its value is free. All gates
//! of other nodes that have the right value where it matters are found by what tells ones from
//! zeros ([`fit`]), and one takes its place at random; so do two gates, which finds far more. Gates
//! that nothing uses any more are gone, and the circuit has become smaller. Now and then it is
//! allowed to grow by a gate, less and less often: simulated annealing. Rounds begin with a
//! circuit from nothing ([`start()`]) or with one of the best so far.

mod fit;
mod net;
mod nodes;
mod rng;
mod start;
mod walk;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::time::{ClockId, clock_gettime};

use self::net::Net;
use self::rng::Rng;
use self::start::start;
use self::walk::Walk;
use super::circuit::Circuit;
use super::gate::Library;

/// What to search, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The gates to use.
    pub(crate) library: Library,
    /// The S-boxes to search, 0 for S1.
    pub(crate) boxes: Vec<usize>,
    /// CPU time for each of them.
    pub(crate) time: Duration,
    /// How many are searched at a time.
    pub(crate) threads: usize,
    /// Where chance begins. The same seed takes the same way, as far as the time goes.
    pub(crate) seed: u64,
}

/// What the search of one S-box came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// The S-box, 0 for S1.
    pub(crate) index: usize,
    /// Gates of the circuit that was there before.
    pub(crate) before: usize,
    /// Gates of the best circuit now.
    pub(crate) after: usize,
    /// How many rounds there were.
    pub(crate) rounds: usize,
    /// CPU time when the best circuit was found; zero when it was there before.
    pub(crate) found: Duration,
}

/// Searches each S-box of the plan, beginning with the circuit in `known`, if there is one. Every
/// smaller circuit goes to `save` at once. Outcomes come in the order of the plan.
pub(crate) fn run(
    plan: &Plan,
    known: &[Option<Circuit>],
    save: impl Fn(usize, &Circuit) + Sync,
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; plan.boxes.len()]);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&index) = plan.boxes.get(at) else {
                break;
            };
            let outcome = search(plan, index, known[index].as_ref(), &save);
            outcomes.lock().expect("no other thread panicked")[at] = Some(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(work);
        }
    });
    outcomes.into_inner().expect("no thread panicked").into_iter().flatten().collect()
}

fn search(
    plan: &Plan,
    index: usize,
    known: Option<&Circuit>,
    save: &impl Fn(usize, &Circuit),
) -> Outcome {
    let clock = CpuClock::start();
    let mut rng = Rng::new(plan.seed << 8 | (index as u64) << 2 | plan.library as u64);
    let mut pool = Pool::default();
    if let Some(net) = known.and_then(|circuit| Net::new(plan.library, circuit)) {
        pool.add(&net);
    }
    let before = known.map_or(usize::MAX, |circuit| circuit.gates.len());
    let mut outcome = Outcome { index, before, after: before, rounds: 0, found: Duration::ZERO };
    while clock.elapsed() < plan.time {
        let seen = (!rng.one_in(FROM_NOTHING_ONE_IN)).then(|| pool.pick(&mut rng)).flatten();
        let from_nothing = seen.is_none();
        let net = seen.unwrap_or_else(|| start(plan.library, index, &mut rng));
        let schedule = Schedule::draw(from_nothing, &mut rng);
        let mut smallest = net.size();
        let mut walk = Walk::new(net, Rng::new(rng.next()));
        for step in 0..schedule.steps {
            if step % STEPS_BETWEEN_LOOKS == 0 && clock.elapsed() >= plan.time {
                break;
            }
            walk.step(schedule.growth(step));
            let size = walk.net().size();
            if size >= smallest {
                continue;
            }
            smallest = size;
            pool.add(walk.net());
            if size < outcome.after {
                outcome.after = size;
                outcome.found = clock.elapsed();
                let circuit = walk.net().circuit();
                circuit
                    .prove(plan.library, index)
                    .expect("every step of a walk keeps the function of the circuit");
                save(index, &circuit);
            }
        }
        pool.add(walk.net());
        outcome.rounds += 1;
        println!(
            "{} S{} round {}: from {} with growth {:.2}, {} gates; best {} after {:.0} s of CPU",
            plan.library.name(),
            index + 1,
            outcome.rounds,
            if from_nothing { "nothing" } else { "the best" },
            schedule.hot,
            smallest,
            outcome.after,
            clock.elapsed().as_secs_f64(),
        );
    }
    outcome
}

/// How readily a walk grows, from its first step to its last.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    hot: f64,
    steps: u32,
}

impl Schedule {
    /// A schedule for a round: hot enough to forget a circuit from nothing, any heat for others.
    fn draw(from_nothing: bool, rng: &mut Rng) -> Self {
        let hot = if from_nothing { HOT[0] } else { HOT[rng.below(HOT.len())] };
        Self { hot, steps: STEPS_MIN << rng.below(STEPS_DOUBLED_MAX + 1) }
    }

    /// The probability of growth at `step`: from hot to cold in equal ratios.
    fn growth(self, step: u32) -> f64 {
        self.hot * (COLD / self.hot).powf(f64::from(step) / f64::from(self.steps))
    }
}

/// The best circuits so far, all of one size.
#[derive(Debug, Default)]
struct Pool {
    nets: VecDeque<Net>,
}

impl Pool {
    /// Adds a net unless it is larger than those that are there. A smaller one displaces them.
    fn add(&mut self, net: &Net) {
        let size = self.nets.front().map_or(usize::MAX, Net::size);
        if net.size() < size {
            self.nets.clear();
        }
        if net.size() <= size {
            self.nets.push_back(net.clone());
        }
        if self.nets.len() > POOL_MAX {
            self.nets.pop_front();
        }
    }

    fn pick(&self, rng: &mut Rng) -> Option<Net> {
        if self.nets.is_empty() {
            return None;
        }
        Some(self.nets[rng.below(self.nets.len())].clone())
    }
}

/// CPU time of this thread: unlike the time of day, it stands still while others have the CPU.
#[derive(Debug)]
struct CpuClock(Duration);

impl CpuClock {
    fn start() -> Self {
        Self(Self::now())
    }

    fn elapsed(&self) -> Duration {
        Self::now().saturating_sub(self.0)
    }

    fn now() -> Duration {
        clock_gettime(ClockId::ThreadCPUTime).try_into().expect("CPU time is not negative")
    }
}

/// Probabilities of growth at the beginning of a round; the first, for a circuit from nothing.
const HOT: [f64; 4] = [0.4, 0.2, 0.1, 0.05];

/// Probability of growth at the end of a round.
const COLD: f64 = 0.02;

/// Steps of the shortest rounds.
const STEPS_MIN: u32 = 1 << 20;

/// The longest rounds have so many times twice the steps of the shortest.
const STEPS_DOUBLED_MAX: usize = 2;

/// Steps between two looks at the clock.
const STEPS_BETWEEN_LOOKS: u32 = 1 << 12;

/// One round in so many begins with nothing.
const FROM_NOTHING_ONE_IN: usize = 8;

/// Circuits in a pool.
const POOL_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sbox::gate::Library;

    /// In about a second, a circuit from nothing becomes a good deal smaller and stays right.
    #[test]
    fn a_short_walk_makes_a_circuit_smaller() {
        for library in Library::ALL {
            let mut rng = Rng::new(7);
            let net = start(library, 3, &mut rng);
            net.circuit().prove(library, 3).expect("the start is right");
            let before = net.size();
            let mut walk = Walk::new(net, rng);
            for step in 0..10_000 {
                walk.step(0.02);
                if step % 16 == 0 {
                    walk.net().circuit().prove(library, 3).expect("a step keeps the function");
                }
            }
            let after = walk.net().size();
            assert!(after * 10 <= before * 9, "{library:?}: from {before} to {after} gates");
        }
    }

    #[test]
    fn the_same_seed_takes_the_same_way() {
        let way = |seed| {
            let mut rng = Rng::new(seed);
            let net = start(Library::Lut3, 0, &mut rng);
            let mut walk = Walk::new(net, rng);
            for _ in 0..500 {
                walk.step(0.1);
            }
            walk.net().circuit()
        };
        assert_eq!(way(1), way(1));
        assert_ne!(way(1), way(2));
    }

    #[test]
    fn a_search_saves_what_it_finds() {
        let plan = Plan {
            library: Library::Lut3,
            boxes: vec![3, 5],
            time: Duration::from_millis(100),
            threads: 2,
            seed: 1,
        };
        let saved = Mutex::new([usize::MAX; 8]);
        let outcomes = run(&plan, &[const { None }; 8], |index, circuit| {
            circuit.prove(plan.library, index).expect("only circuits that are right are saved");
            let mut saved = saved.lock().expect("no thread panicked");
            assert!(circuit.gates.len() < saved[index], "only smaller circuits are saved");
            saved[index] = circuit.gates.len();
        });
        let saved = saved.into_inner().expect("no thread panicked");
        assert_eq!(outcomes.iter().map(|o| o.index).collect::<Vec<_>>(), plan.boxes);
        for outcome in outcomes {
            assert_eq!(outcome.after, saved[outcome.index]);
        }
    }
}
