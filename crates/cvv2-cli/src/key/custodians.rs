//! Custodians, and what they bring.

use std::path::PathBuf;

use cvv2_keyring::ceremony::{
    Assembly, Ceremony, Custodian, Entry, Name, Prompt, PromptError, Record, Terminal,
};
use cvv2_keyring::{CheckValue, SecretText};

use crate::args::RecordArgs;
use crate::failure::Failure;

/// A ceremony as the command line plans it.
pub(super) struct Custodians {
    pub(super) ceremony: Ceremony,
    /// Whether somebody sits at the terminal.
    typing: bool,
    /// The files that its transcript goes to.
    pub(super) transcripts: Vec<PathBuf>,
}

impl Custodians {
    /// Custodians who type: so many, or as many as are named, or two.
    pub(super) fn typing(
        number: Option<u8>,
        kcv: Option<CheckValue>,
        record: RecordArgs,
    ) -> Result<Self, Failure> {
        let RecordArgs { names, transcripts } = record;
        let number = match (number, names.len()) {
            (Some(number), _) => usize::from(number),
            (None, 0) => 2,
            (None, named) => named,
        };
        // Whoever signs a transcript stands in it.
        let unnamed = if transcripts.is_empty() { Name::Unrecorded } else { Name::Asked };
        let names = known_names(names, number, &unnamed)?;
        let custodian = |name| Custodian { name, entry: Entry::default() };
        let custodians = names.into_iter().map(custodian).collect();
        Ok(Self { ceremony: Ceremony { custodians, kcv }, typing: true, transcripts })
    }

    /// Custodians who left a file each.
    pub(super) fn files(
        files: Vec<PathBuf>,
        kcv: CheckValue,
        record: RecordArgs,
    ) -> Result<Self, Failure> {
        let RecordArgs { names, transcripts } = record;
        let names = known_names(names, files.len(), &Name::Unrecorded)?;
        let custodians = names
            .into_iter()
            .zip(files)
            .map(|(name, path)| Custodian { name, entry: Entry::File(path) })
            .collect();
        let ceremony = Ceremony { custodians, kcv: Some(kcv) };
        Ok(Self { ceremony, typing: false, transcripts })
    }

    /// Lets them enter their components.
    pub(super) fn run<A: Assembly>(&self, assembly: &A) -> Result<(A::Key, Record), Failure> {
        let ran = self.ceremony.run(assembly, &mut *self.prompt());
        ran.map_err(|e| Failure::ceremony(&e))
    }

    /// Who is told and asked.
    pub(super) fn prompt(&self) -> Box<dyn Prompt> {
        if self.typing { Box::new(Terminal::new()) } else { Box::new(Nobody) }
    }
}

/// The names that were given, if they were given for all.
fn known_names(names: Vec<String>, number: usize, unnamed: &Name) -> Result<Vec<Name>, Failure> {
    match names.len() {
        0 => Ok(vec![unnamed.clone(); number]),
        named if named == number => Ok(names.into_iter().map(Name::Given).collect()),
        named => Err(Failure::BadInput(format!(
            "--custodian names {named} of {number} custodians; name all of them or none"
        ))),
    }
}

/// There is nobody to ask; what there is to tell goes to standard error.
struct Nobody;

impl Prompt for Nobody {
    fn say(&mut self, line: &str) -> Result<(), PromptError> {
        eprintln!("cvv2: {line}");
        Ok(())
    }

    fn ask(&mut self, _: &str) -> Result<SecretText, PromptError> {
        Err(PromptError::NoTerminal)
    }

    fn ask_hidden(&mut self, _: &str) -> Result<SecretText, PromptError> {
        Err(PromptError::NoTerminal)
    }
}
