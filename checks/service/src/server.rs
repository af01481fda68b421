//! `cvv2 serve` as another process.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program;

/// A service that runs; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

/// Where it writes its log, behind what it has written before.
pub(crate) const LOG: &str = "log";

impl Server {
    /// Starts it in a directory, with variables over its configuration: `SERVE__REPLAYS`.
    pub(crate) fn start(home: &Path, variables: &[(&str, &str)]) -> Self {
        let log = home.join(LOG);
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let written = file.metadata().unwrap().len();
        let mut command = Command::new(program::path("cvv2"));
        command.args(["serve", "--config", "cvv2.toml"]).current_dir(home);
        command.envs(variables.iter().map(|(name, value)| (format!("CVV2__{name}"), value)));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let begun = Instant::now();
        loop {
            let text = fs::read(&log).unwrap();
            let text =
                String::from_utf8_lossy(&text[usize::try_from(written).unwrap()..]).into_owned();
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the service does not start: {text}");
            assert!(begun.elapsed() < Duration::from_mins(1), "it does not listen: {text}");
            let address = |event: &str| {
                let line = text.split_inclusive('\n').find(|line| line.contains(event))?;
                let address = line.strip_suffix('\n')?.split_once(" address=")?.1;
                address.split(' ').next()?.parse().ok()
            };
            if let Some((address, metrics)) = address(" listening ").zip(address(" metrics ")) {
                return Self { child, address, metrics };
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it as nothing can be helped against.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // That it is gone already is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
