//! The test program itself as another process, which does nothing but one task.

use std::path::Path;
use std::process::{Command, Stdio};

use cvv2_service::limits::{LimitError, LimitPolicy, Limits};

use crate::{crashes, guessing};

const TASK: &str = "CVV2_LIMITS_TEST_TASK";
const DIRECTORY: &str = "CVV2_LIMITS_TEST_DIRECTORY";

/// The arguments with which the test program does the task that its environment names.
const ARGUMENTS: [&str; 5] =
    ["--exact", "processes::task_of_another_process", "--ignored", "--nocapture", "--quiet"];

/// The other process, to be started.
pub(crate) fn command(directory: &Path, task: &str) -> Command {
    with_task(Command::new(std::env::current_exe().unwrap()), directory, task)
}

/// The other process under `wrapper`, a program that takes a command line behind its arguments.
pub(crate) fn wrapped(mut wrapper: Command, directory: &Path, task: &str) -> Command {
    wrapper.arg(std::env::current_exe().unwrap());
    with_task(wrapper, directory, task)
}

fn with_task(mut command: Command, directory: &Path, task: &str) -> Command {
    command.args(ARGUMENTS).env(TASK, task).env(DIRECTORY, directory).stdout(Stdio::piped());
    command
}

/// Says something to whoever started this process.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("task: {what}");
}

/// What a line that the other process wrote says, if it is not the test harness's.
pub(crate) fn said(line: &str) -> Option<&str> {
    line.strip_prefix("task: ")
}

/// What the other process was started for.
pub(crate) struct Task {
    pub(crate) words: Vec<String>,
    directory: String,
}

impl Task {
    pub(crate) fn open(&self, policy: LimitPolicy) -> Result<Limits, LimitError> {
        Limits::open(&self.directory, policy)
    }

    pub(crate) fn number(&self, word: usize) -> u64 {
        self.words[word].parse().unwrap()
    }
}

#[test]
#[ignore = "what another process does for a test here"]
fn task_of_another_process() {
    let Ok(words) = std::env::var(TASK) else { return };
    // The test harness has left a line unfinished.
    println!();
    let task = Task {
        words: words.split(' ').map(str::to_owned).collect(),
        directory: std::env::var(DIRECTORY).unwrap(),
    };
    match &*task.words[0] {
        "steps" => crashes::do_steps(&task),
        "some" => crashes::do_some(&task),
        "guess" => guessing::guess(&task),
        task => panic!("no such task: {task}"),
    }
}
