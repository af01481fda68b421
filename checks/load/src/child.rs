//! A server as a process, as `/proc` sees it.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;
use crate::cores::Cores;

/// A server that runs; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// When it was executed.
    pub(crate) begun: Instant,
}

/// What is resident of a process, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    /// Of its own.
    pub(crate) own: u64,
    /// Of files that it maps: pages of the kernel's cache, given back when others need them.
    pub(crate) mapped: u64,
}

impl Server {
    pub(crate) fn spawn(
        mut command: Command,
        address: SocketAddr,
        cores: Cores,
    ) -> Result<Self, Failure> {
        let begun = Instant::now();
        let child = cores.on_servers(|| command.spawn())?;
        Ok(Self { child, address, begun })
    }

    /// Processor time so far, of user and system.
    pub(crate) fn cpu_time(&self) -> Result<Duration, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may have blanks; utime and stime are the 14th and 15th field.
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(1000 * ticks / clock_ticks_per_second()))
    }

    pub(crate) fn resident(&self) -> Result<Resident, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<u64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or_else(|| format!("/proc/PID/status has no {name}"))?.parse()?)
        };
        Ok(Resident { own: field("RssAnon:")?, mapped: field("RssFile:")? + field("RssShmem:")? })
    }

    /// An error if it has ended.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a server has ended: {status}").into()),
        }
    }

    /// Has it end in order.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a server ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has ended there is nobody to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
