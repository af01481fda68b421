//! The test program itself as another process, which does nothing but one task.

use std::path::Path;
use std::process::{Command, Stdio};

use cvv2_resolver::{EmbeddedStore, StoreError, StoreKeys};

const TASK: &str = "CVV2_RESOLVER_TEST_TASK";
const DIRECTORY: &str = "CVV2_RESOLVER_TEST_DIRECTORY";
const KEYS: &str = "CVV2_RESOLVER_TEST_KEYS";

/// The arguments with which the test program does the task that its environment names: it runs the
/// ignored test `task_of_another_process`, which has to be there.
const ARGUMENTS: [&str; 5] =
    ["--exact", "task_of_another_process", "--ignored", "--nocapture", "--quiet"];

/// The other process, to be started.
pub(crate) fn command(directory: &Path, keys: &StoreKeys, task: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(ARGUMENTS);
    with_task(command, directory, keys, task)
}

/// The other process under `wrapper`, a program that takes a command line behind its arguments.
#[allow(dead_code, reason = "not every test program has a use for it")]
pub(crate) fn wrapped(
    mut wrapper: Command,
    directory: &Path,
    keys: &StoreKeys,
    task: &str,
) -> Command {
    wrapper.arg(std::env::current_exe().unwrap()).args(ARGUMENTS);
    with_task(wrapper, directory, keys, task)
}

fn with_task(mut command: Command, directory: &Path, keys: &StoreKeys, task: &str) -> Command {
    command
        .env(TASK, task)
        .env(DIRECTORY, directory)
        .env(KEYS, keys.to_hex().as_str())
        .stdout(Stdio::piped());
    command
}

/// What a line that the other process wrote says, if it is not the test harness's.
pub(crate) fn said(line: &str) -> Option<&str> {
    line.strip_prefix("task: ")
}

/// What the other process was started for.
pub(crate) struct Task {
    pub(crate) words: Vec<String>,
    directory: String,
    keys: StoreKeys,
}

impl Task {
    /// The task, unless this is not the other process.
    pub(crate) fn of_this_process() -> Option<Self> {
        let words = std::env::var(TASK).ok()?;
        // The test harness has left a line unfinished.
        println!();
        Some(Self {
            words: words.split(' ').map(str::to_owned).collect(),
            directory: std::env::var(DIRECTORY).unwrap(),
            keys: StoreKeys::from_hex(&std::env::var(KEYS).unwrap()).unwrap(),
        })
    }

    #[allow(dead_code, reason = "not every test program has a use for it")]
    pub(crate) fn directory(&self) -> &Path {
        Path::new(&self.directory)
    }

    #[allow(dead_code, reason = "not every test program has a use for it")]
    pub(crate) fn keys(&self) -> &StoreKeys {
        &self.keys
    }

    #[allow(dead_code, reason = "not every test program has a use for it")]
    pub(crate) fn open(&self) -> Result<EmbeddedStore, StoreError> {
        EmbeddedStore::open(&self.directory, &self.keys)
    }

    #[allow(dead_code, reason = "not every test program has a use for it")]
    pub(crate) fn create(&self) -> Result<EmbeddedStore, StoreError> {
        EmbeddedStore::create(&self.directory, &self.keys)
    }

    #[allow(dead_code, reason = "not every test program has a use for it")]
    pub(crate) fn open_read_only(&self) -> Result<EmbeddedStore, StoreError> {
        EmbeddedStore::open_read_only(&self.directory, &self.keys)
    }
}

/// Says something to whoever started this process.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("task: {what}");
}
