//! `cvv2 key rotate`: the key that takes over from another.

use super::addition::Addition;
use super::source::Source;
use crate::args::RotateArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Takes a successor of a key into the keyring.
pub(super) fn run(args: RotateArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let RotateArgs { older, name, from, cards_expiring_from, source } = args;
    let source = Source::of(source)?;
    if cards_expiring_from.is_none() {
        eprintln!(
            "cvv2: without --cards-expiring-from, cards that are in circulation get values of the \
             new key from {from} on, and not those that were printed on them"
        );
    }
    let rotation = Addition::Rotate { older, name, from, cards_expiring_from };
    rotation.run(&source, place, print)
}
