//! Key ceremonies: full-length components, entered by one custodian after the other and put
//! together.
//!
//! What is put together is an [`Assembly`]'s matter: a pair of card verification keys
//! ([`CvkAssembly`]) or a key block protection key ([`KbpkAssembly`](crate::kbpk::KbpkAssembly)).
//! The custodians answer through a [`Prompt`], which is the [`Terminal`] or, in a test, a script.
//! Everybody confirms the check value of what they typed, and all of them that of the key; whatever
//! ends a ceremony before that leaves nothing behind. What may be filed is the [`Transcript`].

mod cvk;
mod error;
mod prompt;
#[cfg(test)]
pub(crate) mod script;
mod terminal;
mod transcript;

pub use cvk::CvkAssembly;
pub use error::CeremonyError;
pub use prompt::{Prompt, PromptError};
pub use terminal::Terminal;
pub use transcript::{Participant, Record, Transcript};

use core::error::Error;
use core::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use cvv2::{Kcv, KcvMethod};

use crate::CheckValue;
use crate::secret_file;

/// The fewest and the most custodians of a key.
pub const CUSTODIANS: RangeInclusive<usize> = 2..=3;

/// How often a custodian may answer a question before the ceremony ends.
pub const TRIES_MAX: usize = 3;

/// The longest name of a custodian, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// What components are put together to.
pub trait Assembly {
    /// What one custodian holds.
    type Component;
    /// What the components are the exclusive-or of.
    type Key;
    /// Why a text is no component, or components are no key. Its text shows nothing of either.
    type Error: Error + 'static;

    /// What the key is for, as a question and a transcript name it.
    fn purpose(&self) -> &'static str;

    /// The cipher and the length of the key, as a transcript names them.
    fn algorithm(&self) -> &'static str;

    /// Hexadecimal digits of a component.
    fn digits(&self) -> usize;

    /// How the check values are computed.
    fn kcv_method(&self) -> KcvMethod;

    /// Reads a component of exactly [`digits`](Self::digits) hexadecimal digits, in either case.
    ///
    /// # Errors
    ///
    /// For any other text.
    fn component(&self, hex: &str) -> Result<Self::Component, Self::Error>;

    /// The check value of a component.
    fn component_kcv(&self, component: &Self::Component) -> Kcv;

    /// Puts all components together.
    ///
    /// # Errors
    ///
    /// For a sum that is no good key.
    fn put_together(&self, components: &[Self::Component]) -> Result<Self::Key, Self::Error>;

    /// The check value of the key.
    fn kcv(&self, key: &Self::Key) -> Kcv;
}

/// A ceremony as it was planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    /// Two or three custodians, in the order in which they come forward.
    pub custodians: Vec<Custodian>,
    /// The check value that the key must have. Where it is not known beforehand it is shown and
    /// has to be confirmed.
    pub kcv: Option<CheckValue>,
}

/// One custodian of a ceremony.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Custodian {
    /// Under what name they go on record.
    pub name: Name,
    /// Where their component comes from.
    pub entry: Entry,
}

/// Under what name a custodian goes on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// They are asked for it.
    Asked,
    /// It is known.
    Given(String),
    /// Under none.
    #[default]
    Unrecorded,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A file that only its owner may read, which holds the component in hexadecimal digits, a
    /// space, and its check value.
    File(PathBuf),
    /// The custodian types it.
    Typed {
        /// The check value that it must have. Where it is not known beforehand it is shown and has
        /// to be confirmed.
        kcv: Option<CheckValue>,
    },
}

impl Default for Entry {
    fn default() -> Self {
        Self::Typed { kcv: None }
    }
}

impl Ceremony {
    /// A ceremony of so many custodians who type their components and stay unnamed.
    #[must_use]
    pub fn of(custodians: usize) -> Self {
        Self { custodians: vec![Custodian::default(); custodians], kcv: None }
    }

