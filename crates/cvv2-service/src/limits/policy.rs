//! How much is too much: every number that an operator can set.

use std::fmt;

use serde::Deserialize;

use super::moment::Span;

/// The numbers of all limits, with defaults. What is refused, and until when, is at [`Limit`].
///
/// [`Limit`]: super::Limit
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "operators and tests fill it in with `..`")]
pub struct LimitPolicy {
    /// Requests of one caller in any minute. 1 to 1,000,000. Default: 6,000.
    pub caller_requests_per_minute: u32,
    /// Answers "not found" to one caller in any hour, wrong expiries among them. 1 to 1,000,000.
    /// Default: 200.
    pub caller_not_found_per_hour: u32,
    /// Of the verifications of one caller, how many may be wrong, in percent. 1 to 100; 100 is no
    /// limit. Default: 50.
    pub caller_wrong_percent: u32,
    /// Verifications of a caller in the window below which its percentage is not judged. 1 to
    /// 1,000,000. Default: 20.
    pub caller_wrong_percent_count_min: u32,
    /// The window of the percentage, in minutes. 1 to 1,440. Default: 60.
    pub caller_wrong_percent_window_minutes: u32,
    /// CVV2s generated for one card in any 24 hours. 1 to 1,000. Default: 20.
    pub card_generates_per_day: u32,
    /// Requests of all kinds and callers for one card in any 24 hours. 1 to 1,000. Default: 100.
    pub card_requests_per_day: u32,
    /// Wrong verifications of one card by one caller in the soft window. 1 to `card_wrong_hard`.
    /// Default: 3.
    pub card_wrong_soft: u32,
    /// The soft window, in hours. 1 to `card_wrong_hard_window_hours`. Default: 24.
    pub card_wrong_soft_window_hours: u32,
    /// Wrong verifications of one card by all callers in the hard window. 1 to 100. Default: 10.
    pub card_wrong_hard: u32,
    /// The hard window, in hours. 1 to 8,784 (366 days). Default: 720 (30 days).
    pub card_wrong_hard_window_hours: u32,
    /// Callers that are kept in mind. One that has been idle for the longest window makes room for
    /// another; if none has, the other is refused. 1 to 100,000; each takes about 1 KiB. Default:
    /// 1,000.
    pub callers_max: u32,
    /// Charges of cards that are kept in mind, over all cards. Where there are more, cards are
    /// refused until some have left their window. 1,000 to 100,000,000; each takes 16 to 90 bytes
    /// of memory, the more the fewer a card has. Default: 4,000,000.
    pub card_charges_max: u32,
    /// How long the name of a message is used, from its first use on, in minutes. 1 to 1,440.
    /// Default: 60.
    pub message_window_minutes: u32,
    /// Names of messages that are kept in mind, over all callers: as many as may come in the window
    /// and a sixtieth of it. Of more it is [not known] whether they were used. 1,000 to 100,000,000;
    /// each takes 22 to 32 bytes of memory. Default: 1,000,000, which is 270 a second for an hour.
    ///
    /// [not known]: super::MessageUse::Unknown
    pub messages_max: u32,
    /// The journal is written anew when it has this many bytes at least, and twice as many as
    /// when it was written anew last. 4,096 to 1,073,741,824. Default: 16,777,216 (16 MiB).
    pub journal_bytes_min: u32,
}

