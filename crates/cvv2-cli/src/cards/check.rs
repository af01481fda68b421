//! `cvv2 cards check`: whether everything in the store opens and fits.

use cvv2_resolver::CheckReport;
use serde_json::json;

use crate::failure::{Answer, Failure};
use crate::print::Print;
use crate::store::{Store, store_failure};

/// Checks the whole store and reports.
pub(super) fn run(store: &dyn Store, print: Print) -> Result<Answer, Failure> {
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
