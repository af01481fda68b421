//! Limits beside an audit log: durable with its next record, and without one, and after the machine
//! has failed.

use std::fs::{self, OpenOptions};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cvv2_service::limits::{LimitPolicy, Limits};

use crate::stores::{Beside, Home, at, card, message};

fn policy() -> LimitPolicy {
    LimitPolicy { card_generates_per_day: 1000, card_requests_per_day: 1000, ..Default::default() }
}

fn charge(limits: &Limits, number: u64) {
    limits.admit("ivr", at(0)).unwrap();
    limits.first_use(message(number), at(0)).unwrap();
    limits.charge_generate("ivr", card(number % 3), at(0)).unwrap();
}

/// How many charges there are of the three cards.
fn charges(limits: &Limits) -> u64 {
    limits.counters().card_charges
}

#[test]
fn charges_are_durable_with_the_record_that_comes_behind_them() {
    let home = Beside::new();
    let limits = home.open(policy());
    for number in 0..20 {
        charge(&limits, number);
        let ticket = limits.durable();
        home.record();
        // Nobody has waited for it, so nothing but the record has brought it there.
        let mut ticket = pin!(ticket);
        let polled = ticket.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(()))), "charge {number}");
    }
    assert_eq!(limits.counters().journal_lag, 0);
}

#[test]
fn whoever_waits_for_a_charge_needs_no_record() {
    let home = Beside::new();
    let limits = home.open(policy());
    for number in 0..20 {
        charge(&limits, number);
        limits.durable().wait().unwrap();
    }
    // Nor has the log to be open.
    home.close();
    charge(&limits, 20);
    limits.durable().wait().unwrap();
    drop(limits);
    assert_eq!(charges(&home.open(policy())), 21);
}

#[test]
fn charges_that_no_journal_has_yet_are_in_the_redo_log() {
    let home = Beside::new();
    let limits = home.open(policy());
    for number in 0..40 {
        charge(&limits, number);
        home.record();
    }
    let journal = fs::read_dir(home.limits_directory()).unwrap();
    let journal = journal.map(|entry| entry.unwrap().path());
    let journal = journal.filter(|path| !path.ends_with("writer.lock")).last().unwrap();
    let len = fs::metadata(&journal).unwrap().len();
    // What is there before is synced when the limits are opened.
    let begun = len - 40 * 20;
    for synced in (begun..=len).step_by(37) {
        let copy = Beside::new();
        copy_private(&home.limits_directory(), &copy.limits_directory());
        copy_private(&home.audit_directory(), &copy.audit_directory());
        let of_copy = copy.limits_directory().join(journal.file_name().unwrap());
        OpenOptions::new().write(true).open(of_copy).unwrap().set_len(synced).unwrap();
        assert_eq!(charges(&copy.open(policy())), 40, "{synced} of {len} bytes were synced");
    }
}

fn copy_private(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
