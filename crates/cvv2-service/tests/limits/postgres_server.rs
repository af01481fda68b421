//! A PostgreSQL server of the test program's own, as a user without privileges, in a directory that
//! goes with it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cvv2_service::limits::{LimitError, LimitPolicy, Limits};
use postgres::{Client, Config, NoTls};

use crate::stores::Home;

/// The folder with `initdb`, `pg_ctl` and `postgres`.
const PROGRAMS: &str = env!("CVV2_POSTGRES_PROGRAMS");

/// A server that can be asked by a socket of the file system, and is stopped when this is dropped or
/// the test program is gone, however that came.
pub(crate) struct Server {
    directory: PathBuf,
    settings: &'static str,
    watch: Child,
}

impl Server {
    pub(crate) fn start(settings: &'static str) -> Self {
        assert!(!PROGRAMS.is_empty(), "PostgreSQL is not installed");
        let directory = tempfile::Builder::new().prefix("cvv2-pg-").tempdir().unwrap().keep();
        if let Some(user) = user() {
            chown(&directory, Some(user.0), Some(user.1)).unwrap();
        }
        // Its input ends when this process does.
        let script =
            "cat >/dev/null; \"$1/pg_ctl\" -D \"$2/data\" -m immediate stop; rm -rf \"$2\"";
        let watch = as_user("sh", &directory)
            .args(["-c", script, "sh", PROGRAMS])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { directory, settings, watch };
        run(as_user(&program("initdb"), &server.directory)
            .args(["--no-sync", "--username=cvv2", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-instructions", "--pgdata"])
            .arg(server.data()));
        server.start_again();
        server
    }

    /// A server for all tests of this program that do not care about the disk.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("-c fsync=off -c max_connections=300"))
    }

    /// Kills the server, as a loss of power would but for the disk, and starts it again.
    pub(crate) fn kill_and_start_again(&self) {
        run(self.control().args(["-m", "immediate", "stop"]));
        self.start_again();
    }

    /// Limits in a schema that nobody else has.
    pub(crate) fn home(&self) -> Tables {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("limits_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        let mut config = Config::new();
        config.host_path(&self.directory).user("cvv2").dbname("postgres");
        Tables { config, schema }
    }

    fn start_again(&self) {
        let sockets = self.directory.display();
        let options =
            format!("-k {sockets} -c listen_addresses='' -c shared_buffers=32MB {}", self.settings);
        // Whoever was killed may hold what the next one needs for a moment.
        for patience in (0..50).rev() {
            let mut start = self.control();
            start.args(["-w", "-t", "60", "-o", &options, "-l"]).arg(self.directory.join("log"));
            if start.arg("start").status().unwrap().success() {
                return;
            }
            assert!(patience > 0, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn control(&self) -> Command {
        let mut control = as_user(&program("pg_ctl"), &self.directory);
        control.arg("-D").arg(self.data()).stdout(Stdio::null());
        control
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}

/// Limits in a schema.
pub(crate) struct Tables {
    config: Config,
    schema: String,
}

impl Tables {
    /// The database itself, and the schema.
    pub(crate) fn client(&self) -> (Client, &str) {
        (self.config.connect(NoTls).unwrap(), &self.schema)
    }

    pub(crate) fn try_open(&self, schema: &str, policy: LimitPolicy) -> Result<Limits, LimitError> {
        Limits::postgres(&self.config, schema, policy)
    }
}

impl Home for Tables {
    fn open(&self, policy: LimitPolicy) -> Limits {
        Limits::postgres(&self.config, &self.schema, policy).unwrap()
    }

    fn dearness(&self) -> u64 {
        10
    }
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
