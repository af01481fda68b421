//! A person at a terminal, for tests: who answers as planned.

use std::collections::VecDeque;

use super::{Prompt, PromptError};
use crate::{SecretText, SecretTextError};

/// What the person at the terminal does next.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Hidden(&'static str),
    Shown(&'static str),
    TooLong,
    Abort,
}

/// Somebody who answers as planned, and the screen as it was.
pub(crate) struct Script {
    acts: VecDeque<Act>,
    screen: String,
}

impl Script {
    pub(crate) fn new(acts: &[Act]) -> Self {
        Self { acts: acts.iter().copied().collect(), screen: String::new() }
    }

    /// The screen as it was; every answer has to be used.
    pub(crate) fn end(self) -> String {
        assert!(self.acts.is_empty(), "answers that nobody asked for");
        self.screen
    }

    fn next(&mut self, question: &str) -> Act {
        self.screen += question;
        self.screen += "\n";
        self.acts.pop_front().unwrap_or_else(|| panic!("one question too many: {question}"))
    }
}

impl Prompt for Script {
    fn say(&mut self, line: &str) -> Result<(), PromptError> {
        self.screen += line;
        self.screen += "\n";
        Ok(())
    }

    fn ask(&mut self, question: &str) -> Result<SecretText, PromptError> {
        match self.next(question) {
            Act::Shown(answer) => Ok(SecretText::try_from(answer.as_bytes().to_vec())?),
            Act::Abort => Err(PromptError::Aborted),
            Act::Hidden(_) | Act::TooLong => {
                panic!("a component is asked for in the open: {question}")
            }
        }
    }

    fn ask_hidden(&mut self, question: &str) -> Result<SecretText, PromptError> {
        match self.next(question) {
            Act::Hidden(answer) => Ok(SecretText::try_from(answer.as_bytes().to_vec())?),
            Act::TooLong => Err(PromptError::Text(SecretTextError::TooLong)),
            Act::Abort => Err(PromptError::Aborted),
            Act::Shown(answer) => panic!("{answer} is asked for hidden: {question}"),
        }
    }
}
