//! `cvv2 cards`: create, fill, look at, change, export and check a card store, and rotate its keys.

mod add;
mod check;
mod export;
mod import;
mod init;
mod keys;
mod progress;
mod reference;
mod rewrap;
mod rotate;
mod sealed;
mod show;
mod status;

use crate::args::{CardsArgs, CardsCommand, CardsKeysCommand};
use crate::failure::{Answer, Failure};
use crate::print::Print;
use crate::store::Place;

/// Runs one of the subcommands on the store that the arguments name.
pub(crate) fn run(args: CardsArgs, print: Print) -> Result<Answer, Failure> {
    let place = Place::of(&args.store)?;
    match args.command {
        CardsCommand::Add(args) => add::run(&args, &*place.open()?, print),
        CardsCommand::Check => check::run(&*place.open_read_only()?, print),
        CardsCommand::Export(args) => export::run(&args, &*place.open_read_only()?, print),
        CardsCommand::Import(args) => import::run(&args, &place, print),
        CardsCommand::Init(args) => init::run(&args, &place, print),
        CardsCommand::Keys(CardsKeysCommand::Import(args)) => keys::import(&args, &place, print),
        CardsCommand::Keys(CardsKeysCommand::List) => keys::list(&place, print),
        CardsCommand::Rewrap(args) => rewrap::run(&args, &place, print),
        CardsCommand::Rotate(args) => rotate::run(&args, &place, print),
        CardsCommand::Show(args) => show::run(args, &*place.open_read_only()?, print),
        CardsCommand::Status(args) => status::run(args, &*place.open()?, print),
    }
}
