//! What administrators and metrics see of limits.

use super::caller_log::CallerUsage;
use super::card_log::{CallerId, CardUsage};
use super::moment::Moment;
use super::refusal::Limit;
use crate::card_key::CardKey;

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitUsage {
    /// The limit.
    pub limit: Limit,
    /// Of [`Limit::CardWrongSoft`], the caller that it holds for; its number if its name is not
    /// known any more.
    pub caller: Option<String>,
    /// How much is used: a count, or percent.
    pub used: u32,
    /// How much there is.
    pub max: u32,
    /// If the limit is reached, when there will be room again, in seconds from now; else `None`.
    pub retry_after_seconds: Option<u64>,
}

/// The limits of one card.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CardLimits {
    /// The card.
    pub card: CardKey,
    /// Its limits; the soft one for every caller that has used of it.
    pub usage: Vec<LimitUsage>,
}

/// The limits of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallerLimits {
    /// The caller.
    pub caller: String,
    /// Its limits.
    pub usage: Vec<LimitUsage>,
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "administrators fill it in with `..`")]
pub struct ListFilter {
    /// Only cards or callers of which a limit is reached. Default: yes.
    pub reached_only: bool,
    /// The most rows. Default: 1,000.
    pub rows_max: usize,
}

impl Default for ListFilter {
    fn default() -> Self {
        Self { reached_only: true, rows_max: 1000 }
    }
}

impl ListFilter {
    /// The rows that it lets through.
    pub(super) fn rows<T>(
        &self,
        all: impl Iterator<Item = T>,
        usage: impl Fn(&T) -> &[LimitUsage],
    ) -> Vec<T> {
        let is_reached = |row: &T| usage(row).iter().any(|u| u.retry_after_seconds.is_some());
        all.filter(|row| !self.reached_only || is_reached(row)).take(self.rows_max).collect()
    }
}

/// Counters for metrics. Those of what happened count from the start of the process; those of what
/// is kept in mind and of the journal are of limits in a directory, and 0 in a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitCounters {
    /// Requests that a limit of their caller has refused.
    pub refused_by_caller: u64,
    /// Requests that a limit of their card has refused.
    pub refused_by_card: u64,
    /// Charges that failed because the limits could not be kept.
    pub unavailable: u64,
    /// Messages of which nobody can tell whether they were used before.
    pub unknown_messages: u64,
    /// Charges of cards that are kept in mind, over all cards.
    pub card_charges: u64,
    /// Names of messages that are kept in mind.
    pub messages: u64,
    /// Charges and other changes that the disk does not have yet.
    pub journal_lag: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Writes of the journal that failed.
    pub journal_failures: u64,
}

impl CardLimits {
    pub(super) fn new<'n>(
        card: CardKey,
        usages: Vec<CardUsage>,
        now: Moment,
        name: impl Fn(CallerId) -> Option<&'n str>,
    ) -> Self {
        let named = |id: CallerId| name(id).map_or_else(|| format!("#{}", id.0), str::to_owned);
        let usage = usages.into_iter().map(|usage| LimitUsage {
            limit: usage.limit,
            caller: usage.caller.map(named),
            used: usage.used,
            max: usage.max,
            retry_after_seconds: seconds_to(usage.room_at, now),
        });
        Self { card, usage: usage.collect() }
    }
}

impl CallerLimits {
    pub(super) fn new(caller: &str, usages: [CallerUsage; 3], now: Moment) -> Self {
        let usage = usages.into_iter().map(|usage| LimitUsage {
            limit: usage.limit,
            caller: None,
            used: usage.used,
            max: usage.max,
            retry_after_seconds: seconds_to(usage.room_at, now),
        });
        Self { caller: caller.to_owned(), usage: usage.collect() }
    }
}

fn seconds_to(room_at: Option<Moment>, now: Moment) -> Option<u64> {
    room_at.map(|room_at| room_at.since(now).seconds().max(1))
}
