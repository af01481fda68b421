//! What happened with one card, as long as it matters to a limit.

mod events;

use self::events::{Event, Events};
use super::codec::{Reader, Unreadable, put_moment};
use super::moment::{Moment, Span};
use super::policy::LimitPolicy;
use super::refusal::{Limit, Refusal};

/// A caller, by a number that no other caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CallerId(pub(super) u32);

/// The events of a card over all expiries, callers and kinds, oldest first.
///
/// All of a card's limits are counted in this one list, event by event: in *any* stretch of a
/// window's length, from each moment on, there are never more than the limit allows. The list is
/// short, because what it lists is limited.
///
/// Time does not go back for a card: what comes with an earlier time than the event before it gets
/// the time of that one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CardLog(Events);

/// What happened with the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EventKind {
    Generate = 0,
    /// A verification that was found to be right.
    Right = 1,
    /// A verification that was found to be wrong, or is not finished.
    Wrong = 2,
}

impl EventKind {
    pub(super) fn of(byte: u8) -> Result<Self, Unreadable> {
        [Self::Generate, Self::Right, Self::Wrong]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or(Unreadable)
    }
}

/// How much of a card's limit is used.
pub(super) struct CardUsage {
    pub(super) limit: Limit,
    /// Of the soft limit, whose it is.
    pub(super) caller: Option<CallerId>,
    pub(super) used: u32,
    pub(super) max: u32,
    /// When there will be room, if there is none.
    pub(super) room_at: Option<Moment>,
}

impl CardLog {
    /// Charges the card, or does not where a limit is reached. A verification is charged as wrong.
    pub(super) fn charge(
        &mut self,
        policy: &LimitPolicy,
        kind: EventKind,
        caller: CallerId,
        now: Moment,
    ) -> Result<Moment, Refusal> {
        let at = self.at(now);
        self.forget(policy, at);
        let limits: &[Limit] = match kind {
            EventKind::Generate => &[Limit::CardRequests, Limit::CardGenerates],
            EventKind::Right | EventKind::Wrong => {
                &[Limit::CardRequests, Limit::CardWrongSoft, Limit::CardWrongHard]
            }
        };
        let reached = limits.iter().filter_map(|limit| {
            let usage = self.usage(policy, *limit, caller, at);
            usage.room_at.map(|room_at| (room_at, usage.limit))
        });
        if let Some((room_at, limit)) = reached.max() {
            return Err(Refusal {
                limit,
                retry_after_seconds: room_at.since(now).seconds().max(1),
            });
        }
        self.push(at, caller, kind);
        Ok(at)
    }

    /// Adds what was charged.
    pub(super) fn push(&mut self, at: Moment, caller: CallerId, kind: EventKind) {
        let at = self.at(at);
        self.0.push(Event { at, caller, kind });
    }

    /// A verification that was charged as wrong at this time was right. Where the card has been
    /// cleared since, nothing happens.
    pub(super) fn give_back(&mut self, at: Moment, caller: CallerId) {
        // Two of the same caller in the same millisecond are alike: whichever is found will do.
        let charged = Event { at, caller, kind: EventKind::Wrong };
        self.0.change_last(charged, EventKind::Right);
    }

    /// Every limit and how much of it is used; the soft one for each caller that has used of it.
    pub(super) fn usages(&self, policy: &LimitPolicy, now: Moment) -> Vec<CardUsage> {
        let at = self.at(now);
        let nobody = CallerId(u32::MAX);
        let of_all = [Limit::CardRequests, Limit::CardGenerates, Limit::CardWrongHard];
        let mut usages: Vec<_> =
            of_all.iter().map(|limit| self.usage(policy, *limit, nobody, at)).collect();
        let mut callers: Vec<_> = self.0.list().iter().map(|event| event.caller).collect();
        callers.sort_unstable();
        callers.dedup();
        let soft = callers.iter().map(|id| self.usage(policy, Limit::CardWrongSoft, *id, at));
        usages.extend(soft.filter(|usage| usage.used > 0));
        usages
    }

