//! `cvv2 serve` as a supervisor sees it: when it is ready, what it says, how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use support::{CVV2, Ran, cvv2};

/// A demo that serves, ended with the test.
struct Dev {
    child: Child,
    err: BufReader<ChildStderr>,
    place: PathBuf,
    port: u16,
    /// Where it serves metrics.
    metrics: String,
    /// What it said at the start.
    told: String,
    supervisor: UnixDatagram,
    _home: TempDir,
}

impl Dev {
    fn start(variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let supervisor = UnixDatagram::bind(home.path().join("notify")).unwrap();
        supervisor.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let metrics = free_address();
        let mut child = Command::new(CVV2)
            .args(["serve", "--dev", "--dev-listen", "127.0.0.1:0"])
            .env("TMPDIR", home.path())
            .env("NOTIFY_SOCKET", home.path().join("notify"))
            .env("CVV2__SERVE__METRICS_LISTEN", &metrics)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        let (place, port, told) = (PathBuf::new(), 0, String::new());
        let mut dev = Self { child, err, place, port, metrics, told, supervisor, _home: home };
        let told = dev.reads("The configuration is ");
        let config = told.lines().last().unwrap().split_once("The configuration is ").unwrap().1;
        dev.place = PathBuf::from(config.split_once("/cvv2.toml").unwrap().0);
        let address = told.split_once("https://localhost:").unwrap().1;
        dev.port = address.split_once('/').unwrap().0.parse().unwrap();
        dev.told = told;
        dev
    }

    /// What it says, up to a line with this text.
    fn reads(&mut self, until: &str) -> String {
        let mut told = String::new();
        while !told.lines().last().is_some_and(|line| line.contains(until)) {
            assert_ne!(self.err.read_line(&mut told).unwrap(), 0, "it ended: {told}");
        }
        told
    }

