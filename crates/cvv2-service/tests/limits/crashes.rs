//! Kills and failing disks: no charge that was acknowledged is lost, and the next open succeeds.
//!
//! `CVV2_KILLS=1000 cargo test --release -p cvv2-service --test limits kill` kills that often;
//! without it a few dozen kills have to do. `CVV2_FAULTS=all` likewise fails every call.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use cvv2_service::limits::{Limit, LimitPolicy, Limits, MessageUse};

use crate::processes::{Task, command, said, say, wrapped};
use crate::stores::{Embedded, Home, at, card, message};

/// Nothing is refused, and the journal is written anew all the time.
fn policy() -> LimitPolicy {
    LimitPolicy {
        caller_requests_per_minute: 1_000_000,
        caller_wrong_percent: 100,
        card_generates_per_day: 1000,
        card_requests_per_day: 1000,
        card_wrong_soft: 100,
        card_wrong_hard: 100,
        journal_bytes_min: 4096,
        ..LimitPolicy::default()
    }
}

/// Steps that charge the same card, one after the other.
const STEPS_OF_A_CARD: u64 = 6;

/// Uses a message, charges a card, each step in another way, and waits for the disk.
fn do_step(limits: &Limits, step: u64) -> Result<(), Box<dyn std::error::Error>> {
    let card = card(step / STEPS_OF_A_CARD);
    limits.admit("ivr", at(0))?;
    limits.first_use(message(step), at(0))?;
    match step % 3 {
        0 => limits.charge_generate("ivr", card, at(0))?,
        1 => limits.charge_verify("ivr", card, at(0))?.mismatched()?,
        _ => limits.charge_verify("ivr", card, at(0))?.matched()?,
    }
    Ok(limits.durable().wait()?)
}

/// Everything that was acknowledged is charged and used, and nothing that was given back is.
fn assert_charged(limits: &Limits, done: &BTreeSet<u64>, started: u64, what: &str) {
    for step in done {
        let used = limits.first_use(message(*step), at(0)).unwrap();
        assert_eq!(used, MessageUse::Again, "message {step}; {what}");
    }
    let cards = done.iter().map(|step| step / STEPS_OF_A_CARD).collect::<BTreeSet<_>>();
    for number in cards {
        let steps = number * STEPS_OF_A_CARD..(number + 1) * STEPS_OF_A_CARD;
        let of_kind = |kind| done.iter().filter(|s| steps.contains(s) && *s % 3 == kind).count();
        let shown = limits.show_card(card(number), at(0)).unwrap();
        let usage = shown.unwrap_or_else(|| panic!("card {number} is lost; {what}")).usage;
        let used = |limit| usage.iter().find(|u| u.limit == limit).unwrap().used as usize;
        let (generated, wrong) = (used(Limit::CardGenerates), used(Limit::CardWrongHard));
        assert!(generated >= of_kind(0), "card {number}; {what}");
        assert!(wrong >= of_kind(1), "card {number}; {what}");
        let verified = used(Limit::CardRequests) - generated;
        assert!(verified >= of_kind(1) + of_kind(2), "card {number}; {what}");
        assert!(verified - wrong >= of_kind(2), "card {number}: a right one counts; {what}");
        if steps.end <= started {
            assert!(used(Limit::CardRequests) <= 6, "card {number} is charged twice; {what}");
        }
    }
}

const THREADS: usize = 4;

#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    let kills: u64 = std::env::var("CVV2_KILLS").map_or(40, |kills| kills.parse().unwrap());
    let (mut acknowledged, mut seed) = (0, 1_u64);
    for first in (0..kills).step_by(20) {
        let home = Embedded::new();
        drop(home.open(policy()));
        let (mut done, mut next) = (BTreeSet::new(), 0);
        for kill in first..kills.min(first + 20) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let patience = Duration::from_micros(seed >> 33 & 0x1_FFFF);
            // Whatever was begun and not acknowledged may be there or not: go on far behind it.
            kill_after(&home, next, patience, &mut done);
            next = done.last().map_or(0, |last| last / STEPS_OF_A_CARD + 10) * STEPS_OF_A_CARD;
            let limits = home.open(policy());
            assert_charged(&limits, &done, next, &format!("kill {kill}"));
        }
        acknowledged += done.len();
    }
    println!("{kills} kills, {acknowledged} acknowledged charges, none lost");
    assert!(acknowledged as u64 > kills, "it was killed too early to have done anything");
}

/// Has another process do steps from this one on, and kills it some time after its first.
fn kill_after(home: &Embedded, first: u64, patience: Duration, done: &mut BTreeSet<u64>) {
    let mut child = command(&home.directory(), &format!("steps {first}")).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, told) = channel();
    let reader = thread::spawn(move || {
        // A number that was cut short has no full stop.
        let step = |line: &str| said(line)?.strip_suffix('.')?.parse::<u64>().ok();
        for step in lines.map_while(Result::ok).filter_map(|line| step(&line)) {
            // Nobody listens any more, and that is no harm.
            let _ = tell.send(step);
        }
    });
    done.extend(told.recv_timeout(Duration::from_mins(1)));
    thread::sleep(patience);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    done.extend(told.try_iter());
}

