//! The terminal that custodians sit at.

use core::mem;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use super::{Prompt, PromptError};
use crate::{SecretText, SecretTextError};

/// The terminal that the process belongs to, whatever its standard input and output are.
///
/// It is opened when something is said or asked, so that whoever needs nobody's answer needs no
/// terminal.
///
/// The system edits the line (so that Backspace works) and overwrites its own copy of a hidden one
/// after it is read: Linux does so for lines that are not echoed. The line is read into one buffer
/// that does not grow. Ctrl-C and Ctrl-D end the question with an error instead of a signal, so
/// that everything is wiped and the terminal shows again what is typed; what was typed ahead of a
/// question or after its end is discarded. A process that is killed while somebody types cannot
/// tidy up: `stty sane` makes the terminal show again what is typed.
#[derive(Debug)]
pub struct Terminal {
    path: PathBuf,
    device: Option<File>,
}

impl Terminal {
    /// The terminal that the process belongs to.
    #[must_use]
    pub fn new() -> Self {
        Self::at("/dev/tty")
    }

    fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), device: None }
    }

    fn device(&mut self) -> Result<&File, PromptError> {
        if self.device.is_none() {
            // A process without a terminal does not get this one by opening it.
            let flags = OFlags::NOCTTY.bits().cast_signed();
            let file =
                OpenOptions::new().read(true).write(true).custom_flags(flags).open(&self.path);
            self.device = Some(file.map_err(|_| PromptError::NoTerminal)?);
        }
        Ok(self.device.as_ref().expect("opened just now"))
    }

    fn line(&mut self, question: &str, echo: Echo) -> Result<SecretText, PromptError> {
        let mut device = self.device()?;
        let asking = Asking::start(device, echo)?;
        device.write_all(question.as_bytes())?;
        let line = read_line(device);
        drop(asking);
        if echo == Echo::Off || line.is_err() {
            device.write_all(b"\n")?; // the one that was typed did not show
        }
        line
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Prompt for Terminal {
    fn say(&mut self, line: &str) -> Result<(), PromptError> {
        Ok(self.device()?.write_all(format!("{line}\n").as_bytes())?)
    }

    fn ask(&mut self, question: &str) -> Result<SecretText, PromptError> {
        self.line(question, Echo::On)
    }

    fn ask_hidden(&mut self, question: &str) -> Result<SecretText, PromptError> {
        self.line(question, Echo::Off)
    }
}

/// Whether what is typed shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Off,
    On,
}

/// A terminal set up for one question; it is put back when this is dropped.
struct Asking<'a> {
    device: &'a File,
    before: Termios,
}

impl<'a> Asking<'a> {
    fn start(device: &'a File, echo: Echo) -> Result<Self, PromptError> {
        let before = termios::tcgetattr(device).map_err(|_| PromptError::NoTerminal)?;
        let mut settings = before.clone();
        settings.local_modes.insert(LocalModes::ICANON | LocalModes::ECHO);
        if echo == Echo::Off {
            settings.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        }
        // Ctrl-C ends the line instead of the process.
        settings.local_modes.remove(LocalModes::ISIG);
        settings.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        set(device, &settings)?;
        Ok(Self { device, before })
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // Where this fails there is no terminal any more.
        let _ = set(self.device, &self.before);
    }
}

/// Changes the settings, and discards what was typed and not read.
fn set(device: &File, settings: &Termios) -> io::Result<()> {
    Ok(termios::tcsetattr(device, OptionalActions::Flush, settings)?)
}

