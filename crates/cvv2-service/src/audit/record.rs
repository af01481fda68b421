//! What is recorded: one request, or something that happened to the service itself.
//!
//! A record can hold of a card only what an [`Outcome`] says, where references are masked, and a
//! [`CardKey`], which nobody can read.

use std::net::SocketAddr;
use std::time::Duration;

use cvv2::{Pan, Verdict};
use cvv2_resolver::BankId;
use time::OffsetDateTime;

use super::line::Line;
use crate::auth::TokenOutcome;
use crate::card_key::CardKey;
use crate::outcome::Outcome;

/// One record of the audit trail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A request and its answer.
    Request(RequestRecord<'a>),
    /// A request for a token and its answer.
    Token(TokenRecord<'a>),
    /// Something that happened to the service.
    Event(EventRecord<'a>),
}

impl Record<'_> {
    /// Appends the members of its line.
    pub(crate) fn write_members(&self, line: &mut String) {
        match self {
            Self::Request(request) => request.write_members(line),
            Self::Token(token) => token.write_members(line),
            Self::Event(event) => event.write_members(line),
        }
    }
}

impl<'a> From<RequestRecord<'a>> for Record<'a> {
    fn from(request: RequestRecord<'a>) -> Self {
        Self::Request(request)
    }
}

impl<'a> From<TokenRecord<'a>> for Record<'a> {
    fn from(token: TokenRecord<'a>) -> Self {
        Self::Token(token)
    }
}

impl<'a> From<EventRecord<'a>> for Record<'a> {
    fn from(event: EventRecord<'a>) -> Self {
        Self::Event(event)
    }
}

/// A request: who asked for what, how it ended and why.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a record says all of it, or the compiler asks")]
pub struct RequestRecord<'a> {
    /// When it ended.
    pub time: OffsetDateTime,
    /// Who: the caller's name, if it was authenticated.
    pub caller: Option<&'a str>,
    /// By which credential: the id of its token. Never a secret.
    pub client: Option<&'a str>,
    /// What was asked for and how it ended.
    pub outcome: &'a Outcome,
    /// From where the request came.
    pub origin: Option<SocketAddr>,
    /// From the request's first byte to the answer's.
    pub duration: Duration,
}

impl RequestRecord<'_> {
    fn write_members(&self, line: &mut String) {
        let outcome = self.outcome;
        Line::begin(line, self.time, "request")
            .text("caller", self.caller)
            .text("client", self.client)
            .text("bank", outcome.bank.as_ref().map(BankId::as_str))
            .text("function", Some(outcome.function.name()))
            .text("card", shown_card(outcome))
            .shown("card_key", outcome.card_key)
            .shown("kcv", outcome.kcv)
            .text("code", Some(outcome.code.code()))
            .shown("cause", outcome.cause.as_ref())
            .text("verdict", outcome.verdict.map(verdict_name))
            .number("http_status", Some(outcome.http_status.into()))
            .shown("origin", self.origin)
            .text("msg_id", outcome.msg_id.as_deref())
            .text("tracking_id", outcome.tracking_id.as_deref())
            .number("replayed", Some(outcome.replayed.into()))
            .number("unknown_fields", Some(outcome.unknown_fields as u64))
            .number("duration_us", Some(micros(self.duration)));
    }
}

/// The masked reference. A hash and a truncation of one PAN never stand side by side (PCI DSS
/// 3.5.1): beside the keyed name, one that may be of a PAN is left out.
fn shown_card(outcome: &Outcome) -> Option<&str> {
    let masked = outcome.card.as_deref()?;
    let may_be_pan = (Pan::LEN_MIN..=Pan::LEN_MAX).contains(&masked.len())
        && masked.bytes().all(|byte| byte == b'X' || byte.is_ascii_digit());
    (outcome.card_key.is_none() || !may_be_pan).then_some(masked)
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Match => "match",
        Verdict::Mismatch => "mismatch",
    }
}

/// A request for a token, and how it ended.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a record says all of it, or the compiler asks")]
pub struct TokenRecord<'a> {
    /// When it ended.
    pub time: OffsetDateTime,
    /// For whom, and why not.
    pub outcome: &'a TokenOutcome,
    /// The status of the answer.
    pub http_status: u16,
    /// From where the request came.
    pub origin: Option<SocketAddr>,
    /// From the request's first byte to the answer's.
    pub duration: Duration,
}

