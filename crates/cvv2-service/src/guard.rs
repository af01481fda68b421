//! What keeps an entitled caller from asking too much.

use std::fmt;

use cvv2::Pan;
use time::OffsetDateTime;

use crate::caller::Caller;
use crate::card_key::{CardHasher, CardKey};
use crate::cause::Cause;
use crate::envelope::{Function, Seen};
use crate::limits::{LimitError, Limits, MessageUse, Verification};

/// The limits of a service, by the names that its cards have there, and what it does about messages
/// that come twice.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever starts a service puts it together")]
pub struct Guard {
    /// What is counted.
    pub limits: Limits,
    /// Names cards.
    pub card_hasher: CardHasher,
    /// What is done about a `msg_id` that its source has used before.
    pub replays: Replays,
}

/// What is done about a `msg_id` that its source has used within the window of the limits
/// ([`message_window_minutes`](crate::limits::LimitPolicy::message_window_minutes)).
///
/// A `msg_id` is used by the first request with it that its caller may make, whatever became of
/// that: from the first on, for the window's length. Those of other sources, and of other callers,
/// are others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is looked at, or not, or refused")]
pub enum Replays {
    /// Nothing, not even looking.
    Ignore,
    /// It is counted and recorded. Senders that repeat a message because its answer got lost are
    /// answered again. Where there are more than can be kept in mind, some pass for new.
    #[default]
    Measure,
    /// It is refused, with code 109; and with code 503, what cannot be told from it because there are
    /// more than can be kept in mind. Whoever repeats a request that got no value, or none that
    /// arrived, gives it a new `msg_id`.
    Reject,
}

impl Replays {
    /// What operators call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Measure => "measure",
            Self::Reject => "reject",
        }
    }

    /// What has this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Ignore, Self::Measure, Self::Reject].into_iter().find(|it| it.name() == name)
    }
}

/// What was charged for a request of a card.
pub(crate) enum Charge {
    /// A generated value, or nothing, because nothing is counted.
    Settled,
    /// A verification that counts as wrong until it is settled.
    Verification(Verification),
}

impl Charge {
    /// Nothing was guessed.
    pub(crate) fn give_back(self) -> Result<(), Cause> {
        match self {
            Self::Settled => Ok(()),
            Self::Verification(verification) => Ok(verification.matched()?),
        }
    }

    /// The value was wrong.
    pub(crate) fn keep(self) -> Result<(), Cause> {
        match self {
            Self::Settled => Ok(()),
            Self::Verification(verification) => Ok(verification.mismatched()?),
        }
    }
}

impl Guard {
    /// Whether the message was seen before. Refuses it where that is what is wanted.
    pub(crate) fn look_for_replay(
        &self,
        caller: &Caller,
        seen: &Seen<'_>,
        now: OffsetDateTime,
    ) -> Result<bool, Cause> {
        let echo = seen.echo.as_ref();
        let source = echo.and_then(|echo| echo.src_application.as_ref());
        let msg_id = echo.and_then(|echo| echo.msg_id.as_ref());
        let (Some(source), Some(msg_id)) = (source, msg_id) else { return Ok(false) };
        if self.replays == Replays::Ignore {
            return Ok(false);
        }
        let message =
            self.card_hasher.hash_message(caller.name(), source.expose(), msg_id.expose());
        match (self.limits.first_use(message, now)?, self.replays) {
            (MessageUse::Again, Replays::Reject) => Err(Cause::Replayed),
            (MessageUse::Unknown, Replays::Reject) => {
                Err(LimitError::Full { setting: "messages_max" }.into())
            }
            (used, _) => Ok(used == MessageUse::Again),
        }
    }

    /// The card's name.
    pub(crate) fn card_key(&self, pan: &Pan) -> CardKey {
        self.card_hasher.hash(pan)
    }

    /// Charges a card that was found.
    pub(crate) fn charge(
        &self,
        function: Function,
        caller: &Caller,
        card: CardKey,
        now: OffsetDateTime,
    ) -> Result<Charge, Cause> {
        match function {
            Function::GetCvv2 => {
                self.limits.charge_generate(caller.name(), card, now)?;
                Ok(Charge::Settled)
            }
            Function::VerifyCvv2 => {
                Ok(Charge::Verification(self.limits.charge_verify(caller.name(), card, now)?))
            }
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Charge")
    }
}
