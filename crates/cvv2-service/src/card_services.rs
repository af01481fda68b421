//! The operations: from a request to a CVV2, or to a verdict on one.

use std::fmt;
use std::sync::Arc;

use cvv2::{CvkPair, Cvv, Expiry, ExpiryOrder, Kernel, Pan, Policy, ServiceCode, Verdict};
use cvv2_resolver::{BankId, CardRecord, CardRef, CardStatus, CardStore, ContractNumber};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::caller::Caller;
use crate::card_key::CardKey;
use crate::cause::Cause;
use crate::clock::Clock;
use crate::cvk_source::{ChosenCvk, CvkSource};
use crate::envelope::{ErrorCode, Finding, Function, Request, Response, ResponseBody, Seen, Task};
use crate::guard::{Charge, Guard};
use crate::outcome::Outcome;
use crate::rfc3339;
use crate::scope::Scope;
use crate::settings::{Settings, SettingsError};

/// Answers Get CVV2 and Verify CVV2 requests.
///
/// A request is parsed; the caller has to be entitled to the function and the bank; the card is
/// resolved within that bank; one of its plastics has to have the expiry; status and date have to
/// allow it; then the key is chosen and computes. The first step that fails decides the answer. A
/// CVV2 is computed for the answer and kept nowhere.
///
/// With a [`Guard`], the caller is charged before anything else is done, and a card that was found
/// before its expiry is looked at; a verification counts as wrong until it turned out right.
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
/// store: a wrong expiry opens one sealed record more than a reference that is not there, and its
/// card is charged. A card whose limit is reached says so only to whoever knows an expiry of it.
pub struct CardServices {
    settings: Settings,
    store: Arc<dyn CardStore>,
    keys: Arc<dyn CvkSource>,
    clock: Box<dyn Clock>,
    guard: Option<Guard>,
}