    /// What the supervisor is told next.
    fn notified(&self) -> String {
        let mut bytes = [0; 256];
        let len = self.supervisor.recv(&mut bytes).unwrap();
        str::from_utf8(&bytes[..len]).unwrap().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn config(&self) -> String {
        self.place.join("cvv2.toml").to_str().unwrap().to_owned()
    }

    /// Runs the program on the demo's configuration, with variables over it.
    fn beside(&self, words: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(CVV2);
        command.args(words).args(["--config", &self.config()]);
        command.env("CVV2__SERVE__METRICS_LISTEN", &self.metrics);
        command.envs(variables.iter().copied()).output().unwrap().into()
    }

    /// Its exit code, and what else it says.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut told = String::new();
        self.err.read_to_string(&mut told).unwrap();
        (self.child.wait().unwrap().code(), told)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that the system has just given and taken back.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Every file below a folder, with what a change would change.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            found.extend(files(&entry.path()));
        }
        // Whoever reads cards says so in the store's table of readers.
        if entry.file_name() != "lock.mdb" {
            found.insert(entry.path(), (meta.size(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    found
}

#[test]
fn a_supervisor_is_told_and_can_ask() {
    let mut dev = Dev::start(&[]);
    assert_eq!(dev.notified(), "READY=1\n");
    assert_eq!(dev.beside(&["serve", "probe"], &[]).done().out, "the service answers\n");
    dev.beside(&["serve", "probe", "--ready"], &[]).done();
    let nobody = [("CVV2__SERVE__METRICS_LISTEN", "127.0.0.1:1")];
    assert_eq!(dev.beside(&["serve", "probe"], &nobody).code, 1);

    dev.signal(Signal::HUP);
    let told = dev.reads("what=tls");
    for part in ["reloaded what=keyring", "reloaded what=auth", "reloaded what=tls"] {
        assert!(told.contains(part), "{told}");
    }
    dev.signal(Signal::TERM);
    assert_eq!(dev.notified(), "STOPPING=1\n");
    let place = dev.place.clone();
    let (code, told) = dev.ended();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("stopping signal=SIGTERM"), "{told}");
    assert!(told.contains("stopped connections_cut=0 requests_cut=0"), "{told}");
    assert!(!place.exists(), "the demo's directory is left");
}

#[test]
fn a_check_beside_the_service_leaves_no_trace() {
    // So that it does not write by itself meanwhile.
    let dev = Dev::start(&[("CVV2__SERVE__AUDIT__ANCHOR_INTERVAL_SECONDS", "3600")]);
    let before = files(&dev.place);
    let ran = dev.beside(&["serve", "--check"], &[]).done();
    assert_eq!(ran.out, "the configuration is in order\n");
    // Nor does it make what would be made.
    let other = [
        ("CVV2__SERVE__AUDIT__DIRECTORY", "audit-2"),
        ("CVV2__SERVE__LIMITS__DIRECTORY", "limits-2"),
    ];
    dev.beside(&["serve", "--check"], &other).done();
    assert_eq!(files(&dev.place), before);
}

#[test]
fn what_is_missing_is_told_by_its_key() {
    let dev = Dev::start(&[]);
    let check = |variable, value| dev.beside(&["serve", "--check"], &[(variable, value)]);
    for (variable, value, told) in [
        ("CVV2__STORE__PATH", "nowhere", "[store]: "),
        ("CVV2__KEYRING__PATH", "keyring/nothing.toml", "[keyring] path: "),
        ("CVV2__KEYRING__KBPK", "{ file = 'nowhere' }", "[keyring] kbpk: "),
        ("CVV2__SERVE__SERVICE_KEY", "keyring/nothing", "[serve] service_key: "),
        ("CVV2__SERVE__TLS__KEY", "tls/nothing.pem", "[serve.tls]: "),
        ("CVV2__SERVE__TLS__CERTIFICATE", "tls/key.pem", "[serve.tls]: "),
        ("CVV2__SERVE__AUTH__OWN__CLIENTS", "auth/nothing", "[serve.auth]: "),
        ("CVV2__SERVE__AUTH__OWN__HASHES_AT_ONCE", "0", "[serve.auth] own.hashes_at_once must be"),
        ("CVV2__SERVE__LIMITS__DIRECTORY", "no/limits", "[serve.limits] directory: "),
        ("CVV2__SERVE__AUDIT__DIRECTORY", "kbpk", "[serve.audit] directory: "),
        ("CVV2__SERVE__AUDIT__ANCHOR", "no/anchor", "[serve.audit] anchor: "),
        ("CVV2__SERVE__WORKERS", "0", "[serve] workers has to be"),
        ("CVV2__SERVE__LISTEN", "8443", "in the environment variable CVV2__SERVE__LISTEN"),
        ("CVV2_KERNEL", "abacus", "CVV2_KERNEL: this machine can compute with reference, portable"),
    ] {
        check(variable, value).failed(2, told);
    }
    let open = dev.place.join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    check("CVV2__SERVE__LIMITS__DIRECTORY", "open").failed(2, "open: has mode 0755");
}

#[test]
fn a_second_process_is_told_what_it_cannot_have() {
    let dev = Dev::start(&[]);
    let serve = |variables: &[(&str, &str)]| dev.beside(&["serve"], variables);
    serve(&[]).failed(3, "another process");
    let (limits, audit, anchor) = (
        ("CVV2__SERVE__LIMITS__DIRECTORY", "limits-2"),
        ("CVV2__SERVE__AUDIT__DIRECTORY", "audit-2"),
        ("CVV2__SERVE__AUDIT__ANCHOR", "anchor-2"),
    );
    serve(&[limits]).failed(3, "[serve.audit]: ");
    let address = format!("127.0.0.1:{}", dev.port);
    let listen = ("CVV2__SERVE__LISTEN", address.as_str());
    serve(&[limits, audit, anchor, listen]).failed(3, &format!("[serve] listen: {address}: "));
    let listen = ("CVV2__SERVE__LISTEN", "127.0.0.1:0");
    serve(&[limits, audit, anchor, listen]).failed(3, "[serve] metrics_listen: ");
}

#[test]
fn what_an_operator_should_know_is_in_the_log() {
    let dev = Dev::start(&[
        ("CVV2__SERVE__LOG", "json"),
        ("CVV2__SERVE__METRICS_LISTEN", "0.0.0.0:0"),
        ("CVV2_KERNEL", "portable"),
    ]);
    let lines = dev.told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let events: BTreeMap<String, Value> =
        lines.map(|line| (line["event"].as_str().unwrap().to_owned(), line)).collect();
    assert_eq!(events["keys"]["kernel"], "portable");
    let protection = events["keys"]["protection"].as_str().unwrap();
    assert!(["memfd_secret", "locked", "wiped"].contains(&protection));
    assert_eq!(events["metrics_exposed"]["level"], "warning");
    assert_eq!(events["listening"]["address"], format!("127.0.0.1:{}", dev.port));
    dev.signal(Signal::INT);
    let (code, told) = dev.ended();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(r#""event":"stopped""#), "{told}");
}

#[test]
#[cfg_attr(not(has_openssl), ignore = "openssl is not installed")]
fn a_second_signal_does_not_wait() {
    let mut dev = Dev::start(&[("CVV2__SERVE__CONNECTIONS__BODY_READ_TIMEOUT_MS", "60000")]);
    let address = format!("localhost:{}", dev.port);
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A request whose body does not come.
    let head = "POST /v1/tokenkc/generate HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    client.stdin.as_mut().unwrap().write_all(head.as_bytes()).unwrap();
    let begun = Instant::now();
    while !in_flight(&dev) {
        assert!(begun.elapsed() < Duration::from_secs(30), "the request is not told of");
        thread::sleep(Duration::from_millis(20));
    }
    dev.signal(Signal::TERM);
    dev.reads("stopping signal=SIGTERM");
    dev.signal(Signal::TERM);
    let begun = Instant::now();
    let (code, told) = dev.ended();
    let _ = client.kill();
    let _ = client.wait();
    assert!(begun.elapsed() < Duration::from_secs(20), "{told}");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("cutting signal=SIGTERM"), "{told}");
    // The connection that asked for the metrics may be one of those that are cut.
    assert!(told.contains(" requests_cut=1"), "{told}");
    assert!(!told.contains("connections_cut=0"), "{told}");
}

#[test]
fn a_disk_that_fails_is_told_and_so_is_its_end() {
    let mut dev = Dev::start(&[("CVV2__SERVE__AUDIT__FILE_BYTES_MAX", "4096")]);
    let (here, away) = (dev.place.join("audit"), dev.place.join("audit-away"));
    fs::rename(&here, &away).unwrap();
    let begun = Instant::now();
    // Until the file is full, and the next one cannot be made.
    while dev.beside(&["serve", "probe", "--ready"], &[]).code == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "records go nowhere");
    }
    let told = dev.reads("audit_failing");
    assert!(told.lines().last().unwrap().contains("error=/"), "{told}");
    fs::rename(&away, &here).unwrap();
    dev.reads("audit_works");
    dev.beside(&["serve", "probe", "--ready"], &[]).done();
}

#[test]
fn the_document_has_every_metric_and_no_other() {
    let dev = Dev::start(&[]);
    let text = metrics(&dev);
    let served: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let document = include_str!("../../../docs/OPERATIONS.md");
    let mut documented = BTreeMap::new();
    for row in document.lines().filter_map(|line| line.strip_prefix("| `cvv2_")) {
        let (name, rest) = row.split_once("` | ").unwrap();
        let kind = rest.split_once(" |").unwrap().0;
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let name = name.strip_suffix(suffix).unwrap_or_else(|| panic!("{name} is no {kind}"));
        documented.insert(format!("cvv2_{name}"), kind);
    }
    for (name, kind) in &served {
        assert_eq!(documented.get(*name), Some(kind), "{name}");
    }
    // Nothing has been asked for yet, so these have no labels.
    let none_yet = ["requests", "request_duration_seconds", "tokens", "reloads"];
    for name in documented.keys().filter(|name| !served.contains_key(name.as_str())) {
        assert!(none_yet.contains(&name.strip_prefix("cvv2_").unwrap()), "{name} is not served");
    }
}

/// Whether there is a request besides the one that asks.
/// Whether a request is in flight besides the one that asks. The one that asked before may not have
/// ended quite yet; so it is asked until that is long ago.
fn in_flight(dev: &Dev) -> bool {
    (0..5).all(|_| {
        thread::sleep(Duration::from_millis(20));
        metrics(dev).contains("cvv2_requests_in_flight 2\n")
    })
}

fn metrics(dev: &Dev) -> String {
    let mut stream = std::net::TcpStream::connect(&dev.metrics).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn every_kernel_computes_where_it_is_named() {
    let words =
        ["generate", "--test-key", "0123456789ABCDEFFEDCBA9876543210", "--expiry-order", "yymm"];
    let card = ["--pan", "4123456789012345", "--expiry", "2701"];
    for kernel in cvv2::Kernel::all() {
        let ran: Ran = Command::new(CVV2)
            .args(words.iter().chain(&card))
            .env("CVV2_KERNEL", kernel.name())
            .output()
            .unwrap()
            .into();
        assert_eq!(ran.done().out, "878\n", "{kernel:?}");
    }
    assert_eq!(cvv2(&[&words[..], &card[..]].concat(), "").done().out, "878\n");
}

/// The unit, as systemd reads it.
#[test]
#[cfg_attr(not(has_systemd_analyze), ignore = "systemd-analyze is not installed")]
fn the_unit_is_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let unit =
        include_str!("../../../packaging/systemd/cvv2.service").replace("/usr/bin/cvv2", CVV2);
    let path = folder.path().join("cvv2.service");
    fs::write(&path, unit).unwrap();
    let verified: Ran = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&path)
        .output()
        .unwrap()
        .into();
    assert_eq!((verified.code, verified.err.as_str()), (0, ""), "{verified:?}");
}