pub(crate) fn do_steps(task: &Task) {
    let limits = task.open(policy()).unwrap();
    let next = AtomicU64::new(task.number(1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let step = next.fetch_add(1, Ordering::Relaxed);
                    do_step(&limits, step).unwrap();
                    say(format_args!("{step}."));
                }
            });
        }
    });
}

/// Calls by which something gets to the disk.
const WRITES: [&str; 3] = ["fdatasync", "fsync", "write"];

/// Steps of the other process, before and after which it has written its journal anew.
const SOME: u64 = 60;

#[test]
#[cfg_attr(not(has_strace), ignore = "strace is not installed")]
fn a_failing_disk_is_an_error_and_what_was_acknowledged_stays() {
    let all = std::env::var("CVV2_FAULTS").is_ok_and(|faults| faults == "all");
    let (mut noticed, mut healed) = (0, 0);
    for (run, (call, ordinal, error)) in faults(if all { 1 } else { 9 }).into_iter().enumerate() {
        let home = Embedded::new();
        let what = format!("{error} at {call} {ordinal}");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:error={error}:when={ordinal}")]);
        // To be written anew takes a second: not every time.
        let task = if run % 3 == 0 { "some heal" } else { "some end" };
        let output = wrapped(strace, &home.directory(), task).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let words: Vec<_> = lines.lines().filter_map(said).collect();
        let done: BTreeSet<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
        let has_noticed = (done.len() as u64) < SOME;
        noticed += usize::from(has_noticed);
        healed += usize::from(words.contains(&"healed"));
        let limits = home.open(policy());
        assert_charged(&limits, &done, 0, &what);
        // And without a fault it goes on.
        do_step(&limits, 1_000_000).unwrap_or_else(|error| panic!("{error}; {what}"));
    }
    println!("{noticed} calls failed and were noticed, after {healed} of them it went on");
    assert!(noticed > 5 && healed > 1, "{noticed}, {healed}");
}

/// One call in `every`, by its name and its number in the thread that makes it, and an error for
/// it.
fn faults(every: usize) -> Vec<(String, usize, &'static str)> {
    let home = Embedded::new();
    let log = home.directory().with_file_name("calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", log.to_str().unwrap()]);
    strace.args(["-e", &format!("trace={}", WRITES.join(","))]);
    assert!(wrapped(strace, &home.directory(), "some end").status().unwrap().success());
    let mut of_threads: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let name = rest.trim_start().split_once('(').map_or("", |(name, _)| name);
        // What goes to standard output is not the disk.
        if WRITES.contains(&name) && !rest.contains("write(1,") {
            *of_threads.entry((name.to_owned(), thread.to_owned())).or_insert(0) += 1;
        }
    }
    let mut counts = BTreeMap::new();
    for ((call, _), count) in of_threads {
        let most: &mut usize = counts.entry(call).or_default();
        *most = count.max(*most);
    }
    let all = counts
        .into_iter()
        .flat_map(|(call, count)| (1..=count).map(move |ordinal| (call.clone(), ordinal)));
    all.enumerate()
        .filter(|(run, _)| run % every == 0)
        .map(|(run, (call, ordinal))| (call, ordinal, ["EIO", "ENOSPC"][run / every % 2]))
        .collect()
}

/// Does some steps one after the other, tells the numbers of those that were acknowledged, and
/// waits until it goes on if it is to heal.
pub(crate) fn do_some(task: &Task) {
    let heals = task.words[1] == "heal";
    let Ok(limits) = task.open(policy()) else { return };
    let mut done = Vec::new();
    for step in 0..SOME {
        match do_step(&limits, step) {
            Ok(()) => done.push(step),
            // Refused from then on, until the journal was written anew.
            Err(_) if step > 0 => {
                assert!(do_step(&limits, step + 1).is_err());
                break;
            }
            Err(_) => break,
        }
    }
    let has_failed = (done.len() as u64) < SOME;
    let mut has_healed = false;
    if has_failed && heals {
        let patience = Instant::now() + Duration::from_secs(20);
        while !has_healed && Instant::now() < patience {
            thread::sleep(Duration::from_millis(100));
            has_healed = do_step(&limits, SOME + 100).is_ok();
        }
        assert!(has_healed, "it does not heal");
        done.push(SOME + 100);
    }
    // The process ends here as if it was killed: nothing is written on closing.
    for step in done {
        say(step);
    }
    if has_healed {
        say("healed");
    }
    std::mem::forget(limits);
}

/// What others read or write in the directory is not ours.
#[test]
fn a_journal_that_was_changed_is_refused() {
    let home = Embedded::new();
    let limits = home.open(policy());
    (0..20).for_each(|step| do_step(&limits, step).unwrap());
    drop(limits);
    let journal = journal_of(&home.directory());
    let bytes = fs::read(&journal).unwrap();
    for at in [0, 9, 40, 100, bytes.len() / 2] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&journal, changed).unwrap();
        let error = Limits::open(home.directory(), policy()).unwrap_err();
        assert!(error.to_string().contains("is damaged at byte"), "{error}");
    }
    fs::write(&journal, &bytes).unwrap();
    assert_charged(&home.open(policy()), &(0..20).collect(), 20, "as it was");
}

fn journal_of(directory: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|number| number != "lock")).last().unwrap()
}