impl TokenRecord<'_> {
    fn write_members(&self, line: &mut String) {
        Line::begin(line, self.time, "token")
            .text("caller", self.outcome.client.as_deref())
            .text("client", self.outcome.token_id.as_deref())
            .shown("cause", self.outcome.refusal)
            .number("http_status", Some(self.http_status.into()))
            .shown("origin", self.origin)
            .number("duration_us", Some(micros(self.duration)));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Something that happened to the service itself.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a record says all of it, or the compiler asks")]
pub struct EventRecord<'a> {
    /// When.
    pub time: OffsetDateTime,
    /// What.
    pub event: Event,
    /// Who did it, if it was somebody.
    pub caller: Option<&'a str>,
    /// The card that it is about.
    pub card_key: Option<CardKey>,
    /// What else is to be known, such as a version or the digest of a file. No card data and no
    /// secret.
    pub detail: Option<&'a str>,
}

impl EventRecord<'_> {
    /// An event of which nothing more is to be said.
    #[must_use]
    pub const fn new(time: OffsetDateTime, event: Event) -> Self {
        Self { time, event, caller: None, card_key: None, detail: None }
    }

    fn write_members(&self, line: &mut String) {
        Line::begin(line, self.time, self.event.name())
            .text("caller", self.caller)
            .shown("card_key", self.card_key)
            .text("detail", self.detail);
    }
}

/// What can happen to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// Somebody asked for limits or to clear one, and may not.
    AdministrationRefused,
    /// An answer whose record says that it was given was not, because what was charged for it could
    /// not be kept.
    AnswerWithdrawn,
    /// It read its configuration.
    ConfigurationLoaded,
    /// Its keys were opened.
    KeyUnlocked,
    /// A limit was cleared, by whom and of which card.
    LimitCleared,
    /// Limits were shown, to whom and of which card.
    LimitsShown,
    /// Somebody asked whether it is ready.
    Readiness,
    /// It started.
    Start,
    /// It was told to stop.
    Stop,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 9] = [
        Self::AdministrationRefused,
        Self::AnswerWithdrawn,
        Self::ConfigurationLoaded,
        Self::KeyUnlocked,
        Self::LimitCleared,
        Self::LimitsShown,
        Self::Readiness,
        Self::Start,
        Self::Stop,
    ];

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdministrationRefused => "administration_refused",
            Self::AnswerWithdrawn => "answer_withdrawn",
            Self::ConfigurationLoaded => "configuration_loaded",
            Self::KeyUnlocked => "key_unlocked",
            Self::LimitCleared => "limit_cleared",
            Self::LimitsShown => "limits_shown",
            Self::Readiness => "readiness",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

#[cfg(test)]
mod tests {
    use cvv2_keyring::CheckValue;
    use time::macros::datetime;

    use super::super::line::{LINE_BYTES_MAX, TEXT_BYTES_MAX};
    use super::*;

