//! What is recorded: one request, or something that happened to the service itself.
//!
//! A record can hold of a card only what an [`Outcome`] says, where references are masked, and a
//! [`CardKey`], which nobody can read.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use cvv2::{Pan, Verdict};
use cvv2_keyring::CheckValue;
use cvv2_resolver::BankId;

use time::OffsetDateTime;

use super::line::Line;
use crate::card_key::CardKey;
use crate::envelope::ErrorCode;
use crate::outcome::Outcome;

/// One record of the audit trail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A request and its answer.
    Request(RequestRecord<'a>),
    /// Something that happened to the service.
    Event(EventRecord<'a>),
}

impl Record<'_> {
    /// The members of its line.
    pub(crate) fn to_members(&self) -> String {
        match self {
            Self::Request(request) => request.to_members(),
            Self::Event(event) => event.to_members(),
        }
    }
}

impl<'a> From<RequestRecord<'a>> for Record<'a> {
    fn from(request: RequestRecord<'a>) -> Self {
        Self::Request(request)
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
    /// By which credential: the id of its token, the fingerprint of its certificate. Never a
    /// secret.
    pub client: Option<&'a str>,
    /// How it ended.
    pub ending: Ending<'a>,
    /// The status of the answer.
    pub http_status: u16,
    /// From where the request came.
    pub origin: Option<SocketAddr>,
    /// From the request's first byte to the answer's.
    pub duration: Duration,
}

/// How a request ended, with the real cause.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Ending<'a> {
    /// The operation answered.
    Answered(&'a Outcome),
    /// Refused before an operation saw it: not authenticated, too many requests.
    Refused {
        /// What was asked for, such as `get_cvv2`, if that could be told.
        function: Option<&'static str>,
        /// What the caller was told.
        code: ErrorCode,
        /// What really happened; its text holds no card data and no secret.
        cause: &'a dyn Display,
    },
}

impl fmt::Debug for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(outcome) => f.debug_tuple("Answered").field(outcome).finish(),
            Self::Refused { function, code, cause } => f
                .debug_struct("Refused")
                .field("function", function)
                .field("code", code)
                .field("cause", &format_args!("{cause}"))
                .finish(),
        }
    }
}

impl RequestRecord<'_> {
    fn to_members(&self) -> String {
        let (outcome, function, code, cause) = match self.ending {
            Ending::Answered(outcome) => {
                let cause = outcome.cause.as_ref().map(|cause| cause as &dyn Display);
                (Some(outcome), Some(outcome.function.name()), outcome.code, cause)
            }
            Ending::Refused { function, code, cause } => (None, function, code, Some(cause)),
        };
        let verdict = outcome.and_then(|outcome| outcome.verdict).map(|verdict| match verdict {
            Verdict::Match => "match",
            Verdict::Mismatch => "mismatch",
        });
        let micros = u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX);
        Line::new(self.time, "request")
            .text("caller", self.caller)
            .text("client", self.client)
            .text("bank", outcome.and_then(|outcome| outcome.bank.as_ref()).map(BankId::as_str))
            .text("function", function)
            .text("card", outcome.and_then(card))
            .text("card_key", outcome.and_then(|outcome| outcome.card_key))
            .text("kcv", outcome.and_then(|outcome| outcome.kcv))
            .text("verdict", verdict)
            .text("code", Some(code.code()))
            .text("cause", cause)
            .number("http_status", Some(self.http_status.into()))
            .text("origin", self.origin)
            .text("msg_id", outcome.and_then(|outcome| outcome.msg_id.as_ref()))
            .text("tracking_id", outcome.and_then(|outcome| outcome.tracking_id.as_ref()))
            .number("unknown_fields", outcome.map(|outcome| outcome.unknown_fields as u64))
            .number("duration_us", Some(micros))
            .into_members()
    }
}

/// The masked reference. A hash and a truncation of one PAN never stand side by side (PCI DSS
/// 3.5.1): beside the keyed name, one that may be of a PAN is left out.
fn card(outcome: &Outcome) -> Option<&str> {
    let masked = outcome.card.as_deref()?;
    let may_be_pan = (Pan::LEN_MIN..=Pan::LEN_MAX).contains(&masked.len())
        && masked.bytes().all(|byte| byte == b'X' || byte.is_ascii_digit());
    (outcome.card_key.is_none() || !may_be_pan).then_some(masked)
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
    /// The check value of the key that it is about.
    pub kcv: Option<CheckValue>,
    /// What else is to be known, such as a version or the digest of a file. No card data and no
    /// secret.
    pub detail: Option<&'a str>,
}

impl EventRecord<'_> {
    fn to_members(&self) -> String {
        Line::new(self.time, self.event.name())
            .text("caller", self.caller)
            .text("card_key", self.card_key)
            .text("kcv", self.kcv)
            .text("detail", self.detail)
            .into_members()
    }
}

