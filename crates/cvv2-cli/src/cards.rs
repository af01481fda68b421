//! `cvv2 cards`: create, fill, look at and check a card store.

mod add;
mod import;
mod show;

use std::path::{Path, PathBuf};

use cvv2_keyring::secret_file;
use cvv2_resolver::{CheckReport, EmbeddedStore, StoreError, StoreKeys};
use serde_json::json;

use crate::args::{CardsArgs, CardsCommand};
use crate::config::Config;
use crate::failure::{Answer, Failure};
use crate::print::Print;

/// Runs one of the subcommands on the store that the arguments name.
pub(crate) fn run(args: CardsArgs, print: Print) -> Result<Answer, Failure> {
    let place = Place::of(&args)?;
    match args.command {
        CardsCommand::Add(args) => add::run(&args, &place.open()?, print),
        CardsCommand::Check => check(&place.open_read_only()?, print),
        CardsCommand::Import(args) => import::run(&args, &place, print),
        CardsCommand::Init => init(&place, print),
        CardsCommand::Show(args) => show::run(args, &place.open_read_only()?, print),
    }
}

/// Where a store and its keys are.
pub(crate) struct Place {
    store: PathBuf,
    keys: PathBuf,
}

impl Place {
    fn of(args: &CardsArgs) -> Result<Self, Failure> {
        if let Some(path) = &args.config {
            let config = Config::read(path)?;
            let store = config.path(&config.store.path);
            return Ok(Self { store, keys: config.path(&config.store.keys_file) });
        }
        match (&args.store, &args.store_keys) {
            (Some(store), Some(keys)) => Ok(Self { store: store.clone(), keys: keys.clone() }),
            _ => Err(Failure::bad_input(
                "which store? give --store DIR and --store-keys FILE, or --config FILE",
            )),
        }
    }

    /// Opens the store for reading and writing.
    fn open(&self) -> Result<EmbeddedStore, Failure> {
        EmbeddedStore::open(&self.store, &store_keys(&self.keys)?).map_err(|e| store_failure(&e))
    }

    /// Opens the store for reading, beside a writer.
    fn open_read_only(&self) -> Result<EmbeddedStore, Failure> {
        EmbeddedStore::open_read_only(&self.store, &store_keys(&self.keys)?)
            .map_err(|e| store_failure(&e))
    }
}

/// Reads the file with the store's two keys.
pub(crate) fn store_keys(path: &Path) -> Result<StoreKeys, Failure> {
    let text = secret_file::read(path).map_err(|e| Failure::key_file(&e))?;
    StoreKeys::from_hex(text.as_str())
        .map_err(|e| Failure::BadInput(format!("{}: {e}", path.display())))
}

/// Whose fault a store's refusal is: the caller's to mend, or the system's.
pub(crate) fn store_failure(error: &StoreError) -> Failure {
    match error {
        StoreError::Damaged { .. } | StoreError::Generator | StoreError::Storage(_) => {
            Failure::system(error)
        }
        _ => Failure::bad_input(error),
    }
}

fn init(place: &Place, print: Print) -> Result<Answer, Failure> {
    let made_keys = !place.keys.exists();
    let keys = if made_keys {
        // On disk before the store is: a crash between the two leaves keys that the next run uses,
        // never a store whose keys are lost.
        let keys = StoreKeys::generate().map_err(Failure::system)?;
        secret_file::create(&place.keys, &keys.to_hex()).map_err(|e| Failure::key_file(&e))?;
        keys
    } else {
        store_keys(&place.keys)?
    };
    EmbeddedStore::create(&place.store, &keys).map_err(|e| store_failure(&e))?;
    let (store, file) = (place.store.display(), place.keys.display());
    let origin = if made_keys { "new keys in" } else { "the keys of" };
    print.answer(
        format_args!(
            "created {store} under {origin} {file} (id {}); without that file no card of the \
             store can be read, so keep a copy in another place",
            keys.id()
        ),
        &json!({
            "store": place.store, "keys_file": place.keys,
            "keys_made": made_keys, "key_id": keys.id().to_string(),
        }),
    )?;
    Ok(Answer::Done)
}

fn check(store: &EmbeddedStore, print: Print) -> Result<Answer, Failure> {
    use cvv2_resolver::CardStore;

    let report = store.check().map_err(|e| store_failure(&e))?;
    let CheckReport {
        cards,
        references,
        cards_unopened,
        references_unopened,
        references_missing,
        references_differing,
        references_unlisted,
        ..
    } = report;
    let sound = report.is_sound();
    print.answer(
        if sound {
            format!("{cards} cards under {references} references, all sound")
        } else {
            format!(
                "{cards} cards under {references} references; wrong: {cards_unopened} cards do not \
                 open, {references_unopened} references do not open, {references_missing} are \
                 missing, {references_differing} differ from their card, {references_unlisted} \
                 belong to no card; restore the store from a backup"
            )
        },
        &json!({
            "sound": sound, "cards": cards, "references": references,
            "cards_unopened": cards_unopened, "references_unopened": references_unopened,
            "references_missing": references_missing,
            "references_differing": references_differing,
            "references_unlisted": references_unlisted,
        }),
    )?;
    Ok(if sound { Answer::Done } else { Answer::Negative })
}
