//! A core for the servers, and another for the load.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Failure;

/// Two cores, by their numbers.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    servers: usize,
    load: usize,
}

impl Cores {
    /// The first two that this process may have.
    pub(crate) fn choose() -> Result<Self, Failure> {
        let allowed = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        match (allowed.next(), allowed.next()) {
            (Some(servers), Some(load)) => Ok(Self { servers, load }),
            _ => Err("two cores are needed, and there is one".into()),
        }
    }

    /// Moves this thread to the core of the load.
    pub(crate) fn go_to_load(self) -> Result<(), Failure> {
        go(self.load)
    }

    /// Has a process spawned on the core of the servers: it inherits that of this thread.
    pub(crate) fn on_servers<T>(
        self,
        spawn: impl FnOnce() -> std::io::Result<T>,
    ) -> Result<T, Failure> {
        go(self.servers)?;
        let spawned = spawn();
        go(self.load)?;
        Ok(spawned?)
    }
}

fn go(cpu: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}
