//! Kills of a client of PostgreSQL, and of PostgreSQL: nothing that was acknowledged is lost, nothing
//! is half done, and every reference fits its card.
//!
//! `CVV2_KILLS=50 cargo test -p cvv2-resolver --features postgres --test postgres_crashes` kills each of
//! them that often; without it a few kills have to do.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use cvv2_resolver::{PostgresOptions, PostgresStore, StoreKeys};

mod postgres_server;
mod processes;
mod steps;

use postgres_server::Server;
use processes::{Task, command, say};
use steps::{assert_whole, do_step, kill_after};

const SCHEMA: &str = "killed";

/// How others reach the server with its socket in this directory: they wait no longer than they must.
fn options(directory: &Path) -> PostgresOptions {
    let mut options = postgres_server::options(directory, SCHEMA, false);
    options.checkout_timeout = Duration::from_secs(1);
    options
}

fn kills() -> u64 {
    std::env::var("CVV2_KILLS").map_or(5, |kills| kills.parse().unwrap())
}

/// Has another process do steps, calls `kill` in the middle, and looks whether everything is there;
/// again and again. Returns how many steps were acknowledged.
fn kill_again_and_again(server: &Server, kill: &dyn Fn(u64, &mut Child)) -> u64 {
    let mut keys = StoreKeys::generate().unwrap();
    // The store begins with the first of them.
    drop(PostgresStore::create(&options(server.directory()), &keys).unwrap());
    for _ in 0..9 {
        keys.add_sealing().unwrap();
    }
    let (mut done, mut seed) = (0, 1_u64);
    for number in 0..kills() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let patience = Duration::from_micros(seed >> 33 & 0x3_FFFF);
        let task = command(server.directory(), &keys, &format!("step {done}"));
        done = kill_after(task, done, patience, number % 4 == 0, &|child| kill(number, child));
        wait_until_nobody_works(server, &keys);
        let store = PostgresStore::open(&options(server.directory()), &keys).unwrap();
        assert_whole(&store, done, &format!("kill {number}"));
    }
    // Whatever was cut short can be brought to its end.
    let store = PostgresStore::open(&options(server.directory()), &keys).unwrap();
    (done..done + 16).for_each(|step| do_step(&store, step).unwrap());
    assert_whole(&store, done + 16, "afterwards");
    done
}

/// What a client has asked for before it was killed may be done a moment later.
fn wait_until_nobody_works(server: &Server, keys: &StoreKeys) {
    let store = PostgresStore::open(&options(server.directory()), keys).unwrap();
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE backend_type = 'client backend' AND state <> 'idle'
                    AND pid <> pg_backend_pid()";
    let patience = Instant::now() + Duration::from_secs(20);
    while store.pool().with(|client| client.query_one(others, &[])).unwrap().get::<_, i64>(0) > 0 {
        assert!(Instant::now() < patience, "somebody goes on working");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn nothing_acknowledged_is_lost_when_a_client_is_killed() {
    let server = Server::start("");
    let done = kill_again_and_again(&server, &|_, child| child.kill().unwrap());
    println!("{} clients killed, {done} acknowledged steps, none lost", kills());
    assert!(done > kills(), "they were killed too early to have done anything");
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let server = Server::start("");
    let done = kill_again_and_again(&server, &|number, child| {
        if number % 2 == 0 {
            server.kill();
        } else {
            server.stop_immediately();
        }
        child.wait().unwrap();
        server.start_again();
    });
    println!("the server killed {} times, {done} acknowledged steps, none lost", kills());
    assert!(done > kills(), "it was killed too early to have done anything");
}

#[test]
#[ignore = "no test of its own: what other tests start as another process"]
fn task_of_another_process() {
    let Some(task) = Task::of_this_process() else { return };
    // Where this fails, the server was killed already.
    let Ok(store) = PostgresStore::open(&options(task.directory()), task.keys()) else { return };
    for step in task.words[1].parse().unwrap().. {
        match do_step(&store, step) {
            Ok(()) => say(format_args!("done {step}")),
            // The server was killed. What was said before holds.
            Err(_) => return,
        }
    }
}
