//! Why a request got no CVV2: what happened, and what the caller is told.

use std::borrow::Cow;
use std::fmt;

use cvv2::ComputeError;
use cvv2_resolver::{CardStatus, StoreError};

use crate::audit::AppendError;
use crate::auth::AuthError;
use crate::cvk_source::CvkError;
use crate::envelope::{ErrorCode, Malformed};
use crate::limits::{Denied, LimitError, LimitKind, Refusal};
use crate::transport::BodyError;

/// The real cause of a refusal.
///
/// Its `Display` is for the audit record and the operator. The caller gets
/// [`description`](Self::description), which tells less: causes that must not be told apart share a
/// [`code`](Self::code) and so a description. Neither holds card data.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The request is not as the contract has it.
    Malformed(Malformed),
    /// The caller is not known.
    NotAuthenticated(AuthError),
    /// The request is not announced as JSON.
    MediaType,
    /// The request did not arrive as a whole.
    Body(BodyError),
    /// The function or the bank is none of the caller's.
    NotEntitled,
    /// A limit of the caller or of the card is reached.
    Limited(Refusal),
    /// The source has used this `msg_id` before.
    Replayed,
    /// The bank has no card under this reference; another bank may have one.
    UnknownReference,
    /// The card has no plastic of this expiry.
    NoSuchPlastic,
    /// The card's status forbids it.
    CardStatus(CardStatus),
    /// The status of every plastic of this expiry forbids it.
    PlasticStatus(CardStatus),
    /// The plastic has expired.
    Expired,
    /// There is no key.
    Cvk(CvkError),
    /// The store failed.
    Store(StoreError),
    /// The engine refused.
    Compute(ComputeError),
    /// What would have been charged cannot be kept.
    Limits(LimitError),
    /// The record of the answer cannot be written.
    Audit(AppendError),
    /// The time for the request is over.
    Deadline,
    /// The program has a fault.
    Panicked,
}

impl Cause {
    /// The code of the contract's table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(malformed) => malformed.code(),
            Self::NotAuthenticated(_) => ErrorCode::NotAuthenticated,
            Self::MediaType | Self::Body(_) => ErrorCode::MalformedRequest,
            Self::NotEntitled => ErrorCode::NotEntitled,
            Self::Limited(refusal) => match refusal.kind() {
                LimitKind::Caller => ErrorCode::CallerRateExceeded,
                LimitKind::Card => ErrorCode::CardRateExceeded,
            },
            Self::Replayed => ErrorCode::DuplicateMsgId,
            Self::UnknownReference | Self::NoSuchPlastic => ErrorCode::CardNotFound,
            Self::CardStatus(_) | Self::PlasticStatus(_) => ErrorCode::CardStatusRefused,
            Self::Expired => ErrorCode::CardExpired,
            Self::Cvk(CvkError::NoCvv2ForProduct) => ErrorCode::NoCvv2,
            Self::Cvk(CvkError::NoKey) => ErrorCode::NoCvk,
            Self::Cvk(CvkError::NotAllowed) => ErrorCode::CvkNotAllowed,
            Self::Cvk(CvkError::Locked) => ErrorCode::KeyStoreLocked,
            Self::Store(_) => ErrorCode::CardStoreUnavailable,
            Self::Compute(_) => ErrorCode::EngineRefused,
            Self::Limits(_) | Self::Audit(_) => ErrorCode::Maintenance,
            Self::Deadline => ErrorCode::DeadlinePassed,
            Self::Panicked => ErrorCode::Internal,
        }
    }

    /// The HTTP status of the answer: that of the [`code`](Self::code), unless what is wrong is
    /// HTTP's own business.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::MediaType => 415,
            Self::Body(BodyError::TooLarge) => 413,
            Self::Body(BodyError::TooSlow) => 408,
            _ => self.code().http_status(),
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn description(&self) -> Cow<'static, str> {
        match self {
            Self::Malformed(malformed) => malformed.to_string().into(),
            Self::MediaType => "Content-Type is not application/json".into(),
            Self::Body(error) => error.to_string().into(),
            // A function of the code alone: uniform by construction.
            _ => self.code().meaning().into(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::NotAuthenticated(error) => error.fmt(f),
            Self::MediaType => f.write_str("the request is not announced as JSON"),
            Self::Body(error) => error.fmt(f),
            Self::NotEntitled => f.write_str("the function or the bank is none of the caller's"),
            Self::Limited(refusal) => refusal.fmt(f),
            Self::Replayed => f.write_str("the source has used this msg_id before"),
            Self::UnknownReference => f.write_str("the bank has no card under this reference"),
            Self::NoSuchPlastic => f.write_str("the card has no plastic of this expiry"),
            Self::CardStatus(status) => write!(f, "the card is {status}"),
            Self::PlasticStatus(status) => write!(f, "the plastic is {status}"),
            Self::Expired => f.write_str("the plastic has expired"),
            Self::Cvk(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Compute(error) => error.fmt(f),
            Self::Limits(error) => error.fmt(f),
            Self::Audit(error) => error.fmt(f),
            Self::Deadline => f.write_str("the time for the request is over"),
            Self::Panicked => f.write_str("a fault of the program; the log has its place"),
        }
    }
}

impl std::error::Error for Cause {}

impl From<Malformed> for Cause {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<CvkError> for Cause {
    fn from(error: CvkError) -> Self {
        Self::Cvk(error)
    }
}

impl From<StoreError> for Cause {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ComputeError> for Cause {
    fn from(error: ComputeError) -> Self {
        Self::Compute(error)
    }
}

impl From<Denied> for Cause {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(refusal) => Self::Limited(refusal),
            Denied::Unavailable(error) => Self::Limits(error),
        }
    }
}

impl From<LimitError> for Cause {
    fn from(error: LimitError) -> Self {
        Self::Limits(error)
    }
}
