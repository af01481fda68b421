//! What one caller did, as long as it matters to a limit.

use super::codec::{Reader, Unreadable, put_moment};
use super::moment::{Moment, Span};
use super::policy::LimitPolicy;
use super::refusal::{Limit, Refusal};
use super::slots::Slots;

/// The counts of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallerLog {
    requests: Slots,
    not_found: Slots,
    verified: Slots,
    wrong: Slots,
    /// When it was charged last.
    last: Moment,
}

/// How much of a caller's limit is used.
pub(super) struct CallerUsage {
    pub(super) limit: Limit,
    pub(super) used: u32,
    pub(super) max: u32,
    /// When there will be room, if there is none.
    pub(super) room_at: Option<Moment>,
}

impl CallerLog {
    pub(super) fn new(policy: &LimitPolicy) -> Self {
        let percent_window = policy.wrong_percent_window();
        Self {
            requests: Slots::new(Span::MINUTE),
            not_found: Slots::new(Span::HOUR),
            verified: Slots::new(percent_window),
            wrong: Slots::new(percent_window),
            last: Moment::default(),
        }
    }

    /// Charges a request, or does not where a limit is reached.
    pub(super) fn admit(&mut self, policy: &LimitPolicy, now: Moment) -> Result<(), Refusal> {
        let reached =
            self.usages(policy, now).into_iter().filter_map(|u| Some((u.room_at?, u.limit))).max();
        if let Some((room_at, limit)) = reached {
            return Err(Refusal {
                limit,
                retry_after_seconds: room_at.since(now).seconds().max(1),
            });
        }
        self.requested(now);
        Ok(())
    }

    pub(super) fn requested(&mut self, now: Moment) {
        self.requests.add(now, 1);
        self.last = self.last.max(now);
    }

    pub(super) fn not_found(&mut self, now: Moment) {
        self.not_found.add(now, 1);
        self.last = self.last.max(now);
    }

    /// A verification has come to its end.
    pub(super) fn verified(&mut self, at: Moment, is_wrong: bool) {
        let at = self.verified.not_before_latest(at);
        self.verified.add(at, 1);
        if is_wrong {
            self.wrong.add(at, 1);
        }
        self.last = self.last.max(at);
    }

    /// Every limit and how much of it is used.
    pub(super) fn usages(&self, policy: &LimitPolicy, now: Moment) -> [CallerUsage; 3] {
        let requests_max = policy.caller_requests_per_minute;
        let not_found_max = policy.caller_not_found_per_hour;
        [
            count(Limit::CallerRequests, &self.requests, requests_max, now),
            count(Limit::CallerNotFound, &self.not_found, not_found_max, now),
            self.percentage(policy, now),
        ]
    }

    /// When it was charged last.
    #[cfg(feature = "postgres")]
    pub(super) const fn last(&self) -> Moment {
        self.last
    }