/// What can happen to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// It started.
    Start,
    /// It was told to stop.
    Stop,
    /// It read its configuration.
    ConfigurationLoaded,
    /// Its keys were opened.
    KeyUnlocked,
    /// A limit was cleared, by whom and of which card.
    LimitCleared,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 5] =
        [Self::Start, Self::Stop, Self::ConfigurationLoaded, Self::KeyUnlocked, Self::LimitCleared];

    /// Its name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::ConfigurationLoaded => "configuration_loaded",
            Self::KeyUnlocked => "key_unlocked",
            Self::LimitCleared => "limit_cleared",
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::line::{LINE_BYTES_MAX, TEXT_BYTES_MAX};
    use super::*;
    use crate::cause::Cause;
    use crate::envelope::Function;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05.678901 UTC);
    const TIME: &str = r#","time":"2026-01-02T03:04:05.678901Z""#;

    fn outcome() -> Outcome {
        Outcome {
            function: Function::VerifyCvv2,
            code: ErrorCode::CardNotFound,
            cause: Some(Cause::NoSuchPlastic),
            msg_id: Some("223001".to_owned()),
            tracking_id: None,
            bank: Some(BankId::parse("NIC").unwrap()),
            card: Some("999841XXXXXXXXXX7162".to_owned()),
            card_key: Some(CardKey::from_bytes([0xAB; 16])),
            kcv: CheckValue::parse("D5BE96"),
            verdict: Some(Verdict::Mismatch),
            unknown_fields: 1,
        }
    }

    fn request(ending: Ending<'_>) -> RequestRecord<'_> {
        RequestRecord {
            time: NOW,
            caller: Some("ivr"),
            client: Some("token 7"),
            ending,
            http_status: 200,
            origin: Some("[2001:db8::1]:443".parse().unwrap()),
            duration: Duration::from_micros(812),
        }
    }

    #[test]
    fn a_request_is_one_line_in_the_documented_order() {
        let outcome = outcome();
        assert_eq!(
            Record::from(request(Ending::Answered(&outcome))).to_members(),
            TIME.to_owned()
                + r#","event":"request","caller":"ivr","client":"token 7","bank":"NIC""#
                + r#","function":"verify_cvv2","card":"999841XXXXXXXXXX7162""#
                + r#","card_key":"abababababababababababababababab","kcv":"D5BE96""#
                + r#","verdict":"mismatch","code":"301""#
                + r#","cause":"the card has no plastic of this expiry","http_status":200"#
                + r#","origin":"[2001:db8::1]:443","msg_id":"223001","tracking_id":null"#
                + r#","unknown_fields":1,"duration_us":812"#
        );
        let refused = Ending::Refused {
            function: Some("get_cvv2"),
            code: ErrorCode::NotAuthenticated,
            cause: &"no token",
        };
        let refused = RequestRecord { caller: None, origin: None, ..request(refused) };
        assert_eq!(
            Record::from(refused).to_members(),
            TIME.to_owned()
                + r#","event":"request","caller":null,"client":"token 7","bank":null"#
                + r#","function":"get_cvv2","card":null,"card_key":null,"kcv":null"#
                + r#","verdict":null,"code":"201","cause":"no token","http_status":200"#
                + r#","origin":null,"msg_id":null,"tracking_id":null,"unknown_fields":null"#
                + r#","duration_us":812"#
        );
    }

    #[test]
    fn an_event_is_one_line() {
        let event = EventRecord {
            time: NOW,
            event: Event::LimitCleared,
            caller: Some("ops"),
            card_key: Some(CardKey::from_bytes([1; 16])),
            kcv: None,
            detail: None,
        };
        assert_eq!(
            Record::from(event).to_members(),
            TIME.to_owned()
                + r#","event":"limit_cleared","caller":"ops""#
                + r#","card_key":"01010101010101010101010101010101","kcv":null,"detail":null"#
        );
    }

    #[test]
    fn a_truncated_pan_and_its_hash_are_never_side_by_side() {
        let shown = |card: &str, card_key| {
            let outcome = Outcome { card: Some(card.to_owned()), card_key, ..outcome() };
            Record::from(request(Ending::Answered(&outcome))).to_members().contains(card)
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
            unknown_fields: usize::MAX,
            ..outcome()
        };
        let record = RequestRecord {
            caller: Some(&long),
            client: Some(&long),
            http_status: u16::MAX,
            duration: Duration::MAX,
            ..request(Ending::Answered(&outcome))
        };
        let members = Record::from(record).to_members().len();
        let others = r#"{"sequence":18446744073709551615,"mac":""}"#.len() + 64 + 1;
        // This cause is shorter than a text may be.
        assert!(members + TEXT_BYTES_MAX + others <= LINE_BYTES_MAX);
    }
}
