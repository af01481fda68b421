//! A key's way into the keyring.

use cvv2::key::Kbpk;
use cvv2_keyring::{BinRange, Date, Draft, KeyEntry, Month, Successor};
use serde_json::json;

use super::material::Material;
use super::source::Source;
use super::{list, token};
use crate::args::EntryArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// What the keyring is to say of a key that is not there yet.
pub(super) enum Addition {
    /// A key on its own.
    Import(EntryArgs),
    /// A key that takes over from another.
    Rotate {
        /// The other's name.
        older: String,
        /// Its own name.
        name: String,
        /// Its first day.
        from: Date,
        /// The first month of expiry of its cards.
        cards_expiring_from: Option<Month>,
    },
}

impl Addition {
    /// Takes the key from where it is, and into the keyring.
    ///
    /// What the keyring is to say of it is tried before, with a key that is thrown away: custodians
    /// who came together should not learn at the end that a name is taken.
    pub(super) fn run(
        &self,
        source: &Source,
        place: &Place,
        print: Print,
    ) -> Result<Answer, Failure> {
        let kbpk = place.kbpk()?;
        self.draft(&Material::made(&kbpk)?, &kbpk, place)?;

        let (material, filing) = source.take(&kbpk, place)?;
        let draft = self.draft(&material, &kbpk, place)?;
        let keyring = draft.commit().map_err(|e| Failure::keyring(&e))?;
        let name = self.name();
        let entry = keyring.get(name).expect("added just now");
        let (kcv, state, from) = (entry.kcv, entry.state, entry.from);
        filing.file(Some((name, &place.path)), place.now())?;
        print.answer(
            format_args!("{name}, check value {kcv}, is in the keyring: {state}, from {from}"),
            &json!({ "key": list::json(entry) }),
        )?;
        Ok(Answer::Done)
    }

    fn name(&self) -> &str {
        match self {
            Self::Import(args) => &args.name,
            Self::Rotate { name, .. } => name,
        }
    }

    /// The keyring with this key added.
    fn draft<'a>(
        &self,
        material: &Material,
        kbpk: &'a Kbpk,
        place: &Place,
    ) -> Result<Draft<'a>, Failure> {
        let mut draft = Draft::open(&place.path, kbpk).map_err(|e| Failure::keyring(&e))?;
        let (kcv, block) = (material.kcv, material.block.clone());
        let added = match self {
            Self::Import(args) => draft.import(KeyEntry {
                name: token("--name", &args.name)?,
                scheme: token("--scheme", &args.scheme)?,
                kinds: args.kinds.iter().map(|kind| (*kind).into()).collect(),
                bins: args.bins.iter().map(|bins| bin_range(bins)).collect::<Result<_, _>>()?,
                expiry_order: args.expiry_order.into(),
                state: args.state,
                from: args.from,
                until: args.until,
                cards_expiring_from: args.cards_expiring_from,
                predecessor: None,
                kcv,
                block,
            }),
            Self::Rotate { older, name, from, cards_expiring_from } => {
                let (from, cards_expiring_from) = (*from, *cards_expiring_from);
                let name = token("--name", name)?;
                draft.rotate(older, Successor { name, from, cards_expiring_from, kcv, block })
            }
        };
        added.map_err(|e| Failure::keyring(&e))?;
        Ok(draft)
    }
}

fn bin_range(text: &str) -> Result<BinRange, Failure> {
    BinRange::parse(text).map_err(|e| Failure::BadInput(format!("--bins: {e}")))
}
