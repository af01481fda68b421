//! The error codes of the contract, and the only place that knows their HTTP status.

/// How a request ended, as the contract numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A value was computed.
    Success,
    /// The request is no JSON, or not in the envelope.
    MalformedRequest,
    /// A mandatory field is missing.
    MissingField,
    /// A field has the wrong type, too many characters or wrong ones.
    InvalidField,
    /// `msg_function` or `msg_type` asks for something else.
    UnsupportedFunction,
    /// The timestamp is in no form of the contract, or no date.
    UnreadableTimestamp,
    /// `card_identifier_type` is none of the contract's.
    InvalidIdentifierType,
    /// The card reference is masked, or its check digit is wrong.
    InvalidIdentifier,
    /// The expiry is no date in the order YYMM.
    InvalidExpiry,
    /// The same `msg_id` came before.
    DuplicateMsgId,
    /// The caller did not say who it is, or is not who it says.
    NotAuthenticated,
    /// The caller may not do this, or not for this bank.
    NotEntitled,
    /// The caller asks too often.
    CallerRateExceeded,
    /// This card was asked for too often.
    CardRateExceeded,
    /// No card has this reference and expiry.
    CardNotFound,
    /// The card has expired.
    CardExpired,
    /// The card is blocked, closed, lost or stolen.
    CardStatusRefused,
    /// Cards of this kind have no CVV2.
    NoCvv2,
    /// There is no key for the card.
    NoCvk,
    /// The key may not be used to generate.
    CvkNotAllowed,
    /// The key store has not been opened.
    KeyStoreLocked,
    /// The card store does not answer.
    CardStoreUnavailable,
    /// The engine found itself wrong and refuses to compute.
    EngineRefused,
    /// The service is down on purpose.
    Maintenance,
    /// The time for this request is over.
    DeadlinePassed,
    /// A fault that should not be.
    Internal,
}

impl ErrorCode {
    /// Every code, ascending: `code as usize` is its place.
    pub const ALL: [Self; 26] = [
        Self::Success,
        Self::MalformedRequest,
        Self::MissingField,
        Self::InvalidField,
        Self::UnsupportedFunction,
        Self::UnreadableTimestamp,
        Self::InvalidIdentifierType,
        Self::InvalidIdentifier,
        Self::InvalidExpiry,
        Self::DuplicateMsgId,
        Self::NotAuthenticated,
        Self::NotEntitled,
        Self::CallerRateExceeded,
        Self::CardRateExceeded,
        Self::CardNotFound,
        Self::CardExpired,
        Self::CardStatusRefused,
        Self::NoCvv2,
        Self::NoCvk,
        Self::CvkNotAllowed,
        Self::KeyStoreLocked,
        Self::CardStoreUnavailable,
        Self::EngineRefused,
        Self::Maintenance,
        Self::DeadlinePassed,
        Self::Internal,
    ];

