//! The operations: from a request to a CVV2, or to a verdict on one.

use std::fmt;
use std::sync::Arc;

use cvv2::{Cvv, Expiry, ServiceCode, Verdict};
use cvv2_resolver::{CardRecord, CardStatus, CardStore};
use time::OffsetDateTime;
use time::macros::format_description;
use zeroize::Zeroizing;

use crate::caller::Caller;
use crate::cause::Cause;
use crate::clock::Clock;
use crate::cvk_source::{ChosenCvk, CvkSource};
use crate::envelope::{ErrorCode, Finding, Function, Request, Response, ResponseBody, Seen, Task};
use crate::outcome::Outcome;
use crate::scope::Scope;
use crate::settings::{Settings, SettingsError};

/// Answers Get CVV2 and Verify CVV2 requests.
///
/// A request is parsed; the caller has to be entitled to the function and the bank; the card is
/// resolved within that bank; one of its plastics has to have the expiry; status and date have to
/// allow it; then the key is chosen and computes. The first step that fails decides the answer. A
/// CVV2 is computed for the answer and kept nowhere.
///
/// # What callers cannot tell apart
///
/// A reference that nobody has, one that another bank has, and a wrong expiry get the same bytes,
/// but for the echoed fields and the time of day: every expiry has a valid CVV2, and an answer that
/// told them apart would find the real one.
///
/// As to time: the first two are the same work, a look-up within the caller's bank that finds
/// nothing. All plastics of a card are compared, in constant time each, wherever the match is, and
/// a wrong expiry ends before keys are touched, as the others do. What remains is inside of the
/// store: a wrong expiry opens one sealed record more than a reference that is not there.
pub struct CardServices {
    settings: Settings,
    store: Arc<dyn CardStore>,
    keys: Arc<dyn CvkSource>,
    clock: Box<dyn Clock>,
}

impl CardServices {
    /// The operations over these cards and keys.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for settings that would break the contract.
    pub fn new(
        settings: Settings,
        store: Arc<dyn CardStore>,
        keys: Arc<dyn CvkSource>,
        clock: impl Clock + 'static,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self { settings, store, keys, clock: Box::new(clock) })
    }

    /// Answers one request of an authenticated caller.
    ///
    /// `request` stays the caller's to wipe.
    #[must_use]
    pub fn handle(&self, function: Function, caller: &Caller, request: &[u8]) -> Answer {
        let now = self.clock.now().to_offset(self.settings.utc_offset);
        let (seen, request) = Request::parse(function, request, &self.settings);
        match request {
            Err(malformed) => {
                let outcome = Outcome::new(function, &seen, None);
                self.refuse(now, &seen, outcome, malformed.into())
            }
            Ok(request) => {
                let mut outcome = Outcome::new(function, &seen, Some(&request));
                match self.serve(function, caller, &request, now, &mut outcome) {
                    Err(cause) => self.refuse(now, &seen, outcome, cause),
                    Ok(finding) => self.grant(now, &seen, outcome, &request, &finding),
                }
            }
        }
    }

    fn serve(
        &self,
        function: Function,
        caller: &Caller,
        request: &Request,
        now: OffsetDateTime,
        outcome: &mut Outcome,
    ) -> Result<Finding, Cause> {
        if !caller.may(scope(function)) {
            return Err(Cause::NotEntitled);
        }
        let bank = caller.bank(&request.bank).ok_or(Cause::NotEntitled)?;
        let card = self.store.resolve(bank, &request.card)?.ok_or(Cause::UnknownReference)?;
        check_plastic(&card, &request.expiry, now)?;
        match &request.task {
            Task::Get => self.generate(&card, request, now, outcome),
            Task::Verify(cvv2) => self.verify(&card, request, cvv2, now, outcome),
        }
    }

    fn generate(
        &self,
        card: &CardRecord,
        request: &Request,
        now: OffsetDateTime,
        outcome: &mut Outcome,
    ) -> Result<Finding, Cause> {
        let chosen = self.keys.generating(card.pan(), &request.expiry, now.date())?;
        outcome.kcv = Some(chosen.kcv);
        Ok(Finding::Cvv2(chosen.cvk.cvv2(card.pan(), &request.expiry)?))
    }

    /// Every key that may verify computes, whether one before it matched or not, so that the time
    /// does not tell which did.
    fn verify(
        &self,
        card: &CardRecord,
        request: &Request,
        typed: &Cvv,
        now: OffsetDateTime,
        outcome: &mut Outcome,
    ) -> Result<Finding, Cause> {
        let keys = self.keys.verifying(card.pan(), &request.expiry, now.date())?;
        outcome.kcv = keys.first().map(|key| key.kcv);
        let mut verdict = Verdict::Mismatch;
        for ChosenCvk { cvk, .. } in &keys {
            let packed = cvk.pack(card.pan(), &request.expiry, &ServiceCode::CVV2);
            if cvk.verify(&packed, typed)? == Verdict::Match {
                verdict = Verdict::Match;
            }
        }
        outcome.verdict = Some(verdict);
        Ok(Finding::Verdict(verdict))
    }

