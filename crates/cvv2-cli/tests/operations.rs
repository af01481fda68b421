//! The commands of `docs/OPERATIONS.md`, run as they are written.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::env;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use tempfile::TempDir;

use support::CVV2;
use support::terminal::{Answer, run_at_terminal};

const DOCUMENT: &str = include_str!("../../../docs/OPERATIONS.md");

/// A block of commands, with what follows it in the document.
#[derive(Default)]
struct Step<'a> {
    line: usize,
    commands: Vec<&'a str>,
    /// What the terminal asks, and what is typed.
    answers: Vec<Answer<'a>>,
    /// Lines of the output, in their order, each of which goes on as it likes.
    output: Vec<&'a str>,
}

/// The steps of the document. A table or an output belongs to the block of commands before it.
fn steps(document: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut fence = None;
    for (line, text) in (1..).zip(document.lines()) {
        match (fence, text.strip_prefix("```")) {
            (None, Some(kind)) => {
                assert!(
                    ["sh operations", "sh systemd", "text"].contains(&kind),
                    "line {line}: nothing runs {kind}"
                );
                fence = Some(kind);
                if kind == "sh operations" {
                    steps.push(Step { line, ..Step::default() });
                }
            }
            (Some(_), Some(_)) => fence = None,
            (Some("sh systemd"), None) => {} // there is none in a test
            (Some("text"), None) => steps.last_mut().unwrap().output.push(text),
            (Some(_), None) => steps.last_mut().unwrap().commands.push(text),
            (None, None) => {
                if let Some(answer) = answer(text) {
                    steps.last_mut().unwrap().answers.push(answer);
                }
            }
        }
    }
    steps
}

/// A row of a table of questions and answers, both of which are code.
fn answer(row: &str) -> Option<Answer<'_>> {
    let row = row.strip_prefix("| `")?.strip_suffix("` |")?;
    let (question, answer) = row.split_once("` | `")?;
    question.ends_with([':', ')']).then_some((question, answer))
}

/// The folder in which the operations work. Where one of them fails, the service that they have
/// started ends with the test.
struct Home(TempDir);

impl Drop for Home {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.0.path().join("serve.pid"));
        if let Some(pid) = pid.ok().filter(|_| thread::panicking()) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

/// The document with ports that nobody has. They are two that the system has just given and taken
/// back, and it does not give them again so soon.
fn with_free_ports(document: &str) -> String {
    let sockets = ["8443", "9443"].map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
    sockets.into_iter().fold(document.to_owned(), |document, (port, socket)| {
        document.replace(port, &socket.local_addr().unwrap().port().to_string())
    })
}

#[test]
#[cfg_attr(
    not(all(has_curl, has_openssl, has_setsid)),
    ignore = "curl, openssl or setsid is not installed"
)]
fn the_operations_work_as_written() {
    let document = with_free_ports(DOCUMENT);
    let steps = steps(&document);
    assert!(steps.len() >= 30, "the document was not understood");
    assert!(steps.iter().map(|step| step.answers.len()).sum::<usize>() >= 17);

    let folder = Home(tempfile::tempdir().unwrap());
    let program = Path::new(CVV2).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([program].into_iter().chain(env::split_paths(&path))).unwrap();
    for step in steps {
        let path = format!("PATH={}", path.to_str().unwrap());
        let shell = ["env", &path, "sh", "-eu", "-c", &step.commands.join("\n")];
        let (ran, screen) = run_at_terminal(&shell, folder.0.path(), &step.answers);
        assert_eq!(ran.code, 0, "line {}: {ran:?}, screen {screen}", step.line);
        let mut rest = ran.out.as_str();
        for expected in step.output {
            let at = rest.find(expected).unwrap_or_else(|| {
                panic!("line {}: no {expected:?} in what is left: {rest}", step.line)
            });
            rest = &rest[at + expected.len()..];
        }
    }
}
