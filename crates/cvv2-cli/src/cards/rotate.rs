//! `cvv2 cards rotate`: a new sealing key for a store that is in use.
//!
//! Whatever stops it, what is on disk says what is left to do: as long as the file of keys holds more
//! than one sealing key, a rotation to the newest one is not finished.

use cvv2::key::Kbpk;
use cvv2_resolver::{KeyVersion, StoreKeys};
use serde_json::json;

use super::progress::Progress;
use crate::args::CardsRotateArgs;
use crate::failure::{Answer, Failure};
use crate::print::Print;
use crate::store::{Place, Store, store_failure};
use crate::store_keys;

/// Rows that are sealed again in one step.
const ROWS_PER_STEP: usize = 20_000;

/// Begins a rotation, or goes on with one, and finishes it.
pub(super) fn run(args: &CardsRotateArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let kbpk = place.kbpk()?;
    let mut keys = store_keys::read(&place.keys, &kbpk)?;
    // Before anything is changed, and it keeps other writers away.
    let mut store = place.open_with(&keys)?;
    let is_under_way = keys.versions().count() > 1;
    if !is_under_way {
        if args.resume {
            print.answer(
                "no rotation is under way",
                &json!({
                    "version": store.current_key().number(), "rows": 0, "continued": false,
                    "dropped": [],
                }),
            )?;
            return Ok(Answer::Done);
        }
        keys = store_keys::change(&place.keys, &kbpk, |keys| keys.add_sealing().map(drop))?;
        drop(store);
        store = place.open_with(&keys)?;
    }
    let version = newest(&keys);
    let has_begun = store.current_key() >= version;
    if args.prepare {
        let state = if has_begun {
            "which a rotation has begun to seal under; run `cvv2 cards rotate` to finish it"
        } else {
            "which nothing is sealed under yet; start the readers of the store anew, then run \
             `cvv2 cards rotate`"
        };
        print.answer(
            format_args!(
                "{} holds a sealing key of version {version}, {state}",
                place.keys.display()
            ),
            &json!({ "version": version.number(), "prepared": true, "begun": has_begun }),
        )?;
        return Ok(Answer::Done);
    }

    if !has_begun {
        store.begin_rotation(version).map_err(|e| store_failure(&e))?;
    }
    let rows = reseal(&*store)?;
    // While the store is still locked.
    let dropped = drop_older(&keys, version, place, &kbpk)?;
    drop(store);

    let file = place.keys.display();
    let older: Vec<_> = dropped.iter().map(ToString::to_string).collect();
    print.answer(
        format_args!(
            "all cards are sealed under version {version}, {rows} rows of them by this run; version \
             {} is dropped from {file}. Backups of the store from before need {file}.previous",
            older.join(", ")
        ),
        &json!({
            "version": version.number(), "rows": rows, "continued": is_under_way,
            "dropped": dropped.iter().map(|version| version.number()).collect::<Vec<_>>(),
        }),
    )?;
    Ok(Answer::Done)
}

fn newest(keys: &StoreKeys) -> KeyVersion {
    keys.versions().last().expect("a store has a sealing key")
}

/// Seals everything under the current key that is not yet; gives the number of rows.
fn reseal(store: &dyn Store) -> Result<u64, Failure> {
    let progress = Progress::of_thousandths();
    let mut rows = 0;
    loop {
        let step = store.reseal(ROWS_PER_STEP).map_err(|e| store_failure(&e))?;
        rows += step.rows;
        progress.show("sealing", step.done.into());
        if step.is_all() {
            progress.finish();
            return Ok(rows);
        }
    }
}

/// Takes the keys that nothing is sealed under any more out of the file.
fn drop_older(
    keys: &StoreKeys,
    version: KeyVersion,
    place: &Place,
    kbpk: &Kbpk,
) -> Result<Vec<KeyVersion>, Failure> {
    let older: Vec<_> = keys.versions().filter(|known| *known < version).collect();
    store_keys::change(&place.keys, kbpk, |keys| {
        older.iter().try_for_each(|version| keys.remove_sealing(*version))
    })?;
    Ok(older)
}