fn read_line(mut device: &File) -> Result<SecretText, PromptError> {
    let mut line = Zeroizing::new(vec![0; LINE_LEN_MAX + 1]);
    // One line is one read, unless it is longer than the buffer.
    let len = loop {
        match device.read(&mut line) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if line[..len].ends_with(b"\n") {
        line.truncate(len - 1);
        Ok(SecretText::try_from(mem::take(&mut *line))?)
    } else if len == line.len() {
        Err(PromptError::Text(SecretTextError::TooLong))
    } else {
        Err(PromptError::Aborted)
    }
}

/// The longest line, in bytes: a key in hexadecimal with spaces, or any other answer. The system
/// itself takes no more than 4095.
const LINE_LEN_MAX: usize = 1024;

/// What the key sends, as a special code of the terminal.
const CTRL_C: u8 = 0x03;

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use cvv2::ExpiryOrder;
    use rustix::fs::fcntl_setfl;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;
    use crate::ceremony::{Ceremony, CvkAssembly};

    const FIRST: &str = "137A2C25C198E3EAA76161B99BA4C267";
    const SECOND: &str = "D5BFAD649E4CC43D023151DFC2791CE5";

    /// The end of a pseudo terminal that a person sits at.
    struct Person {
        master: File,
        screen: String,
    }

    impl Person {
        /// A pseudo terminal of the system's, as a terminal window has one.
        fn sits_down() -> (Self, Terminal) {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
            (Self { master: File::from(master), screen: String::new() }, Terminal::at(path))
        }

        /// Waits until the screen shows a text for the so-manieth time.
        fn waits_for(&mut self, text: &str, times: usize) {
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.screen.matches(text).count() < times {
                assert!(Instant::now() < deadline, "no {text:?} on the screen: {}", self.screen);
                self.looks();
                thread::sleep(Duration::from_millis(1));
            }
        }

        fn looks(&mut self) {
            let mut bytes = [0; 512];
            if let Ok(len) = self.master.read(&mut bytes) {
                self.screen += str::from_utf8(&bytes[..len]).unwrap();
            }
        }

        fn types(&mut self, keys: &str) {
            self.master.write_all(keys.as_bytes()).unwrap();
        }
    }

    /// Asks a question while a person waits for it and types.
    fn answered(hidden: bool, keys: &'static str) -> (Result<SecretText, PromptError>, String) {
        let (mut person, mut terminal) = Person::sits_down();
        let before = local_modes(&mut terminal);
        let typing = thread::spawn(move || {
            person.waits_for("Well? ", 1);
            person.types(keys);
            person
        });
        let line = if hidden { terminal.ask_hidden("Well? ") } else { terminal.ask("Well? ") };
        assert_eq!(local_modes(&mut terminal), before, "the terminal is as it was");
        terminal.say("Thanks.").unwrap();
        let mut person = typing.join().unwrap();
        person.waits_for("Thanks.", 1);
        (line, person.screen)
    }

    fn local_modes(terminal: &mut Terminal) -> LocalModes {
        termios::tcgetattr(terminal.device().unwrap()).unwrap().local_modes
    }

    #[test]
    fn a_hidden_line_is_read_and_edited_and_never_shown() {
        let (line, screen) = answered(true, "0123 4X\x7f567\n");
        assert_eq!(line.unwrap().as_str(), "0123 4567");
        assert_eq!(screen, "Well? \r\nThanks.\r\n");
    }

    #[test]
    fn another_line_is_shown() {
        let (line, screen) = answered(false, "Alice\n");
        assert_eq!(line.unwrap().as_str(), "Alice");
        assert_eq!(screen, "Well? Alice\r\nThanks.\r\n");
    }

    #[test]
    fn ctrl_c_and_ctrl_d_abort_the_question() {
        for keys in ["\x03", "0123\x03", "\x04", "0123\x04"] {
            for hidden in [true, false] {
                let (line, _) = answered(hidden, keys);
                assert!(matches!(line, Err(PromptError::Aborted)), "{keys:?} {hidden}");
            }
        }
    }

    #[test]
    fn a_line_is_bounded() {
        let longest = Box::leak(format!("{}\n", "0".repeat(LINE_LEN_MAX)).into_boxed_str());
        let (line, _) = answered(true, longest);
        assert_eq!(line.unwrap().as_str().len(), LINE_LEN_MAX);
        let longer = Box::leak(format!("0{longest}").into_boxed_str());
        let (line, _) = answered(true, longer);
        assert!(matches!(line, Err(PromptError::Text(SecretTextError::TooLong))));
    }

    #[test]
    fn what_is_typed_ahead_answers_nothing() {
        let (mut person, mut terminal) = Person::sits_down();
        terminal.say("Ready.").unwrap();
        person.waits_for("Ready.", 1);
        person.types("too early\n");
        person.waits_for("too early", 1); // shown, so it has arrived
        let typing = thread::spawn(move || {
            person.waits_for("Well? ", 1);
            person.types("now\n");
            person
        });
        assert_eq!(terminal.ask_hidden("Well? ").unwrap().as_str(), "now");
        typing.join().unwrap();
    }

    #[test]
    fn where_there_is_no_terminal_there_is_no_question() {
        for path in ["/dev/null", "/absent"] {
            let mut terminal = Terminal::at(path);
            assert!(matches!(terminal.ask("Well? "), Err(PromptError::NoTerminal)), "{path}");
        }
    }

    #[test]
    fn a_ceremony_at_a_terminal_shows_check_values_and_no_component() {
        let (mut person, mut terminal) = Person::sits_down();
        let typing = thread::spawn(move || {
            for (number, component) in [FIRST, SECOND].into_iter().enumerate() {
                person.waits_for("(hidden): ", number + 1);
                person.types(&format!("{component}\n"));
                person.waits_for("(yes/no) ", number + 1);
                person.types("yes\n");
            }
            person.waits_for("(yes/no) ", 3);
            person.types("yes\n");
            person
        });
        let assembly = CvkAssembly::live(ExpiryOrder::YyMm, cvv2::secret::Protection::Wiped);
        let (_, record) = Ceremony::of(2).run(&assembly, &mut terminal).unwrap();
        assert_eq!(record.kcv.to_string(), "D5BE96");

        let mut person = typing.join().unwrap();
        person.looks();
        for kcv in ["38EECD", "09A2B8", "D5BE96"] {
            assert!(person.screen.contains(kcv), "{}", person.screen);
        }
        for component in [FIRST, SECOND] {
            for part in [&component[..4], &component[28..]] {
                assert!(!person.screen.contains(part), "{}", person.screen);
            }
        }
    }
}
