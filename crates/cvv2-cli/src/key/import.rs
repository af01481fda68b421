//! `cvv2 key import`: a key that comes from elsewhere, or is made.

use super::addition::Addition;
use super::source::Source;
use crate::args::ImportArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Takes a key into the keyring.
pub(super) fn run(args: ImportArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let source = Source::of(args.source)?;
    Addition::Import(args.entry).run(&source, place, print)
}
