//! The audit directory on a device without room: every request is refused, until there is room again.
//!
//! The device is a small file system in memory, which only this check sees: it runs itself again in a
//! mount namespace of its own.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, str};

use serde_json::Value;

use crate::bank::{Bank, EXPIRY};
use crate::client::{Client, GET, Reply, request};
use crate::program::ended;
use crate::server::Server;

/// The name of the check inside of the namespace.
pub(crate) const INSIDE: &str = "full-disk-inside";
/// Requests while there is no room.
const REFUSED: usize = 100;

pub(crate) fn run() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command
    };
    if !unshare().arg("true").output().is_ok_and(|output| output.status.success()) {
        println!("  SKIPPED: unshare is not installed, or nobody may use it here");
        assert!(env::var_os("CVV2_REQUIRE_TOOLS").is_none(), "a tool is missing");
        return;
    }
    let this = env::current_exe().unwrap();
    let output = ended(unshare().arg(this).arg(INSIDE), "");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| str::from_utf8(text).unwrap());
    print!("{out}");
    assert!(output.status.success(), "{err}");
}

/// What is done in the namespace.
pub(crate) fn run_inside() {
    let bank = Bank::new(1, &[("asks", "cvv2:generate")]);
    let disk = bank.path().join("audit");
    DirBuilder::new().mode(0o700).create(&disk).unwrap();
    // The redo log takes 8 MiB of it.
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=10m,mode=0700", "none"]).arg(&disk);
    assert!(ended(&mut mount, "").status.success(), "a file system in memory");

    let policy = [
        ("SERVE__LIMITS__POLICY__CARD_GENERATES_PER_DAY", "1000"),
        ("SERVE__LIMITS__POLICY__CARD_REQUESTS_PER_DAY", "1000"),
    ];
    let server = Server::start(bank.path(), &policy);
    let client = Client::new(&bank, server.address);
    let token = client.token(&bank, "asks");
    let mut number = 0;
    let mut ask = || {
        number += 1;
        let body = request(&format!("f{number}"), &bank.cards[0], EXPIRY, None).to_string();
        client.post(GET, &token, &body).expect("there is an answer, whatever it is")
    };
    let mut answered = 0;
    let mut count = |reply: &Reply| {
        let value = reply.field("cvv2");
        assert_eq!(
            value.as_ref(),
            (reply.status == 200).then_some(&bank.cards[0].cvv2),
            "{reply:?}"
        );
        answered += u32::from(reply.status == 200);
        reply.status
    };
    assert_eq!(count(&ask()), 200);

    fill(&disk);
    // What is left of the last page takes some records.
    let begun = Instant::now();
    while count(&ask()) != 503 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it answers without a disk");
    }
    for _ in 0..REFUSED {
        let reply = ask();
        assert_eq!(count(&reply), 503, "{reply:?}");
        assert_eq!(reply.code().as_deref(), Some("503"), "{reply:?}");
    }
    let get = |path: &str| client.send("GET", path, &[], "").unwrap();
    let ready = get("/readyz");
    let what: Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!((ready.status, &what["audit"]), (503, &Value::Bool(false)), "{ready:?}");
    assert_eq!(get("/healthz").status, 200);

    fs::remove_file(disk.join(BALLAST)).unwrap();
    let begun = Instant::now();
    while count(&ask()) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not go on");
        thread::sleep(Duration::from_millis(50));
    }
    let recovered = begun.elapsed();
    assert_eq!(get("/readyz").status, 200);
    assert!(server.stop().success(), "it ends in order");
    bank.verified();
    let texts: Vec<_> =
        bank.audit_files().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let records = texts.iter().flat_map(|text| text.lines());
    let records = records.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let successes =
        records.filter(|record| record["event"] == "request" && record["code"] == "000");
    assert_eq!(successes.count(), usize::try_from(answered).unwrap(), "answers and their records");
    println!(
        "  {REFUSED} requests without room: each 503 and no value; with room it went on after \
         {recovered:.1?}, chain whole, {answered} answers and as many records"
    );
}

const BALLAST: &str = "ballast";

/// Leaves no room.
fn fill(disk: &Path) {
    let mut ballast = File::create(disk.join(BALLAST)).unwrap();
    for size in [4096, 1] {
        while ballast.write_all(&vec![0; size]).is_ok() {}
    }
}
