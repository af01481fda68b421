//! Compares the memory of children that differ in their key.
//!
//! A byte depends on the key if it is the same in all children with one key, the same in all with
//! another, and the two are not. Whatever else differs between runs (process numbers, the random
//! bytes that the kernel gives a process, the pads of the keys) differs between runs with the same
//! key as well, but for a chance of 2⁻³² a byte.

use std::collections::BTreeSet;

use crate::child::Task;
use crate::process::{Region, Watched, random_key};

/// Compares children of one kernel while the key is loaded and after its drop; false if it fails.
pub(crate) fn run(kernel: &str) -> bool {
    let keys = [random_key(), random_key()];
    // In turns, so that nothing that only grows (process numbers, time) can tell the keys apart.
    let start = || Watched::start(Task::Slots, kernel);
    let mut children = [(); 3].map(|()| [start(), start()]);

    let mut compare = |step: fn(&mut Watched, &[u8; 16]) -> Vec<Region>| {
        let step = |pair: &mut [Watched; 2]| {
            let [one, other] = pair;
            [step(one, &keys[0]), step(other, &keys[1])]
        };
        dependent(&children.each_mut().map(step))
    };
    let before = compare(|child, _| child.started());
    let loaded = compare(Watched::loaded);
    let dropped = compare(|child, _| child.dropped());
    let planted = compare(Watched::planted);

    // What told the children apart before they had a key (the processor that each started on) does
    // not depend on it.
    let [loaded, dropped, planted] = [loaded, dropped, planted].map(|places| &places - &before);
    println!("{kernel}: while the key is loaded, comparison {}", describe(&loaded));
    println!("{kernel}: after its drop, comparison {}", describe(&dropped));
    println!("{kernel}: planted, comparison {}", describe(&planted));
    // A key that was planted and makes no difference would mean that nothing is compared.
    dropped.is_empty() && !planted.is_empty()
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
        0 => "finds nothing".into(),
        bytes => format!("finds {bytes} bytes, first{}", shown.concat()),
    }
}

const SHOWN: usize = 4;
