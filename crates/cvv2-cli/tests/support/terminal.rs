//! A terminal, and a person who sits at it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::Ran;

/// What the terminal asks, and what the person types at that.
pub(crate) type Answer<'a> = (&'a str, &'a str);

/// Runs a program in a session of its own, at whose terminal somebody answers what it asks, and
/// gives back what it came to, and the screen.
pub(crate) fn run_at_terminal(
    command: &[&str],
    folder: &Path,
    answers: &[Answer<'_>],
) -> (Ran, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let no_controlling_terminal = OFlags::NOCTTY.bits().cast_signed();
    let seat = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(no_controlling_terminal)
        .open(name)
        .unwrap();

    let child = Command::new("setsid")
        .args(["--ctty", "--wait"])
        .args(command)
        .current_dir(folder)
        .stdin(seat)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = thread::spawn(move || Ran::from(child.wait_with_output().unwrap()));
    let mut person = Person { master: File::from(master), screen: String::new(), read: 0 };
    for (question, typed) in answers {
        if !person.waits_for(question, || ended.is_finished()) {
            let screen = person.screen;
            drop(person.master); // hangs up, which ends who still waits
            let ran = ended.join();
            panic!("never asked {question:?}: {ran:?}, screen {screen:?}");
        }
        person.types(typed);
    }
    while !ended.is_finished() {
        person.looks();
    }
    person.looks();
    (ended.join().unwrap(), person.screen)
}

struct Person {
    master: File,
    screen: String,
    /// How much of the screen was answered.
    read: usize,
}

impl Person {
    /// Waits until something is on the screen that was not answered yet; false if it never comes.
    fn waits_for(&mut self, question: &str, ended: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let over = ended() || Instant::now() > deadline;
            self.looks();
            if let Some(at) = self.screen[self.read..].find(question) {
                self.read += at + question.len();
                return true;
            }
            if over {
                return false;
            }
        }
    }

    fn looks(&mut self) {
        let mut bytes = [0; 4096];
        match self.master.read(&mut bytes) {
            Ok(len) => self.screen += &String::from_utf8_lossy(&bytes[..len]),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }

    fn types(&mut self, line: &str) {
        self.master.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