    /// Lets every custodian enter a component, and puts the key together.
    ///
    /// # Errors
    ///
    /// [`CeremonyError`] for what cannot be a key, for check values that nobody confirms, and as
    /// soon as a custodian aborts. Nothing that was entered is left then.
    pub fn run<A: Assembly>(
        &self,
        assembly: &A,
        prompt: &mut dyn Prompt,
    ) -> Result<(A::Key, Record), CeremonyError<A::Error>> {
        let of = self.custodians.len();
        if !CUSTODIANS.contains(&of) {
            return Err(CeremonyError::Custodians { given: of });
        }
        prompt.say(&format!(
            "{}, {}, from {of} components of {} hexadecimal digits. Ctrl-C ends it and leaves \
             nothing.",
            assembly.purpose(),
            assembly.algorithm(),
            assembly.digits()
        ))?;

        let mut components = Vec::with_capacity(of);
        let mut participants: Vec<Participant> = Vec::with_capacity(of);
        for (number, custodian) in (1..).zip(&self.custodians) {
            let mut seat = Seat { assembly, prompt, number, of };
            let name = seat.name(&custodian.name, &participants)?;
            let (component, kcv) = match &custodian.entry {
                Entry::File(path) => seat.read(path)?,
                Entry::Typed { kcv } => seat.ask(*kcv)?,
            };
            refuse_known_sum(assembly, kcv, &participants)?;
            components.push(component);
            participants.push(Participant { name, kcv });
        }

        let key = assembly.put_together(&components).map_err(CeremonyError::Key)?;
        drop(components);
        let kcv = CheckValue::from(assembly.kcv(&key));
        confirm_key(self.kcv, kcv, prompt)?;
        let record = Record {
            purpose: assembly.purpose(),
            algorithm: assembly.algorithm(),
            kcv_method: assembly.kcv_method(),
            custodians: participants,
            kcv,
        };
        Ok((key, record))
    }
}

/// Where one custodian enters one component.
struct Seat<'a, A> {
    assembly: &'a A,
    prompt: &'a mut dyn Prompt,
    /// Which component, counted from one.
    number: usize,
    /// How many there are.
    of: usize,
}

