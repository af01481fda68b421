//! Searches a child for its key after everything that a key can go through.

use cvv2::Kernel;
use cvv2::secret::Protection;

use crate::process::{Memory, Watched, random_key};
use crate::search::{Search, describe, is_nothing, missed};
use crate::stage::Stage;

/// Goes through all stages with one kernel; false if a key was found where it must not be.
pub(crate) fn run(kernel: Kernel, protection: Protection) -> bool {
    let [key, other] = [random_key(), random_key()];
    let [of_key, of_other] = [Search::new(&key), Search::new(&other)];
    let mut child = Watched::start(kernel, protection, ".".as_ref());

    let mut passed = true;
    for stage in STAGES {
        let memory = child.after(stage, &key);
        println!("{}: key {}: {}", kernel.name(), stage.title(), report(&of_key, &memory));
        passed &= is_right(stage, &of_key, &memory);
    }
    let planted = of_other.hits(&child.after(Stage::Plant, &other).open);
    let missed = missed(&planted);
    println!(
        "{}: another key planted: of {} forms it misses {missed:?}",
        kernel.name(),
        planted.len()
    );
    passed && missed.is_empty()
}

/// Whether the key is in secret memory while it is alive, and nowhere otherwise.
fn is_right(stage: Stage, of_key: &Search, memory: &Memory) -> bool {
    let nowhere = |regions| is_nothing(&of_key.hits(regions));
    let alive = matches!(stage, Stage::Load | Stage::Fill | Stage::Use);
    match memory.loaded {
        None => !alive && nowhere(&memory.open) && nowhere(&memory.locked) && memory.sealed == 0,
        Some(Protection::Wiped) => alive && !nowhere(&memory.open),
        Some(Protection::Locked) => alive && nowhere(&memory.open) && !nowhere(&memory.locked),
        Some(_) => alive && nowhere(&memory.open) && memory.sealed > 0,
    }
}

fn report(of_key: &Search, memory: &Memory) -> String {
    let open = describe(&of_key.hits(&memory.open));
    let Some(protection) = memory.loaded else {
        return format!("search finds {open}");
    };
    let locked = describe(&of_key.hits(&memory.locked));
    let sealed = memory.sealed;
    format!(
        "{protection}; search finds {open}; in locked memory {locked}; {sealed} sealed mappings"
    )
}

const STAGES: [Stage; 11] = [
    Stage::Load,
    Stage::Fill,
    Stage::Use,
    Stage::Drop,
    Stage::Combine,
    Stage::RefusedText,
    Stage::RefusedPolicy,
    Stage::KeyBlock,
    Stage::RefusedKeyBlock,
    Stage::ProtectionKey,
    Stage::Panic,
];