/// What of the service works at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a readiness check looks at all of it")]
pub struct Readiness {
    /// A published test value was computed.
    pub engine: bool,
    /// The keys are unlocked.
    pub keys: bool,
    /// The card store was read.
    pub store: bool,
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
        Ok(Self { settings, store, keys, clock: Box::new(clock), guard: None })
    }

    /// The same, counted and limited.
    #[must_use]
    pub fn guarded_by(self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// Answers one request of an authenticated caller.
    ///
    /// `request` stays the caller's to wipe.
    #[must_use]
    pub fn handle(&self, function: Function, caller: &Caller, request: &[u8]) -> Answer {
        let now = self.now();
        let admitted = self.admit(caller, now);
        let (seen, request) = Request::parse(function, request, &self.settings);
        let mut outcome = Outcome::new(function, &seen, request.as_ref().ok());
        let request = match request {
            Ok(request) => request,
            Err(malformed) => {
                let cause = admitted.err().unwrap_or(malformed.into());
                return self.deny(now, &seen, outcome, cause);
            }
        };
        let served = admitted.and_then(|()| {
            let bank = entitled_bank(function, caller, &request)?;
            outcome.replayed = self.look_for_replay(caller, &seen, now)?;
            self.serve((function, caller, bank), &request, now, &mut outcome)
        });
        match served {
            Err(cause) => self.deny(now, &seen, outcome, cause),
            Ok(finding) => self.grant(now, &seen, outcome, &request, &finding),
        }
    }

    /// Refuses a request for a reason that is not in it. Its header is echoed if it can be read.
    #[must_use]
    pub fn refuse(&self, function: Function, request: &[u8], cause: Cause) -> Answer {
        let now = self.now();
        let (seen, request) = Request::parse(function, request, &self.settings);
        let outcome = Outcome::new(function, &seen, request.as_ref().ok());
        self.deny(now, &seen, outcome, cause)
    }

    /// The moment by the clock that the operations go by.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now().to_offset(self.settings.utc_offset)
    }

    /// What of the service works at the moment. It computes, asks the store, and may wait for it.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let bank = BankId::parse(PROBE_BANK).expect("a bank's code");
        let card = ContractNumber::parse(PROBE_CONTRACT).expect("a contract number");
        Readiness {
            engine: computes_the_published_value(self.keys.kernel()),
            keys: self.keys.is_unlocked(),
            store: self
                .store
                .ready()
                .and_then(|()| self.store.resolve(&bank, &card.into()))
                .is_ok(),
        }
    }

    /// The name that a bank's card has for the limits and in audit records, if the bank has such a
    /// card and there is a [`Guard`].
    ///
    /// # Errors
    ///
    /// [`Cause::Store`] where the store cannot be read.
    pub fn card_key(&self, bank: &BankId, card: &CardRef) -> Result<Option<CardKey>, Cause> {
        let card = self.store.resolve(bank, card)?;
        Ok(card.as_ref().zip(self.guard.as_ref()).map(|(card, guard)| guard.card_key(card.pan())))
    }

    /// For each key in use: its check value, and for how many days it has been in force.
    #[must_use]
    pub fn cvk_ages_days(&self) -> Vec<(String, i64)> {
        let today = self.now().date();
        self.keys.ages_days(today)
    }

    fn admit(&self, caller: &Caller, now: OffsetDateTime) -> Result<(), Cause> {
        match &self.guard {
            None => Ok(()),
            Some(guard) => Ok(guard.limits.admit(caller.name(), now)?),
        }
    }

    fn look_for_replay(
        &self,
        caller: &Caller,
        seen: &Seen<'_>,
        now: OffsetDateTime,
    ) -> Result<bool, Cause> {
        self.guard.as_ref().map_or(Ok(false), |guard| guard.look_for_replay(caller, seen, now))
    }

    fn serve(
        &self,
        (function, caller, bank): (Function, &Caller, &BankId),
        request: &Request<'_>,
        now: OffsetDateTime,
        outcome: &mut Outcome,
    ) -> Result<Finding, Cause> {
        let Some(card) = self.store.resolve(bank, &request.card)? else {
            self.charge_not_found(caller, now)?;
            return Err(Cause::UnknownReference);
        };
        outcome.card_key = self.guard.as_ref().map(|guard| guard.card_key(card.pan()));
        let charge = self.charge(function, caller, outcome.card_key, now);
        let plastic = check_plastic(&card, &request.expiry, now);
        if let Err(Cause::NoSuchPlastic) = plastic {
            // Whether the card has room left is nothing that a wrong expiry finds out.
            self.charge_not_found(caller, now)?;
            return Err(Cause::NoSuchPlastic);
        }
        let charge = charge?;
        if let Err(cause) = plastic {
            charge.give_back()?; // nothing was compared
            return Err(cause);
        }
        match &request.task {
            Task::Get => self.generate(&card, request, now, outcome),
            Task::Verify(cvv2) => self.verify(&card, request, cvv2, charge, now, outcome),
        }
    }

    fn charge(
        &self,
        function: Function,
        caller: &Caller,
        card: Option<CardKey>,
        now: OffsetDateTime,
    ) -> Result<Charge, Cause> {
        match self.guard.as_ref().zip(card) {
            None => Ok(Charge::Settled),
            Some((guard, card)) => guard.charge(function, caller, card, now),
        }
    }

    fn charge_not_found(&self, caller: &Caller, now: OffsetDateTime) -> Result<(), Cause> {
        match &self.guard {
            None => Ok(()),
            Some(guard) => Ok(guard.limits.not_found(caller.name(), now)?),
        }
    }

    fn generate(
        &self,
        card: &CardRecord,
        request: &Request<'_>,
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
        request: &Request<'_>,
        typed: &Cvv,
        charge: Charge,
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
        match verdict {
            Verdict::Match => charge.give_back()?,
            Verdict::Mismatch => charge.keep()?,
        }
        outcome.verdict = Some(verdict);
        Ok(Finding::Verdict(verdict))
    }

    fn grant(
        &self,
        now: OffsetDateTime,
        seen: &Seen<'_>,
        outcome: Outcome,
        request: &Request<'_>,
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

    fn deny(
        &self,
        now: OffsetDateTime,
        seen: &Seen<'_>,
        mut outcome: Outcome,
        cause: Cause,
    ) -> Answer {
        let description = cause.description();
        outcome.code = cause.code();
        outcome.http_status = cause.http_status();
        outcome.cause = Some(cause);
        self.write(now, seen, &description, None, outcome)
    }

    fn write(
        &self,
        now: OffsetDateTime,
        seen: &Seen<'_>,
        description: &str,
        body: Option<ResponseBody<'_>>,
        outcome: Outcome,
    ) -> Answer {
        let date_time = rfc3339::millis(now);
        let response = Response {
            function: outcome.function,
            echo: seen.echo.as_ref(),
            code: outcome.code,
            description,
            date_time: date_time.as_str(),
            body,
        };
        Answer { http_status: outcome.http_status, json: response.to_json(&self.settings), outcome }
    }
}

impl fmt::Debug for CardServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardServices").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The bank of a request, if the caller is entitled to it and to the function.
fn entitled_bank<'a>(
    function: Function,
    caller: &'a Caller,
    request: &Request<'_>,
) -> Result<&'a BankId, Cause> {
    if !caller.may(scope(function)) {
        return Err(Cause::NotEntitled);
    }
    caller.bank(&request.bank).ok_or(Cause::NotEntitled)
}

/// Whether the engine gives what Visa's test set has for its first card.
fn computes_the_published_value(kernel: Kernel) -> bool {
    let cvk = CvkPair::from_hex(PROBE_KEY, ExpiryOrder::YyMm, Policy::TestVectors);
    let card = Pan::parse(PROBE_PAN).ok().zip(Expiry::parse_yymm(PROBE_EXPIRY).ok());
    let code = ServiceCode::parse(PROBE_SERVICE_CODE).ok();
    let computed = cvk.ok().zip(card).zip(code).and_then(|((cvk, (pan, expiry)), code)| {
        cvk.with_kernel(kernel).cvv(&pan, &expiry, &code).ok()
    });
    computed.is_some_and(|cvv| cvv.expose().as_str() == PROBE_CVV)
}

/// Visa's test set: a key, a card and its CVV.
const PROBE_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";
const PROBE_PAN: &str = "4123456789012345";
const PROBE_EXPIRY: &str = "8701";
const PROBE_SERVICE_CODE: &str = "101";
const PROBE_CVV: &str = "561";
/// What a readiness check looks for; that nobody has it is an answer, too.
const PROBE_BANK: &str = "0";
const PROBE_CONTRACT: &str = "readiness";

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
}