    /// Whether no limit needs to know of it any more.
    pub(super) fn is_idle(&self, policy: &LimitPolicy, now: Moment) -> bool {
        // Wrong verifications of cards name it that long, which is as long as its own windows or longer.
        now.since(self.last) >= policy.wrong_is_kept()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_moment(out, self.last);
        for slots in [&self.requests, &self.not_found, &self.verified, &self.wrong] {
            slots.write(out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, policy: &LimitPolicy) -> Result<Self, Unreadable> {
        let percent_window = policy.wrong_percent_window();
        Ok(Self {
            last: reader.moment()?,
            requests: Slots::read(reader, Span::MINUTE)?,
            not_found: Slots::read(reader, Span::HOUR)?,
            verified: Slots::read(reader, percent_window)?,
            wrong: Slots::read(reader, percent_window)?,
        })
    }

    fn percentage(&self, policy: &LimitPolicy, now: Moment) -> CallerUsage {
        let count_min = policy.caller_wrong_percent_count_min;
        let max = policy.caller_wrong_percent;
        let is_over = |verified: u32, wrong: u32| {
            verified >= count_min && u64::from(wrong) * 100 > u64::from(verified) * u64::from(max)
        };
        let (verified, wrong) = (self.verified.total(now), self.wrong.total(now));
        let percent = (u64::from(wrong) * 100).checked_div(verified.into()).unwrap_or(0);
        let room_at = is_over(verified, wrong).then(|| {
            // Wrong ones are verifications, so nothing leaves at another time.
            let room = self.verified.leaving().find(|(at, verified)| {
                let wrong = self.wrong.leaving().take_while(|(leaves, _)| leaves <= at).last();
                let wrong = wrong.map_or(self.wrong.last_total(), |(_, left)| left);
                *at > now && !is_over(*verified, wrong)
            });
            room.expect("without any verification it is not over").0
        });
        let used = u32::try_from(percent).expect("of a hundred");
        CallerUsage { limit: Limit::CallerWrongPercent, used, max, room_at }
    }
}

fn count(limit: Limit, slots: &Slots, max: u32, now: Moment) -> CallerUsage {
    let used = slots.total(now);
    let room_at = (used >= max).then(|| {
        let room = slots.leaving().find(|(_, left)| *left < max);
        room.expect("a limit is at least 1, and at last nothing is left").0
    });
    CallerUsage { limit, used, max, room_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> LimitPolicy {
        LimitPolicy {
            caller_requests_per_minute: 3,
            caller_not_found_per_hour: 2,
            caller_wrong_percent: 50,
            caller_wrong_percent_count_min: 4,
            caller_wrong_percent_window_minutes: 10,
            ..LimitPolicy::default()
        }
    }

    fn admit(log: &mut CallerLog, seconds: u64) -> Result<(), (Limit, u64)> {
        log.admit(&policy(), Moment::from_millis(seconds * 1000))
            .map_err(|refusal| (refusal.limit, refusal.retry_after_seconds))
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn the_last_request_that_is_allowed_passes_and_no_minute_has_more() {
        let mut log = CallerLog::new(&policy());
        for second in [100, 130, 159] {
            assert_eq!(admit(&mut log, second), Ok(()));
        }
        // At the seam of two fixed minutes there would be room again.
        assert_eq!(admit(&mut log, 160), Err((Limit::CallerRequests, 1)));
        assert_eq!(admit(&mut log, 161), Ok(()));
        assert_eq!(admit(&mut log, 162), Err((Limit::CallerRequests, 29)));
        assert_eq!(admit(&mut log, 190), Err((Limit::CallerRequests, 1)));
        assert_eq!(admit(&mut log, 191), Ok(()));
    }

    #[test]
    fn who_does_not_find_cards_is_stopped() {
        let mut log = CallerLog::new(&policy());
        for second in [60, 3000] {
            assert_eq!(admit(&mut log, second), Ok(()));
            log.not_found(at(second));
        }
        assert_eq!(admit(&mut log, 3001), Err((Limit::CallerNotFound, 3720 - 3001)));
        assert_eq!(admit(&mut log, 3719), Err((Limit::CallerNotFound, 1)));
        assert_eq!(admit(&mut log, 3720), Ok(()));
    }

    #[test]
    fn half_may_be_wrong_and_not_one_more_and_few_are_not_judged() {
        let mut log = CallerLog::new(&policy());
        for second in [10, 20, 30] {
            log.verified(at(second), true);
            assert_eq!(log.clone().admit(&policy(), at(second)), Ok(()));
        }
        // Four of four: until the first slot has left there are too many.
        let mut all_wrong = log.clone();
        all_wrong.verified(at(30), true);
        assert_eq!(admit(&mut all_wrong, 30), Err((Limit::CallerWrongPercent, 620 - 30)));
        assert_eq!(admit(&mut all_wrong, 620), Ok(()));
        // Three of six are half of them, four of seven are more.
        for _ in 0..3 {
            log.verified(at(30), false);
        }
        assert_eq!(admit(&mut log.clone(), 30), Ok(()));
        log.verified(at(40), true);
        // In the slot that leaves first one was wrong: then it is three of six again.
        assert_eq!(admit(&mut log, 40), Err((Limit::CallerWrongPercent, 620 - 40)));
        assert_eq!(admit(&mut log, 620), Ok(()));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut log = CallerLog::new(&policy());
        admit(&mut log, 5).unwrap();
        log.not_found(at(6));
        log.verified(at(7), true);
        log.verified(at(70), false);
        let mut bytes = Vec::new();
        log.write(&mut bytes);
        let read = CallerLog::read(&mut Reader::new(&bytes), &policy()).unwrap();
        let uses =
            |log: CallerLog| log.usages(&policy(), at(75)).map(|usage| (usage.used, usage.room_at));
        assert_eq!(uses(read), uses(log.clone()));
        for len in 0..bytes.len() {
            assert!(CallerLog::read(&mut Reader::new(&bytes[..len]), &policy()).is_err());
        }
    }
}
