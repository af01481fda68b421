//! The CVK pair of one calculation.

use std::sync::Arc;

use cvv2::{CvkPair, Pan, Policy};
use cvv2_keyring::{KeyEntry, Kind, State};

use crate::args::CvkArgs;
use crate::failure::Failure;
use crate::kernel;
use crate::keyring::Place;

/// A test key, or a key of a keyring with what the keyring says of it.
pub(crate) struct Cvk {
    pub(crate) pair: Arc<CvkPair>,
    entry: Option<KeyEntry>,
}

impl Cvk {
    /// The key that the arguments name.
    pub(crate) fn of(args: &CvkArgs) -> Result<Self, Failure> {
        match (&args.test_key, args.expiry_order, &args.key) {
            (Some(hex), Some(order), _) => {
                eprintln!(
                    "cvv2: --test-key is for published test vectors; never give it a live key"
                );
                let pair = CvkPair::from_hex(hex, order.into(), Policy::TestVectors)
                    .map_err(Failure::bad_input)?
                    .with_kernel(kernel::chosen()?);
                Ok(Self { pair: Arc::new(pair), entry: None })
            }
            (_, _, Some(name)) => Self::of_keyring(name, &Place::of(&args.keyring)?),
            _ => Err(Failure::bad_input("give --test-key and --expiry-order, or --key")),
        }
    }

    fn of_keyring(name: &str, place: &Place) -> Result<Self, Failure> {
        let keyring = place.open()?;
        let entry = keyring.get(name).ok_or_else(Failure::no_such_key)?;
        let pair = keyring.cvk(name).ok_or_else(|| {
            Failure::bad_input("the key is retired, and neither generates nor verifies any more")
        })?;
        Ok(Self { pair: Arc::clone(pair), entry: Some(entry.clone()) })
    }

    /// Refuses to generate with a key that is not active.
    pub(crate) fn may_generate(&self) -> Result<(), Failure> {
        match &self.entry {
            Some(entry) if entry.state != State::Active => Err(Failure::BadInput(format!(
                "the key is {} and does not generate; see `cvv2 key set --help`",
                entry.state
            ))),
            _ => Ok(()),
        }
    }

    /// Refuses cards and kinds of values that the keyring does not have the key for.
    pub(crate) fn is_for(&self, kind: Kind, pan: &Pan) -> Result<(), Failure> {
        let Some(entry) = &self.entry else { return Ok(()) };
        if !entry.kinds.contains(&kind) {
            return Err(Failure::BadInput(format!(
                "the keyring does not have this key for the kind {kind}; see `cvv2 key list`"
            )));
        }
        if !entry.bins.iter().any(|bins| bins.contains(pan)) {
            return Err(Failure::bad_input(
                "the keyring does not have this key for the card's BIN; see `cvv2 key list`",
            ));
        }
        Ok(())
    }
}