    /// Drops what matters to no limit any more.
    pub(super) fn forget(&mut self, policy: &LimitPolicy, at: Moment) {
        // Everything matters for a day at least.
        if self.0.list().first().is_none_or(|oldest| at.since(oldest.at) < Span::DAY) {
            return;
        }
        self.0.retain(|event| {
            let kept = match event.kind {
                EventKind::Wrong => policy.wrong_is_kept(),
                EventKind::Generate | EventKind::Right => Span::DAY,
            };
            at.since(event.at) < kept
        });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// When something happened last.
    pub(super) fn last(&self) -> Option<Moment> {
        self.0.list().last().map(|last| last.at)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let len = u16::try_from(self.len()).expect("a card has at most 1,100 events");
        out.extend_from_slice(&len.to_le_bytes());
        for Event { at, caller, kind } in self.0.list().iter() {
            put_moment(out, *at);
            out.extend_from_slice(&caller.0.to_le_bytes());
            out.push(*kind as u8);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let mut log = Self::default();
        for _ in 0..reader.u16()? {
            let (at, caller) = (reader.moment()?, CallerId(reader.u32()?));
            log.push(at, caller, EventKind::of(reader.u8()?)?);
        }
        Ok(log)
    }

    fn usage(&self, policy: &LimitPolicy, limit: Limit, caller: CallerId, at: Moment) -> CardUsage {
        let is_soft = limit == Limit::CardWrongSoft;
        let (max, window) = match limit {
            Limit::CardGenerates => (policy.card_generates_per_day, Span::DAY),
            Limit::CardWrongSoft => (policy.card_wrong_soft, policy.wrong_soft_window()),
            Limit::CardWrongHard => (policy.card_wrong_hard, policy.wrong_hard_window()),
            _ => (policy.card_requests_per_day, Span::DAY),
        };
        let events = self.0.list();
        let in_window = events.partition_point(|event| at.since(event.at) >= window);
        let counts = |event: &&Event| match limit {
            Limit::CardGenerates => event.kind == EventKind::Generate,
            Limit::CardWrongSoft => event.kind == EventKind::Wrong && event.caller == caller,
            Limit::CardWrongHard => event.kind == EventKind::Wrong,
            _ => true,
        };
        let counted = || events[in_window..].iter().filter(counts);
        let used = u32::try_from(counted().count()).expect("a card has at most 1,100 events");
        // There will be room when as many have left the window as are over the limit, and one more.
        let room_at = used.checked_sub(max).map(|over| {
            let leaves = counted().nth(over as usize).expect("the limit is at least 1");
            leaves.at.after(window)
        });
        CardUsage { limit, caller: is_soft.then_some(caller), used, max, room_at }
    }

    fn at(&self, now: Moment) -> Moment {
        self.last().map_or(now, |last| last.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const ONE: CallerId = CallerId(1);
    const OTHER: CallerId = CallerId(2);

    fn policy() -> LimitPolicy {
        LimitPolicy {
            card_generates_per_day: 3,
            card_requests_per_day: 5,
            card_wrong_soft: 2,
            card_wrong_soft_window_hours: 1,
            card_wrong_hard: 4,
            card_wrong_hard_window_hours: 48,
            ..LimitPolicy::default()
        }
    }

    struct Card(CardLog);

    impl Card {
        fn new() -> Self {
            Self(CardLog::default())
        }

        /// Charges, and tells which limit was reached and for how many seconds.
        fn charge(
            &mut self,
            kind: EventKind,
            caller: CallerId,
            at: u64,
        ) -> Result<(), (Limit, u64)> {
            self.0
                .charge(&policy(), kind, caller, Moment::from_millis(at))
                .map(|_| ())
                .map_err(|refusal| (refusal.limit, refusal.retry_after_seconds))
        }
    }

    #[test]
    fn the_last_that_is_allowed_passes_and_the_next_waits_for_the_first_to_leave() {
        let mut card = Card::new();
        for at in [0, 10, 20] {
            assert_eq!(card.charge(EventKind::Generate, ONE, at), Ok(()));
        }
        let reached = |seconds| Err((Limit::CardGenerates, seconds));
        assert_eq!(card.charge(EventKind::Generate, OTHER, 20), reached(86_400));
        assert_eq!(card.charge(EventKind::Generate, OTHER, DAY - 1), reached(1));
        // A window is half open: the first one has left at its very end.
        assert_eq!(card.charge(EventKind::Generate, OTHER, DAY), Ok(()));
        assert_eq!(card.charge(EventKind::Generate, OTHER, DAY + 9), reached(1));
        assert_eq!(card.charge(EventKind::Generate, OTHER, DAY + 10), Ok(()));
    }

    #[test]
    fn the_soft_limit_stops_one_caller_and_the_hard_one_all() {
        let mut card = Card::new();
        assert_eq!(card.charge(EventKind::Wrong, ONE, 0), Ok(()));
        assert_eq!(card.charge(EventKind::Wrong, ONE, 1), Ok(()));
        assert_eq!(card.charge(EventKind::Wrong, ONE, 2), Err((Limit::CardWrongSoft, 3600)));
        assert_eq!(card.charge(EventKind::Wrong, OTHER, 2), Ok(()));
        assert_eq!(card.charge(EventKind::Wrong, ONE, HOUR), Ok(()));
        let hard = Err((Limit::CardWrongHard, 2 * 86_400 - 3600));
        assert_eq!(card.charge(EventKind::Wrong, OTHER, HOUR), hard);
        // A card that nobody can verify can still be generated for.
        assert_eq!(card.charge(EventKind::Generate, ONE, HOUR), Ok(()));
        // Of two limits the one is told that lasts longer.
        assert_eq!(card.charge(EventKind::Wrong, OTHER, HOUR), hard);
        let requests = Err((Limit::CardRequests, 86_400 - 3600));
        assert_eq!(card.charge(EventKind::Generate, OTHER, HOUR), requests);
        assert_eq!(card.charge(EventKind::Wrong, OTHER, 2 * DAY), Ok(()));
    }

    #[test]
    fn what_was_right_is_given_back_once() {
        let mut card = Card::new();
        for (at, caller) in [(0, ONE), (0, ONE), (0, OTHER), (0, OTHER)] {
            assert_eq!(card.charge(EventKind::Wrong, caller, at), Ok(()));
        }
        card.0.give_back(Moment::from_millis(0), ONE);
        assert_eq!(card.charge(EventKind::Wrong, ONE, 5), Ok(()));
        assert_eq!(card.charge(EventKind::Wrong, ONE, 6).unwrap_err().0, Limit::CardWrongHard);
        // Of another time, or another caller: there is nothing to be given back.
        card.0.give_back(Moment::from_millis(1), ONE);
        card.0.give_back(Moment::from_millis(5), OTHER);
        assert_eq!(card.charge(EventKind::Wrong, ONE, 6).unwrap_err().0, Limit::CardWrongHard);
    }

    #[test]
    fn a_clock_that_goes_back_opens_nothing() {
        let mut card = Card::new();
        for at in [DAY, DAY - 5, 0] {
            assert_eq!(card.charge(EventKind::Generate, ONE, at), Ok(()));
        }
        assert_eq!(
            card.charge(EventKind::Generate, ONE, 2 * DAY - 1),
            Err((Limit::CardGenerates, 1))
        );
        assert_eq!(card.charge(EventKind::Generate, ONE, 2 * DAY), Ok(()));
        assert_eq!(card.0.len(), 1);
    }
}