impl<A: Assembly> Seat<'_, A> {
    fn name(
        &mut self,
        name: &Name,
        earlier: &[Participant],
    ) -> Result<Option<String>, CeremonyError<A::Error>> {
        match name {
            Name::Unrecorded => Ok(None),
            Name::Given(name) => match judge_name(name, earlier) {
                Ok(name) => Ok(Some(name.to_owned())),
                Err(why) => Err(CeremonyError::Name { number: self.number, why }),
            },
            Name::Asked => {
                let question = format!("Custodian {} of {}, your name: ", self.number, self.of);
                for _ in 0..TRIES_MAX {
                    let name = self.prompt.ask(&question)?;
                    match judge_name(name.as_str(), earlier) {
                        Ok(name) => return Ok(Some(name.to_owned())),
                        Err(why) => self.prompt.say(&format!("Not a name: {why}."))?,
                    }
                }
                Err(CeremonyError::Tries { number: self.number })
            }
        }
    }

    /// Has the custodian type the component until its check value is right.
    fn ask(
        &mut self,
        expected: Option<CheckValue>,
    ) -> Result<(A::Component, CheckValue), CeremonyError<A::Error>> {
        let (number, of) = (self.number, self.of);
        let question = format!("Component {number} of {of} (hidden): ");
        for _ in 0..TRIES_MAX {
            let typed = match self.prompt.ask_hidden(&question) {
                Ok(typed) => typed.without_spaces(),
                Err(PromptError::Text(error)) => {
                    self.prompt.say(&format!("Not a component: {error}."))?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let component = match self.assembly.component(typed.as_str()) {
                Ok(component) => component,
                Err(error) => {
                    self.prompt.say(&format!("Not a component: {error}."))?;
                    continue;
                }
            };
            let kcv = CheckValue::from(self.assembly.component_kcv(&component));
            match expected {
                Some(expected) if expected == kcv => {
                    self.prompt.say(&format!("Check value {kcv}, as expected."))?;
                    return Ok((component, kcv));
                }
                Some(expected) => self.prompt.say(&format!(
                    "Check value {kcv}, but it has to be {expected}: something was mistyped."
                ))?,
                None => {
                    let question = format!("Check value {kcv}. Is it the one on your form?");
                    if confirmed(&question, self.prompt)? {
                        return Ok((component, kcv));
                    }
                }
            }
        }
        Err(CeremonyError::Tries { number })
    }

    /// Reads the component and its check value from a file.
    fn read(&mut self, path: &Path) -> Result<(A::Component, CheckValue), CeremonyError<A::Error>> {
        let number = self.number;
        let text = secret_file::read(path).map_err(CeremonyError::File)?;
        let form = || CeremonyError::Form { path: path.to_owned() };
        let (hex, stated) = text.as_str().rsplit_once([' ', '\t', '\n']).ok_or_else(form)?;
        let stated = CheckValue::parse(stated).ok_or_else(form)?;
        let component = self
            .assembly
            .component(hex.trim_end())
            .map_err(|error| CeremonyError::Component { number, error })?;
        let computed = CheckValue::from(self.assembly.component_kcv(&component));
        if stated != computed {
            return Err(CeremonyError::ComponentKcv { number, stated, computed });
        }
        self.prompt.say(&format!("Component {number} of {}: check value {computed}.", self.of))?;
        Ok((component, computed))
    }
}

/// Refuses a component that would leave the others alone to make the key: all zeros, or the same
/// one twice.
///
/// Check values stand for the components: other components collide in one of 16 million cases, and
/// then a component has to be replaced for nothing.
fn refuse_known_sum<A: Assembly>(
    assembly: &A,
    kcv: CheckValue,
    earlier: &[Participant],
) -> Result<(), CeremonyError<A::Error>> {
    let second = earlier.len() + 1;
    let zeros = "0".repeat(assembly.digits());
    if let Ok(zero) = assembly.component(&zeros)
        && CheckValue::from(assembly.component_kcv(&zero)) == kcv
    {
        return Err(CeremonyError::Zero { number: second });
    }
    match earlier.iter().position(|participant| participant.kcv == kcv) {
        Some(index) => Err(CeremonyError::Equal { first: index + 1, second }),
        None => Ok(()),
    }
}

fn confirm_key<E>(
    expected: Option<CheckValue>,
    kcv: CheckValue,
    prompt: &mut dyn Prompt,
) -> Result<(), CeremonyError<E>> {
    match expected {
        Some(expected) if expected == kcv => {
            Ok(prompt.say(&format!("Check value of the key {kcv}, as expected."))?)
        }
        Some(expected) => Err(CeremonyError::Kcv { expected, computed: kcv }),
        None if confirmed(&format!("Check value of the key {kcv}. Take it?"), prompt)? => Ok(()),
        None => Err(CeremonyError::NotConfirmed),
    }
}

/// Whether a question is answered with yes.
fn confirmed<E>(question: &str, prompt: &mut dyn Prompt) -> Result<bool, CeremonyError<E>> {
    for _ in 0..TRIES_MAX {
        let answer = prompt.ask(&format!("{question} (yes/no) "))?;
        // Compared where it is: it may be a component, typed at the wrong question.
        let is = |word| answer.as_str().eq_ignore_ascii_case(word);
        if is("yes") {
            return Ok(true);
        }
        if is("no") {
            return Ok(false);
        }
        prompt.say("Answer with the whole word, yes or no.")?;
    }
    Err(CeremonyError::NotConfirmed)
}

/// The name of a further custodian without the white space around it, or why it is none.
fn judge_name<'a>(name: &'a str, earlier: &[Participant]) -> Result<&'a str, &'static str> {
    let name = name.trim();
    let digits = name.chars().filter(char::is_ascii_hexdigit).count();
    if name.is_empty() {
        Err("it is empty")
    } else if name.chars().count() > NAME_CHARS_MAX {
        Err("it has more than 64 characters")
    } else if name.chars().any(char::is_control) {
        Err("it holds control characters")
    } else if digits >= 16 && name.chars().all(|c| c.is_ascii_hexdigit() || c == ' ') {
        Err("it looks like a component, and it was visible; if it is one, have it replaced")
    } else if earlier.iter().any(|other| {
        other.name.as_ref().is_some_and(|other| other.to_lowercase() == name.to_lowercase())
    }) {
        Err("a custodian holds one component only")
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests;