    fn grant(
        &self,
        now: OffsetDateTime,
        seen: &Seen,
        outcome: Outcome,
        request: &Request,
        finding: &Finding,
    ) -> Answer {
        let identifier = request.card.echo();
        let body = ResponseBody {
            identifier: identifier.as_str(),
            identifier_type: request.card.kind(),
            finding,
            expiry_date: &request.expiry_date,
        };
        self.write(now, seen, ErrorCode::Success.meaning(), Some(body), outcome)
    }

    fn refuse(
        &self,
        now: OffsetDateTime,
        seen: &Seen,
        mut outcome: Outcome,
        cause: Cause,
    ) -> Answer {
        let description = cause.description();
        outcome.code = cause.code();
        outcome.cause = Some(cause);
        self.write(now, seen, &description, None, outcome)
    }

    fn write(
        &self,
        now: OffsetDateTime,
        seen: &Seen,
        description: &str,
        body: Option<ResponseBody<'_>>,
        outcome: Outcome,
    ) -> Answer {
        let response = Response {
            function: outcome.function,
            echo: seen.echo.as_ref(),
            code: outcome.code,
            description,
            date_time: &date_time(now),
            body,
        };
        Answer {
            http_status: outcome.code.http_status(),
            json: response.to_json(&self.settings),
            outcome,
        }
    }
}

impl fmt::Debug for CardServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardServices").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a caller has to be entitled to.
const fn scope(function: Function) -> Scope {
    match function {
        Function::GetCvv2 => Scope::Generate,
        Function::VerifyCvv2 => Scope::Verify,
    }
}

/// What a request is answered with, and what is to be recorded of it.
#[non_exhaustive]
pub struct Answer {
    /// For a transport that is HTTP.
    pub http_status: u16,
    /// The response, a JSON document in UTF-8 without white space; wiped when dropped.
    pub json: Zeroizing<Vec<u8>>,
    /// For the audit record.
    pub outcome: Outcome,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("http_status", &self.http_status)
            .field("json", &format_args!("[{} bytes redacted]", self.json.len()))
            .field("outcome", &self.outcome)
            .finish()
    }
}

/// Whether the card has a plastic of this expiry that may be used now.
///
/// Several plastics may have one expiry (a lost one and its successor) and then have one CVV2: one
/// that is active is enough.
fn check_plastic(card: &CardRecord, expiry: &Expiry, now: OffsetDateTime) -> Result<(), Cause> {
    let mut status = None;
    for plastic in card.plastics() {
        if plastic.expiry() == expiry && status != Some(CardStatus::Active) {
            status = Some(plastic.status());
        }
    }
    match (status, card.status()) {
        (None, _) => Err(Cause::NoSuchPlastic),
        (_, status) if status != CardStatus::Active => Err(Cause::CardStatus(status)),
        (Some(status), _) if status != CardStatus::Active => Err(Cause::PlasticStatus(status)),
        _ if has_expired(expiry, now) => Err(Cause::Expired),
        _ => Ok(()),
    }
}

/// A plastic is good through the last day of its month, by the clock on our wall. Years are of this
/// century: 99 is 2099.
fn has_expired(expiry: &Expiry, now: OffsetDateTime) -> bool {
    let last = (2000 + i32::from(expiry.year_of_century()), expiry.month());
    (now.year(), u8::from(now.month())) > last
}

/// RFC 3339 with milliseconds and offset.
fn date_time(now: OffsetDateTime) -> String {
    let form = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]\
         [offset_hour sign:mandatory]:[offset_minute]"
    );
    now.format(form).expect("a time has all parts of the form")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_plastic_is_good_through_the_last_day_of_its_month() {
        let expired = |yymm: &str, now| has_expired(&Expiry::parse_yymm(yymm).unwrap(), now);
        assert!(!expired("2701", datetime!(2027-01-31 23:59:59.999 +4)));
        assert!(expired("2701", datetime!(2027-02-01 0:00 +4)));
        assert!(!expired("2712", datetime!(2027-12-31 23:59:59 -11)));
        assert!(expired("2712", datetime!(2028-01-01 0:00 -11)));
        assert!(!expired("2801", datetime!(2027-12-31 0:00 UTC)));
        assert!(!expired("0001", datetime!(2000-01-31 0:00 UTC)));
        assert!(expired("0001", datetime!(2000-02-01 0:00 UTC)));
        assert!(!expired("9912", datetime!(2099-12-31 0:00 UTC)));
    }

    #[test]
    fn dates_have_milliseconds_and_an_offset() {
        for (now, text) in [
            (datetime!(2023-02-01 16:39:47.314 +4), "2023-02-01T16:39:47.314+04:00"),
            (datetime!(2023-02-01 16:39:47.3149 UTC), "2023-02-01T16:39:47.314+00:00"),
            (datetime!(2023-02-01 16:39:47 -3:30), "2023-02-01T16:39:47.000-03:30"),
            (datetime!(2023-02-01 16:39:47 -0:30), "2023-02-01T16:39:47.000-00:30"),
        ] {
            assert_eq!(date_time(now), text);
        }
    }
}