impl LimitPolicy {
    /// Refuses numbers that are out of range.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with the first setting that is out of range.
    pub fn check(&self) -> Result<(), PolicyError> {
        let hours_max = 366 * 24;
        for (setting, value, min, max) in [
            ("caller_requests_per_minute", self.caller_requests_per_minute, 1, 1_000_000),
            ("caller_not_found_per_hour", self.caller_not_found_per_hour, 1, 1_000_000),
            ("caller_wrong_percent", self.caller_wrong_percent, 1, 100),
            ("caller_wrong_percent_count_min", self.caller_wrong_percent_count_min, 1, 1_000_000),
            (
                "caller_wrong_percent_window_minutes",
                self.caller_wrong_percent_window_minutes,
                1,
                1440,
            ),
            ("card_generates_per_day", self.card_generates_per_day, 1, 1000),
            ("card_requests_per_day", self.card_requests_per_day, 1, 1000),
            ("card_wrong_hard", self.card_wrong_hard, 1, 100),
            ("card_wrong_soft", self.card_wrong_soft, 1, self.card_wrong_hard),
            ("card_wrong_hard_window_hours", self.card_wrong_hard_window_hours, 1, hours_max),
            (
                "card_wrong_soft_window_hours",
                self.card_wrong_soft_window_hours,
                1,
                self.card_wrong_hard_window_hours,
            ),
            ("callers_max", self.callers_max, 1, 100_000),
            ("card_charges_max", self.card_charges_max, 1000, 100_000_000),
            ("message_window_minutes", self.message_window_minutes, 1, 1440),
            ("messages_max", self.messages_max, 1000, 100_000_000),
            ("journal_bytes_min", self.journal_bytes_min, 4096, 1 << 30),
        ] {
            if !(min..=max).contains(&value) {
                return Err(PolicyError { setting, min, max });
            }
        }
        Ok(())
    }

    pub(super) fn wrong_percent_window(&self) -> Span {
        Span::from_minutes(self.caller_wrong_percent_window_minutes)
    }

    pub(super) fn wrong_soft_window(&self) -> Span {
        Span::from_hours(self.card_wrong_soft_window_hours)
    }

    pub(super) fn wrong_hard_window(&self) -> Span {
        Span::from_hours(self.card_wrong_hard_window_hours)
    }

    pub(super) fn message_window(&self) -> Span {
        Span::from_minutes(self.message_window_minutes)
    }

    /// How long a wrong verification matters to any limit.
    pub(super) fn wrong_is_kept(&self) -> Span {
        self.wrong_hard_window().max(Span::DAY)
    }
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self {
            caller_requests_per_minute: 6000,
            caller_not_found_per_hour: 200,
            caller_wrong_percent: 50,
            caller_wrong_percent_count_min: 20,
            caller_wrong_percent_window_minutes: 60,
            card_generates_per_day: 20,
            card_requests_per_day: 100,
            card_wrong_soft: 3,
            card_wrong_soft_window_hours: 24,
            card_wrong_hard: 10,
            card_wrong_hard_window_hours: 720,
            callers_max: 1000,
            card_charges_max: 4_000_000,
            message_window_minutes: 60,
            messages_max: 1_000_000,
            journal_bytes_min: 16 << 20,
        }
    }
}

/// A number that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyError {
    /// The name of the setting.
    pub setting: &'static str,
    /// The least that it may be.
    pub min: u32,
    /// The most that it may be, with the other settings as they are.
    pub max: u32,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, min, max } = self;
        write!(f, "{setting} has to be {min} to {max}")
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_seams_hold() {
        let with = |change: fn(&mut LimitPolicy)| {
            let mut policy = LimitPolicy::default();
            change(&mut policy);
            policy.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|p| p.card_requests_per_day = 1000), Ok(()));
        for (change, setting, min, max) in [
            (
                (|p| p.card_requests_per_day = 1001) as fn(&mut LimitPolicy),
                "card_requests_per_day",
                1,
                1000,
            ),
            (|p| p.card_requests_per_day = 0, "card_requests_per_day", 1, 1000),
            (|p| p.card_wrong_hard = 101, "card_wrong_hard", 1, 100),
            (|p| p.card_wrong_soft = 11, "card_wrong_soft", 1, 10),
            (|p| p.card_wrong_soft_window_hours = 721, "card_wrong_soft_window_hours", 1, 720),
            (|p| p.caller_wrong_percent = 101, "caller_wrong_percent", 1, 100),
            (|p| p.message_window_minutes = 1441, "message_window_minutes", 1, 1440),
            (|p| p.messages_max = 999, "messages_max", 1000, 100_000_000),
        ] {
            assert_eq!(with(change), Err(PolicyError { setting, min, max }));
        }
        assert_eq!(
            with(|p| p.card_wrong_hard = 0).unwrap_err().to_string(),
            "card_wrong_hard has to be 1 to 100"
        );
    }
}
