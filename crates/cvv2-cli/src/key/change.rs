//! `cvv2 key set`, `retire` and `remove`: what becomes of a key that is there.

use cvv2_keyring::{Draft, KeyringError, State};
use serde_json::json;

use super::list;
use crate::args::SetArgs;
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Activates a key, stops it from generating, or sets its last day.
pub(super) fn set(args: &SetArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let change = |draft: &mut Draft<'_>| {
        args.state.map_or(Ok(()), |state| draft.set_state(&args.name, state))?;
        args.until.map_or(Ok(()), |until| draft.set_until(&args.name, until))
    };
    changed(&args.name, change, place, print)
}

/// Retires a key.
pub(super) fn retire(name: &str, place: &Place, print: Print) -> Result<Answer, Failure> {
    changed(name, |draft| draft.set_state(name, State::Retired), place, print)
}

/// Takes a key out of the file.
pub(super) fn remove(name: &str, place: &Place, print: Print) -> Result<Answer, Failure> {
    changed(name, |draft| draft.remove(name), place, print)
}

fn changed(
    name: &str,
    change: impl FnOnce(&mut Draft<'_>) -> Result<(), KeyringError>,
    place: &Place,
    print: Print,
) -> Result<Answer, Failure> {
    let kbpk = place.kbpk()?;
    let change = || {
        let mut draft = Draft::open(&place.path, &kbpk)?;
        change(&mut draft)?;
        draft.commit()
    };
    let keyring = change().map_err(|e| Failure::keyring(&e))?;
    match keyring.get(name) {
        Some(entry) => {
            let until = entry.until.map_or_else(String::new, |day| format!(", until {day}"));
            print.answer(
                format_args!("{name} is {}{until}", entry.state),
                &json!({ "key": list::json(entry) }),
            )?;
        }
        None => print.answer(format_args!("{name} is removed"), &json!({ "key": null }))?,
    }
    Ok(Answer::Done)
}
