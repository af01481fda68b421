//! Compares the memory of children that differ in their key.
//!
//! A byte depends on the key if it is the same in all children with one key, the same in all with
//! another, and the two are not. Whatever else differs between runs (process numbers, the random
//! bytes that the kernel gives a process, the pads of the keys) differs between runs with the same
//! key as well, but for a chance of 2⁻³² a byte.

use std::collections::BTreeSet;

use cvv2::Kernel;
use cvv2::secret::Protection;

use crate::process::{Memory, Region, Watched, random_key};
use crate::stage::Stage;

/// Compares children of one kernel after everything; false if a key makes a difference.
pub(crate) fn run(kernel: Kernel, protection: Protection) -> bool {
    let keys = [random_key(), random_key()];
    // In turns, so that nothing that only grows (process numbers, time) can tell the keys apart.
    let start = || Watched::start(kernel, protection, ".".as_ref());
    let mut children = [(); 3].map(|()| [start(), start()]);

    let mut compare = |step: &dyn Fn(&mut Watched, &[u8; 16]) -> Memory| {
        let step = |pair: &mut [Watched; 2]| {
            let [one, other] = pair;
            [step(one, &keys[0]).open, step(other, &keys[1]).open]
        };
        dependent(&children.each_mut().map(step))
    };
    let before = compare(&|child, _| child.memory());
    let mut passed = true;
    for stage in STAGES {
        // What told the children apart before they had a key (the processor that each started on)
        // does not depend on it.
        let places = &compare(&|child, key| child.after(stage, key)) - &before;
        println!(
            "{}: key {}: comparison finds {}",
            kernel.name(),
            stage.title(),
            describe(&places)
        );
        passed &= match stage {
            // One that makes no difference would mean that nothing is compared.
            Stage::Plant => !places.is_empty(),
            Stage::Load | Stage::Fill if protection == Protection::Wiped => true,
            _ => places.is_empty(),
        };
    }
    passed
}

/// The places that depend on the key, in regions that every child has.
fn dependent(memories: &[[Vec<Region>; 2]; 3]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for region in &memories[0][0] {
        let rounds = memories
            .iter()
            .map(|[one, other]| Some([region.same(one)?, region.same(other)?]))
            .collect::<Option<Vec<_>>>();
        let Some(rounds) = rounds else {
            println!("    {} is not where it is in other children", region.place(0));
            continue;
        };
        let depends = |at: &usize| {
            let bytes = |[one, other]: &[&[u8]; 2]| (one[*at], other[*at]);
            let (one, other) = bytes(&rounds[0]);
            one != other && rounds.iter().all(|round| bytes(round) == (one, other))
        };
        found.extend((0..region.bytes.len()).filter(depends).map(|at| region.place(at)));
    }
    found
}

fn describe(places: &BTreeSet<String>) -> String {
    let shown: Vec<_> = places.iter().take(SHOWN).map(|place| format!("\n    {place}")).collect();
    match places.len() {
        0 => "nothing".into(),
        bytes => format!("{bytes} bytes, first{}", shown.concat()),
    }
}

/// All but those after which a check value, a CVV or a key block is left, which depend on the key and
/// belong to the caller.
const STAGES: [Stage; 7] = [
    Stage::Load,
    Stage::Fill,
    Stage::Drop,
    Stage::Combine,
    Stage::RefusedText,
    Stage::RefusedPolicy,
    Stage::Plant,
];

const SHOWN: usize = 4;
