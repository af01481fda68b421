//! What is limited, and how a limit says no.

use std::fmt;

use super::error::LimitError;

/// One of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Requests of a caller in any minute.
    CallerRequests,
    /// Answers "not found" to a caller in any hour. Looked at before a request is served; so those
    /// that are being served at that moment may come on top.
    CallerNotFound,
    /// Wrong verifications of a caller, in percent of its verifications. Of those that have come to
    /// their end.
    CallerWrongPercent,
    /// Requests for a card in any 24 hours, of all kinds and callers.
    CardRequests,
    /// CVV2s generated for a card in any 24 hours.
    CardGenerates,
    /// Wrong verifications of a card by one caller: the soft limit, which keeps one caller from
    /// locking a card for all others.
    CardWrongSoft,
    /// Wrong verifications of a card by all callers: the hard limit. It holds until its window has
    /// passed or an administrator has cleared the card.
    CardWrongHard,
}

impl Limit {
    /// Its name in audit records and for administrators: that of its setting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallerRequests => "caller_requests_per_minute",
            Self::CallerNotFound => "caller_not_found_per_hour",
            Self::CallerWrongPercent => "caller_wrong_percent",
            Self::CardRequests => "card_requests_per_day",
            Self::CardGenerates => "card_generates_per_day",
            Self::CardWrongSoft => "card_wrong_soft",
            Self::CardWrongHard => "card_wrong_hard",
        }
    }

    /// What it limits.
    #[must_use]
    pub const fn kind(self) -> LimitKind {
        match self {
            Self::CallerRequests | Self::CallerNotFound | Self::CallerWrongPercent => {
                LimitKind::Caller
            }
            Self::CardRequests
            | Self::CardGenerates
            | Self::CardWrongSoft
            | Self::CardWrongHard => LimitKind::Card,
        }
    }
}

/// What a limit is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever answers has to have an answer for each")]
pub enum LimitKind {
    /// One caller, whatever it asks for.
    Caller,
    /// One card, whoever asks.
    Card,
}

/// A limit is reached. Nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which limit; if there are several, the one that lasts longest.
    pub limit: Limit,
    /// When to try again at the earliest, in seconds from now; at least 1.
    pub retry_after_seconds: u64,
}

impl Refusal {
    /// What the limit is a limit of.
    #[must_use]
    pub const fn kind(self) -> LimitKind {
        self.limit.kind()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, retry_after_seconds } = self;
        write!(f, "the limit {} is reached for {retry_after_seconds} s", limit.name())
    }
}

/// Why a request may not go on.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a limit says no, or cannot say anything")]
pub enum Denied {
    /// A limit is reached.
    Refused(Refusal),
    /// The limits cannot be kept: whoever cannot count does not let anything through.
    Unavailable(LimitError),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Denied {}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<LimitError> for Denied {
    fn from(error: LimitError) -> Self {
        Self::Unavailable(error)
    }
}
