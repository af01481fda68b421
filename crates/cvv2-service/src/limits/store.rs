//! Where limits are kept.

use super::card_log::{CallerId, EventKind};
use super::durable::Durable;
use super::error::LimitError;
use super::message_use::MessageUse;
use super::moment::Moment;
use super::refusal::Denied;
use super::report::{CallerLimits, CardLimits, LimitCounters, ListFilter};
use crate::card_key::CardKey;
use crate::message_key::MessageKey;

/// A verification that was charged as wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) caller: CallerId,
    pub(super) card: CardKey,
    pub(super) at: Moment,
}

/// What every store of limits does: each charge looks and charges in one step, for all threads and
/// processes that share the store.
pub(super) trait LimitStore: Send + Sync {
    fn admit(&self, caller: &str, now: Moment) -> Result<(), Denied>;
    fn not_found(&self, caller: &str, now: Moment) -> Result<(), LimitError>;
    fn first_use(&self, message: MessageKey, now: Moment) -> Result<MessageUse, LimitError>;
    fn charge(
        &self,
        caller: &str,
        card: CardKey,
        kind: EventKind,
        now: Moment,
    ) -> Result<Reservation, Denied>;
    fn settle(&self, reserved: Reservation, is_wrong: bool) -> Result<(), LimitError>;
    fn durable(&self) -> Durable;
    fn list_cards(&self, filter: &ListFilter, now: Moment) -> Result<Vec<CardLimits>, LimitError>;
    fn list_callers(
        &self,
        filter: &ListFilter,
        now: Moment,
    ) -> Result<Vec<CallerLimits>, LimitError>;
    fn show_card(&self, card: CardKey, now: Moment) -> Result<Option<CardLimits>, LimitError>;
    fn show_caller(&self, caller: &str, now: Moment) -> Result<Option<CallerLimits>, LimitError>;
    fn clear_card(&self, card: CardKey) -> Result<bool, LimitError>;
    fn clear_caller(&self, caller: &str) -> Result<bool, LimitError>;
    /// What of the counters the store knows.
    fn count(&self, counters: &mut LimitCounters);
}
