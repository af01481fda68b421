//! The identifier that names a card to a command.

use std::io::{self, IsTerminal};

use cvv2::Pan;
use cvv2_keyring::ceremony::{Prompt, Terminal};
use cvv2_resolver::{CardRef, ContractNumber, Exid, ExidForm};

use crate::args::ReferenceArgs;
use crate::failure::Failure;
use crate::input::{Typed, read_standard_input};

/// The longest identifier line on standard input, in bytes.
const LINE_BYTES_MAX: usize = 256;

/// An identifier, and whether other users may have seen it.
pub(super) struct Given {
    pub(super) reference: CardRef,
    on_command_line: bool,
}

impl Given {
    /// The identifier of the arguments: from the command line, or for `-` from a hidden prompt or the
    /// first line of standard input.
    pub(super) fn of(args: ReferenceArgs) -> Result<Self, Failure> {
        match (args.exid, args.contract_number) {
            (Some(text), _) => Self::read(text, "EXID", |text| {
                Exid::parse(text, ExidForm::Any).map(CardRef::from).map_err(Failure::bad_input)
            }),
            (None, Some(text)) => Self::read(text, "Contract number", |text| {
                ContractNumber::parse(text).map(CardRef::from).map_err(Failure::bad_input)
            }),
            (None, None) => Err(Failure::bad_input("give --exid or --contract-number")),
        }
    }

    fn read(
        text: String,
        what: &str,
        parse: impl Fn(&str) -> Result<CardRef, Failure>,
    ) -> Result<Self, Failure> {
        let text = Typed::from(text);
        if text.as_str() != "-" {
            let reference = parse(text.as_str())?;
            return if reference.is_pan() {
                Err(visible())
            } else {
                Ok(Self { reference, on_command_line: true })
            };
        }
        let reference = if io::stdin().is_terminal() {
            let asked = Terminal::new().ask_hidden(&format!("{what} (hidden): "));
            parse(asked.map_err(|e| Failure::prompt(&e))?.as_str())?
        } else {
            let bytes = read_standard_input::<LINE_BYTES_MAX>()?;
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = str::from_utf8(line);
            parse(line.map_err(|_| Failure::bad_input("standard input is not text"))?.trim())?
        };
        Ok(Self { reference, on_command_line: false })
    }

    /// Refuses an identifier that was on the command line and is the card's PAN, which only shows
    /// once the card is known if the Luhn check fails.
    pub(super) fn keep_pan_hidden(&self, pan: &Pan) -> Result<(), Failure> {
        let is_pan = || Pan::parse(self.reference.expose()).is_ok_and(|named| named == *pan);
        if self.on_command_line && is_pan() { Err(visible()) } else { Ok(()) }
    }
}

fn visible() -> Failure {
    Failure::bad_input(
        "this identifier is a PAN, which other users can see on the command line; give `-` and \
         write it to standard input",
    )
}
