//! `cvv2 key`: make, fill, look at and change a keyring.

mod addition;
mod ceremony;
mod change;
mod check;
mod custodians;
mod export;
mod import;
mod init;
mod list;
mod material;
mod rotate;
mod source;
mod transcript;

pub(crate) use self::material::Material;

use cvv2_keyring::{CheckValue, Token};

use crate::args::{CeremonyCommand, KeyArgs, KeyCommand};
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Runs one of the subcommands on the keyring that the arguments name.
pub(crate) fn run(args: KeyArgs, print: Print) -> Result<Answer, Failure> {
    // The one command that needs no keyring.
    if let KeyCommand::Ceremony(CeremonyCommand::Kbpk(args)) = args.command {
        return ceremony::kbpk(args, print);
    }
    let place = Place::of(&args.keyring)?;
    match args.command {
        KeyCommand::Ceremony(CeremonyCommand::Kbpk(_)) => unreachable!("answered above"),
        KeyCommand::Ceremony(CeremonyCommand::Cvk(args)) => ceremony::cvk(args, &place, print),
        KeyCommand::Check => check::run(&place, print),
        KeyCommand::Export(args) => export::run(&args, &place, print),
        KeyCommand::Import(args) => import::run(args, &place, print),
        KeyCommand::Init(args) => init::run(&args, &place, print),
        KeyCommand::List(args) => list::run(&args, &place, print),
        KeyCommand::Remove(args) => change::remove(&args.name, &place, print),
        KeyCommand::Retire(args) => change::retire(&args.name, &place, print),
        KeyCommand::Rotate(args) => rotate::run(args, &place, print),
        KeyCommand::Set(args) => change::set(&args, &place, print),
    }
}

/// A name of the command line.
fn token(argument: &str, text: &str) -> Result<Token, Failure> {
    Token::parse(text).map_err(|e| Failure::BadInput(format!("{argument}: {e}")))
}

/// A check value of the command line.
fn check_value(text: &str) -> Result<CheckValue, Failure> {
    CheckValue::parse(text)
        .ok_or_else(|| Failure::bad_input("--kcv: give six hexadecimal digits, 08D7B4"))
}
