//! `cvv2 get`: one Get CVV2 request through the configured store and keys.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use cvv2_keyring::read_bounded;
use cvv2_resolver::{BankId, ExidForm};
use cvv2_service::envelope::Function;
use cvv2_service::{
    Caller, CardServices, Clock, KeyringSource, ResponseFunction, Scope, Settings, SystemClock,
};
use zeroize::Zeroizing;

use crate::args::GetArgs;
use crate::config::{Config, Service};
use crate::failure::{Answer, Failure};
use crate::input::read_standard_input;
use crate::keyring::Place;
use crate::store::{self, Store};

/// The most that is read of a request, in bytes; the operation refuses one above 16 KiB in its own
/// words.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Answers the request in a file or on standard input.
pub(crate) fn run(args: &GetArgs) -> Result<Answer, Failure> {
    let config = Config::read(&args.config)?;
    let request = read_request(&args.request)?;
    answer(&config, SystemClock, &request)
}

/// Answers a request by the configured store and keys, and prints the response envelope.
pub(crate) fn answer(
    config: &Config,
    clock: impl Clock + 'static,
    request: &[u8],
) -> Result<Answer, Failure> {
    let caller = caller(config)?;
    let place = Place::configured(config)?;
    let kbpk = place.kbpk()?;
    let store = store::Place::configured(config)?.open_read_only_beside(&place, &kbpk)?;
    let keyring = place.open_with(&kbpk)?;
    drop(kbpk);
    let keys = KeyringSource::new(Arc::new(keyring), config.service.no_cvv2.clone());
    let services = CardServices::new(
        settings(&config.service)?,
        Arc::<dyn Store>::from(store),
        Arc::new(keys),
        clock,
    )
    .map_err(Failure::bad_input)?;

    let answer = services.handle(Function::GetCvv2, &caller, request);
    print_indented(&answer.json)?;
    Ok(match (answer.http_status, &answer.outcome.cause) {
        (200, None) => Answer::Done,
        (200, Some(_)) => Answer::Negative,
        (400..=499, _) => Answer::BadInput,
        _ => Answer::SystemFault,
    })
}

fn read_request(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if path == Path::new("-") {
        return read_standard_input::<REQUEST_BYTES_MAX>();
    }
    File::open(path)
        .and_then(|mut file| read_bounded(&mut file, REQUEST_BYTES_MAX))
        .map_err(|e| Failure::file(path, &e))?
        .ok_or_else(|| {
            let path = path.display();
            Failure::BadInput(format!("{path}: longer than any request; give one envelope"))
        })
}

fn caller(config: &Config) -> Result<Caller, Failure> {
    let caller = config.caller.as_ref().ok_or_else(|| {
        Failure::bad_input(
            "the configuration has no table [caller]: whom does the request speak for?",
        )
    })?;
    let banks = caller.banks.iter().map(|code| {
        BankId::parse(code).map_err(|e| Failure::BadInput(format!("[caller] banks: {e}")))
    });
    let scopes = [Scope::Generate].into_iter().collect();
    Ok(Caller::new("command line", banks.collect::<Result<Vec<_>, _>>()?, scopes))
}

pub(crate) fn settings(service: &Service) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(name) = &service.application_name {
        settings.application_name.clone_from(name);
    }
    if let Some(id) = &service.instance_id {
        settings.instance_id.clone_from(id);
    }
    settings.utc_offset = service.utc_offset()?;
    if let Some(strict) = service.exid_strict {
        settings.exid_form = if strict { ExidForm::Strict } else { ExidForm::Any };
    }
    settings.response_function = match service.response_function.as_deref() {
        None | Some("REP_GET_CVV2") => ResponseFunction::Rep,
        Some("RES_GET_CVV2") => ResponseFunction::Res,
        Some(_) => {
            return Err(Failure::bad_input(
                "[service] response_function: write REP_GET_CVV2 or RES_GET_CVV2",
            ));
        }
    };
    Ok(settings)
}

/// Prints a JSON document with line breaks, its fields in the order they have.
fn print_indented(json: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_transcode::transcode(
        &mut serde_json::Deserializer::from_slice(json),
        &mut serde_json::Serializer::pretty(&mut out),
    )
    .map_err(io::Error::from)
    .and_then(|()| writeln!(out))
    .map_err(|e| Failure::output(&e))
}