    fn members(record: &Record<'_>) -> String {
        let mut line = String::new();
        record.write_members(&mut line);
        line
    }
    use crate::auth::TokenRefusal;
    use crate::cause::Cause;
    use crate::envelope::{ErrorCode, Function};

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678901 UTC);
    const TIME: &str = r#","time":"2026-01-02T03:04:05.678901Z""#;

    fn outcome() -> Outcome {
        Outcome {
            function: Function::GetCvv2,
            code: ErrorCode::CardNotFound,
            http_status: 200,
            cause: Some(Cause::NoSuchPlastic),
            msg_id: Some("223001".to_owned()),
            tracking_id: None,
            bank: Some(BankId::parse("NIC").unwrap()),
            card: Some("999841XXXXXXXXXX7162".to_owned()),
            card_key: Some(CardKey::from_bytes([0xAB; 16])),
            kcv: CheckValue::parse("08D7B4"),
            verdict: None,
            replayed: true,
            unknown_fields: 1,
        }
    }

    fn request(outcome: &Outcome) -> RequestRecord<'_> {
        RequestRecord {
            time: NOW,
            caller: Some("ivr"),
            client: Some("token 7"),
            outcome,
            origin: Some("[2001:db8::1]:443".parse().unwrap()),
            duration: Duration::from_micros(812),
        }
    }

    #[test]
    fn a_request_is_one_line_in_the_documented_order() {
        assert_eq!(
            members(&Record::from(request(&outcome()))),
            TIME.to_owned()
                + r#","event":"request","caller":"ivr","client":"token 7","bank":"NIC""#
                + r#","function":"get_cvv2","card":"999841XXXXXXXXXX7162""#
                + r#","card_key":"abababababababababababababababab","kcv":"08D7B4","code":"301""#
                + r#","cause":"the card has no plastic of this expiry","verdict":null"#
                + r#","http_status":200,"origin":"[2001:db8::1]:443","msg_id":"223001""#
                + r#","tracking_id":null,"replayed":1,"unknown_fields":1,"duration_us":812"#
        );
        let outcome = Outcome {
            function: Function::VerifyCvv2,
            code: ErrorCode::Success,
            cause: None,
            msg_id: None,
            bank: None,
            card: None,
            card_key: None,
            kcv: None,
            verdict: Some(Verdict::Mismatch),
            replayed: false,
            ..outcome()
        };
        let record =
            RequestRecord { caller: None, client: None, origin: None, ..request(&outcome) };
        assert_eq!(
            members(&Record::from(record)),
            TIME.to_owned()
                + r#","event":"request","caller":null,"client":null,"bank":null"#
                + r#","function":"verify_cvv2","card":null,"card_key":null,"kcv":null"#
                + r#","code":"000","cause":null,"verdict":"mismatch","http_status":200"#
                + r#","origin":null,"msg_id":null,"tracking_id":null,"replayed":0"#
                + r#","unknown_fields":1,"duration_us":812"#
        );
    }

    #[test]
    fn a_token_is_one_line() {
        let record = |refusal, token_id: Option<&str>| {
            let outcome = TokenOutcome {
                client: Some("ivr".to_owned()),
                token_id: token_id.map(str::to_owned),
                refusal,
            };
            let (origin, duration) = (None, Duration::from_millis(30));
            let record =
                TokenRecord { time: NOW, outcome: &outcome, http_status: 200, origin, duration };
            members(&Record::from(record))
        };
        assert_eq!(
            record(None, Some("t7")),
            TIME.to_owned()
                + r#","event":"token","caller":"ivr","client":"t7","cause":null,"http_status":200"#
                + r#","origin":null,"duration_us":30000"#
        );
        assert!(
            record(Some(TokenRefusal::Secret), None).contains(r#""cause":"the secret is wrong""#)
        );
    }

    #[test]
    fn an_event_is_one_line() {
        let event = EventRecord {
            caller: Some("ops"),
            card_key: Some(CardKey::from_bytes([1; 16])),
            ..EventRecord::new(NOW, Event::LimitCleared)
        };
        assert_eq!(
            members(&Record::from(event)),
            TIME.to_owned()
                + r#","event":"limit_cleared","caller":"ops""#
                + r#","card_key":"01010101010101010101010101010101","detail":null"#
        );
    }

    #[test]
    fn a_truncated_pan_and_its_hash_are_never_side_by_side() {
        let shown = |card: &str, card_key| {
            let outcome = Outcome { card: Some(card.to_owned()), card_key, ..outcome() };
            members(&Record::from(request(&outcome))).contains(card)
        };
        let key = Some(CardKey::from_bytes([0; 16]));
        for card in ["411111XXXXXX1111", "XXXXXXXX1111", "411111XXXXXXXXX1111"] {
            assert!(!shown(card, key) && shown(card, None));
        }
        for card in ["999841XXXXXXXXXX7162", "XXXXXXX1111", "XXXXXXXXXXXXXA11"] {
            assert!(shown(card, key) && shown(card, None));
        }
    }

    #[test]
    fn the_longest_record_fits_a_line() {
        let long = "\u{1f512}".repeat(TEXT_BYTES_MAX);
        let outcome = Outcome {
            msg_id: Some(long.clone()),
            tracking_id: Some(long.clone()),
            card: Some(long.clone()),
            verdict: Some(Verdict::Mismatch),
            http_status: u16::MAX,
            unknown_fields: usize::MAX,
            ..outcome()
        };
        let mut record = request(&outcome);
        record.caller = Some(&long);
        record.client = Some(&long);
        record.duration = Duration::MAX;
        let members = members(&Record::from(record));
        let others = r#"{"sequence":18446744073709551615,"mac":""}"#.len() + 64 + 1;
        // A cause is as long as a text may be, and this one is shorter.
        assert!(members.len() + TEXT_BYTES_MAX + others <= LINE_BYTES_MAX);
    }
}
