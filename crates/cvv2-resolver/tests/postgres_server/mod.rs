//! A PostgreSQL server of the test program's own, as a user without privileges, in a directory that
//! goes with it.
#![allow(dead_code, reason = "not every test program has a use for all of it")]
#![allow(clippy::unwrap_used, reason = "whoever cannot start a server has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cvv2_resolver::{PostgresOptions, PostgresServer, PostgresStore, StoreKeys};

/// The folder with `initdb`, `pg_ctl` and `postgres`.
pub(crate) const PROGRAMS: &str = env!("CVV2_POSTGRES_PROGRAMS");

/// A server that can be asked by a socket of the file system, and is stopped when this is dropped or
/// the test program is gone, however that came.
pub(crate) struct Server {
    directory: PathBuf,
    settings: String,
    watch: Child,
}

impl Server {
    /// Starts a server that waits for the disk, with settings beside (`-c name=value`).
    pub(crate) fn start(settings: &str) -> Self {
        let server = Self::prepare(settings);
        server.start_again();
        server
    }

    /// Makes a server that is yet to be started.
    pub(crate) fn prepare(settings: &str) -> Self {
        assert!(!PROGRAMS.is_empty(), "PostgreSQL is not installed");
        let directory = tempfile::Builder::new().prefix("cvv2-pg-").tempdir().unwrap().keep();
        if let Some(user) = user() {
            chown(&directory, Some(user.0), Some(user.1)).unwrap();
        }
        // Its input ends when this process does, also when somebody stops the whole group.
        let script = "trap '' INT TERM HUP; cat >/dev/null; \
                      \"$1/pg_ctl\" -D \"$2/data\" -m immediate stop; rm -rf \"$2\"";
        let watch = as_user("sh", &directory)
            .args(["-c", script, "sh", PROGRAMS])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { directory, settings: settings.to_owned(), watch };
        run(as_user(&program("initdb"), &server.directory)
            .args(["--no-sync", "--username=cvv2", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-instructions", "--pgdata"])
            .arg(server.data()));
        server
    }

    /// A server for all tests of this program that do not care about the disk.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("-c fsync=off -c max_connections=300"))
    }

    /// Starts the server again after it was killed or stopped.
    pub(crate) fn start_again(&self) {
        let sockets = self.directory.display();
        let options =
            format!("-k {sockets} -c listen_addresses='' -c shared_buffers=32MB {}", self.settings);
        // Whoever was killed may hold what the next one needs for a moment.
        for patience in (0..50).rev() {
            let started = as_user(&program("pg_ctl"), &self.directory)
                .args(["-w", "-t", "60", "-o", &options, "-l"])
                .arg(self.directory.join("log"))
                .arg("-D")
                .arg(self.data())
                .arg("start")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            if started.success() {
                return;
            }
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(patience > 0, "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Kills the server, its first process only: the others notice.
    pub(crate) fn kill(&self) {
        run(Command::new("kill").args(["-9", &self.process()]));
    }

    /// Has the server give up at once, as after a fault.
    pub(crate) fn stop_immediately(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    pub(crate) fn control(&self, words: &[&str]) {
        let mut control = as_user(&program("pg_ctl"), &self.directory);
        run(control.arg("-D").arg(self.data()).args(words));
    }

    /// Puts a file beside the data, for the server alone.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = user() {
            chown(&path, Some(user.0), Some(user.1)).unwrap();
        }
        path
    }

    fn process(&self) -> String {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory with everything that the server keeps.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// How this server is reached, in a schema that nobody else has.
    pub(crate) fn options(&self) -> PostgresOptions {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("t{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        options(&self.directory, &schema, self.settings.contains("fsync=off"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// How the server with its socket in this directory is reached.
pub(crate) fn options(directory: &Path, schema: &str, may_lose: bool) -> PostgresOptions {
    let server = PostgresServer::Socket { directory: directory.to_owned(), port: 5432 };
    let mut options = PostgresOptions::new(server, "postgres", "cvv2");
    schema.clone_into(&mut options.schema);
    options.allow_lost_commits = may_lose;
    options
}

/// A new store on the shared server.
pub(crate) fn new_store() -> PostgresStore {
    let keys = StoreKeys::generate().unwrap();
    PostgresStore::create(&Server::shared().options(), &keys).unwrap()
}

/// A command in the server's directory, as a user that the server accepts to be: not root.
fn as_user(program: &str, directory: &Path) -> Command {
    let mut command = match user() {
        Some((user, group)) => {
            let mut setpriv = Command::new("setpriv");
            let ids = [format!("--reuid={user}"), format!("--regid={group}")];
            setpriv.args(ids).args(["--clear-groups", "--", program]);
            setpriv
        }
        None => Command::new(program),
    };
    command.current_dir(directory);
    command
}

/// The user and group `nobody`, unless this program has no privileges itself.
fn user() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = users.lines().find(|line| line.starts_with("nobody:")).expect("there is nobody");
    let mut fields = nobody.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

fn program(name: &str) -> String {
    format!("{PROGRAMS}/{name}")
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
