//! A process that is killed while many requests are under way: whatever was acknowledged is in the
//! log, and the chain is whole.
//!
//! `CVV2_KILLS=500 cargo test -p cvv2-service --test audit killed` kills as often.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::thread;
use std::time::Duration;

use cvv2_service::audit::{Verifier, log_files};

use crate::home::{Files, Home, key};
use crate::task::{command, said};

/// How often a process is killed unless `CVV2_KILLS` says so.
const KILLS: usize = 20;

#[test]
fn killed_under_load() {
    let kills = env::var("CVV2_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let home = Home::new();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let (mut acknowledged, mut torn) = (0, 0);
    for kill in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let old = log_files(&home.directory()).map_or(0, |files| files.len());
        // With a redo log and without, each after the other.
        let name = if kill % 4 < 2 { "kill" } else { "redo-kill" };
        let task = format!("load {name}-{kill}");
        let mut process = command(None, home.path(), &task).spawn().unwrap();
        let mut says = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("begins: ") {
            line.clear();
            assert!(says.read_line(&mut line).unwrap() > 0, "the process ended");
        }
        // What it says has to be read, or it waits.
        let reader = thread::spawn(move || {
            let mut rest = String::new();
            says.read_to_string(&mut rest).unwrap();
            rest
        });
        thread::sleep(Duration::from_micros(random % 20_000));
        process.kill().unwrap();
        process.wait().unwrap();
        let output = reader.join().unwrap();

        let all = home.files();
        // The file that the chain went on from, and those that are new.
        let files = Files(all.0[old.saturating_sub(1)..].to_vec());
        let report = files.verify_by(Verifier::new(&key()).unwrap().partial()).unwrap();
        torn += usize::from(report.torn_bytes > 0);
        let texts = files.texts();
        let written = said(&output, "written");
        for text in &written {
            assert!(texts.contains(*text), "kill {kill}: {text} was acknowledged and is missing");
        }
        acknowledged += written.len();
    }
    home.open().close().unwrap();
    let report = home.verify();
    assert_eq!(report.torn_bytes, 0);
    assert!(report.records >= acknowledged as u64);
    println!(
        "{kills} times killed, {torn} times amid a line: {acknowledged} records acknowledged, none \
         missing; {} records in {} files, the chain whole",
        report.records, report.files
    );
}
