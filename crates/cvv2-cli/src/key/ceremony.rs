//! `cvv2 key ceremony`: a key in components, typed by custodians.

use cvv2::secret::Protection;
use cvv2_keyring::kbpk::create_of_components;
use serde_json::json;
use time::OffsetDateTime;

use super::addition::Addition;
use super::check_value;
use super::custodians::Custodians;
use super::source::Source;
use super::transcript::Filing;
use crate::args::{CeremonyArgs, CvkCeremonyArgs, KbpkCeremonyArgs};
use crate::failure::{Answer, Failure};
use crate::keyring::Place;
use crate::print::Print;

/// Takes a card verification key into the keyring.
pub(super) fn cvk(args: CvkCeremonyArgs, place: &Place, print: Print) -> Result<Answer, Failure> {
    let CvkCeremonyArgs { entry, uses, ceremony } = args;
    let source = Source::Components { custodians: custodians(ceremony)?, uses: uses.into() };
    Addition::Import(entry).run(&source, place, print)
}

/// Writes a KBPK to a new file.
pub(super) fn kbpk(args: KbpkCeremonyArgs, print: Print) -> Result<Answer, Failure> {
    let KbpkCeremonyArgs { file, algorithm, ceremony } = args;
    let custodians = custodians(ceremony)?;
    let filing = Filing::reserve(&custodians.transcripts)?;
    let record = create_of_components(
        &file,
        algorithm,
        &custodians.ceremony,
        Protection::Wiped,
        &mut *custodians.prompt(),
    )
    .map_err(|e| Failure::kbpk(&e))?;
    let (path, kcv, algorithm) = (file.display(), record.kcv, algorithm.name());
    filing.of(record).file(None, OffsetDateTime::now_utc())?;
    print.answer(
        format_args!("{path} holds the KBPK, {algorithm}, check value {kcv}; keep it from others"),
        &json!({ "kbpk_file": file, "algorithm": algorithm, "kcv": kcv.to_string() }),
    )?;
    Ok(Answer::Done)
}

fn custodians(args: CeremonyArgs) -> Result<Custodians, Failure> {
    let CeremonyArgs { custodians, kcv, record } = args;
    Custodians::typing(custodians, kcv.as_deref().map(check_value).transpose()?, record)
}