    /// The three digits of `error_code`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "000",
            Self::MalformedRequest => "101",
            Self::MissingField => "102",
            Self::InvalidField => "103",
            Self::UnsupportedFunction => "104",
            Self::UnreadableTimestamp => "105",
            Self::InvalidIdentifierType => "106",
            Self::InvalidIdentifier => "107",
            Self::InvalidExpiry => "108",
            Self::DuplicateMsgId => "109",
            Self::NotAuthenticated => "201",
            Self::NotEntitled => "202",
            Self::CallerRateExceeded => "203",
            Self::CardRateExceeded => "204",
            Self::CardNotFound => "301",
            Self::CardExpired => "303",
            Self::CardStatusRefused => "304",
            Self::NoCvv2 => "306",
            Self::NoCvk => "401",
            Self::CvkNotAllowed => "403",
            Self::KeyStoreLocked => "404",
            Self::CardStoreUnavailable => "501",
            Self::EngineRefused => "502",
            Self::Maintenance => "503",
            Self::DeadlinePassed => "504",
            Self::Internal => "999",
        }
    }

    /// The HTTP status that goes with it.
    ///
    /// A refusal that is the business's (no such card, card expired) is a good answer to a good
    /// request, 200: the contract has no 404, 409 or 422.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Success
            | Self::DuplicateMsgId
            | Self::CardRateExceeded
            | Self::CardNotFound
            | Self::CardExpired
            | Self::CardStatusRefused
            | Self::NoCvv2 => 200,
            Self::MalformedRequest
            | Self::MissingField
            | Self::InvalidField
            | Self::UnsupportedFunction
            | Self::UnreadableTimestamp
            | Self::InvalidIdentifierType
            | Self::InvalidIdentifier
            | Self::InvalidExpiry => 400,
            Self::NotAuthenticated => 401,
            Self::NotEntitled => 403,
            Self::CallerRateExceeded => 429,
            Self::NoCvk | Self::CvkNotAllowed | Self::Internal => 500,
            Self::CardStoreUnavailable | Self::EngineRefused => 502,
            Self::KeyStoreLocked | Self::Maintenance => 503,
            Self::DeadlinePassed => 504,
        }
    }

    /// What a caller is told where there is nothing to name: the same for every cause of a code.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::MalformedRequest => "Malformed request",
            Self::MissingField => "Mandatory field missing",
            Self::InvalidField => "Invalid field",
            Self::UnsupportedFunction => "Unsupported function",
            Self::UnreadableTimestamp => "Unreadable timestamp",
            Self::InvalidIdentifierType => "Invalid card_identifier_type",
            Self::InvalidIdentifier => "Invalid card_identifier_id",
            Self::InvalidExpiry => "Invalid expiry_date",
            Self::DuplicateMsgId => "Duplicate msg_id",
            Self::NotAuthenticated => "Not authenticated",
            Self::NotEntitled => "Not entitled",
            Self::CallerRateExceeded => "Too many requests",
            Self::CardRateExceeded => "Too many requests for this card",
            Self::CardNotFound => "Card not found",
            Self::CardExpired => "Card expired",
            Self::CardStatusRefused => "Card status does not allow it",
            Self::NoCvv2 => "No CVV2 for this card",
            Self::NoCvk => "No key for this card",
            Self::CvkNotAllowed => "Key not usable for this operation",
            Self::KeyStoreLocked => "Key store locked",
            Self::CardStoreUnavailable => "Card store unavailable",
            Self::EngineRefused => "Engine refuses to compute",
            Self::Maintenance => "Maintenance",
            Self::DeadlinePassed => "Deadline passed",
            Self::Internal => "Internal error",
        }
    }

    /// `S` for a success, `F` for a failure.
    #[must_use]
    pub const fn status(self) -> &'static str {
        if matches!(self, Self::Success) { "S" } else { "F" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_at_its_place() {
        assert!(ErrorCode::ALL.into_iter().enumerate().all(|(at, code)| code as usize == at));
    }

    #[test]
    fn the_table_is_the_contracts() {
        let table: Vec<_> =
            ErrorCode::ALL.iter().map(|e| (e.code(), e.http_status(), e.status())).collect();
        assert_eq!(
            table,
            [
                ("000", 200, "S"),
                ("101", 400, "F"),
                ("102", 400, "F"),
                ("103", 400, "F"),
                ("104", 400, "F"),
                ("105", 400, "F"),
                ("106", 400, "F"),
                ("107", 400, "F"),
                ("108", 400, "F"),
                ("109", 200, "F"),
                ("201", 401, "F"),
                ("202", 403, "F"),
                ("203", 429, "F"),
                ("204", 200, "F"),
                ("301", 200, "F"),
                ("303", 200, "F"),
                ("304", 200, "F"),
                ("306", 200, "F"),
                ("401", 500, "F"),
                ("403", 500, "F"),
                ("404", 503, "F"),
                ("501", 502, "F"),
                ("502", 502, "F"),
                ("503", 503, "F"),
                ("504", 504, "F"),
                ("999", 500, "F"),
            ]
        );
    }
}
