//! The nodes and fields of a request, as the contract's table has them.

use super::function::Function;

/// A node of the request envelope, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the contract is published")]
pub enum Node {
    /// The JSON document itself.
    Document,
    /// `NISrvRequest`.
    NiSrvRequest,
    /// `request_get_cvv2`, or the node of another function.
    Request(Function),
    /// `header`.
    Header,
    /// `body`.
    Body,
}

impl Node {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::NiSrvRequest => "NISrvRequest",
            Self::Request(function) => function.request_node(),
            Self::Header => "header",
            Self::Body => "body",
        }
    }
}

/// A field of a request, in the order of the contract's table, and behind them ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the contract is published")]
pub enum Field {
    /// Unique per source.
    MsgId,
    /// Transaction or enquiry.
    MsgType,
    /// What is asked for.
    MsgFunction,
    /// The application that asks.
    SrcApplication,
    /// The application that is asked.
    TargetApplication,
    /// When the request was made.
    Timestamp,
    /// For whoever traces a request through systems.
    TrackingId,
    /// The bank whose card it is.
    BankId,
    /// The instance that is asked.
    InstanceId,
    /// The card's reference.
    CardIdentifierId,
    /// Which kind of reference.
    CardIdentifierType,
    /// The expiry of the plastic.
    ExpiryDate,
    /// The value to verify.
    Cvv2,
}

impl Field {
    /// Every field of the contract's table, in its order.
    pub const PUBLISHED: [Self; 12] = [
        Self::MsgId,
        Self::MsgType,
        Self::MsgFunction,
        Self::SrcApplication,
        Self::TargetApplication,
        Self::Timestamp,
        Self::TrackingId,
        Self::BankId,
        Self::InstanceId,
        Self::CardIdentifierId,
        Self::CardIdentifierType,
        Self::ExpiryDate,
    ];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MsgId => "msg_id",
            Self::MsgType => "msg_type",
            Self::MsgFunction => "msg_function",
            Self::SrcApplication => "src_application",
            Self::TargetApplication => "target_application",
            Self::Timestamp => "timestamp",
            Self::TrackingId => "tracking_id",
            Self::BankId => "bank_id",
            Self::InstanceId => "instance_id",
            Self::CardIdentifierId => "card_identifier_id",
            Self::CardIdentifierType => "card_identifier_type",
            Self::ExpiryDate => "expiry_date",
            Self::Cvv2 => "cvv2",
        }
    }

    /// The most characters it may have.
    #[must_use]
    pub const fn chars_max(self) -> usize {
        match self {
            Self::Cvv2 => 3,
            Self::BankId | Self::ExpiryDate => 4,
            Self::SrcApplication | Self::TargetApplication | Self::InstanceId => 10,
            Self::MsgId | Self::MsgType => 12,
            Self::CardIdentifierType => 20,
            Self::Timestamp | Self::TrackingId => 30,
            Self::CardIdentifierId => 32,
            Self::MsgFunction => 50,
        }
    }

    /// Whether a request without it is refused.
    #[must_use]
    pub const fn is_mandatory(self) -> bool {
        !matches!(self, Self::TrackingId | Self::InstanceId)
    }

    /// Whether an integer is taken as its text. Only `msg_id` is a number to some senders; a card
    /// reference or a date that was sent as one has lost digits.
    #[must_use]
    pub const fn takes_integer(self) -> bool {
        matches!(self, Self::MsgId)
    }
}
