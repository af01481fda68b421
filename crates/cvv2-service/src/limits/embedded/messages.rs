//! Messages that were used, as long as it matters.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use super::hashed::{Entry, Hashed};
use crate::limits::message_use::MessageUse;
use crate::limits::moment::{Moment, Span};
use crate::limits::policy::LimitPolicy;
use crate::message_key::MessageKey;

/// The slots of a window.
const SLOTS: u64 = 60;

/// How many messages of the past are looked for when one comes. More than one, so that they become
/// fewer; few, because others wait.
const FORGOTTEN_AT_ONCE: usize = 4;

/// When messages were used first, each in the last window.
///
/// The window is looked at to the millisecond. Slots are only for forgetting: those of the past are
/// found there without looking at all the others.
pub(super) struct Messages {
    window: Span,
    max: usize,
    /// By the first byte of their key, a hash.
    shards: Vec<Hashed<Used>>,
    /// By the number of the slot of their time since 1970, how their keys begin. Whoever has another
    /// one with the same beginning looked at loses nothing by it.
    slots: BTreeMap<u64, Vec<Prefix>>,
    len: usize,
}

/// The first bytes of a message's key: enough to find it, and a quarter of the memory.
type Prefix = [u8; 4];

/// When a message was used.
///
/// Of its key 88 bits are kept, eight of them by the shard that it is in. The chance that a message is
/// taken for one of a million others is one in 2^68.
#[derive(Clone, Copy)]
struct Used {
    /// The second to ninth byte of its key; 1 for 0.
    beginning: NonZeroU64,
    /// Two bytes more, and six of milliseconds since 1970, which last for nine thousand years.
    rest: u64,
}

const _: () = assert!(size_of::<Option<Used>>() == 16);

impl Used {
    const TIME_BITS: u32 = 48;

    fn new(message: MessageKey, at: Moment) -> Self {
        let (beginning, more) = key_of(message);
        let at = at.millis().min((1 << Self::TIME_BITS) - 1);
        Self { beginning, rest: u64::from(more) << Self::TIME_BITS | at }
    }

    const fn at(self) -> Moment {
        Moment::from_millis(self.rest & ((1 << Self::TIME_BITS) - 1))
    }

    /// Its key in a shard, as far as it is kept; zeros for the rest.
    fn message(self, shard: u8) -> MessageKey {
        let (beginning, more) = self.key();
        let kept =
            u128::from(shard) << 120 | u128::from(beginning.get()) << 56 | u128::from(more) << 40;
        MessageKey::from_bytes(kept.to_be_bytes())
    }
}

impl Entry for Used {
    type Key = (NonZeroU64, u16);

    fn key(&self) -> Self::Key {
        let more = u16::try_from(self.rest >> Self::TIME_BITS).expect("16 bits are left");
        (self.beginning, more)
    }

    fn beginning((beginning, _): Self::Key) -> u32 {
        u32::try_from(beginning.get() >> 32).expect("32 bits are left")
    }
}

impl Messages {
    const SHARDS: usize = 256;

    pub(super) fn new(policy: &LimitPolicy) -> Self {
        Self {
            window: policy.message_window(),
            max: policy.messages_max as usize,
            shards: (0..Self::SHARDS).map(|_| Hashed::new()).collect(),
            slots: BTreeMap::new(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Whether this is the first use. Then it is kept in mind.
    pub(super) fn use_once(&mut self, message: MessageKey, now: Moment) -> MessageUse {
        self.forget(now);
        let known = self.shards[shard_of(message)].get(key_of(message));
        if known.is_some_and(|used| !self.is_past(used.at(), now)) {
            return MessageUse::Again;
        }
        if self.len >= self.max {
            return MessageUse::Unknown;
        }
        self.insert(message, now);
        MessageUse::First
    }

    /// Takes in what was written of a shard: once or often, and in any order, so that its time is not
    /// the present one and nothing is forgotten by it.
    pub(super) fn replay(&mut self, shard: usize, uses: &[(MessageKey, Moment)]) {
        if uses.is_empty() {
            return;
        }
        for (message, at) in uses {
            self.remember_slot(*message, *at);
        }
        let shard = &mut self.shards[shard];
        self.len -= shard.len();
        let uses = uses.iter().map(|(message, at)| Used::new(*message, *at));
        shard.merge(uses, |one, other| one.at() > other.at());
        self.len += shard.len();
    }

    /// The messages of a shard that still matter, and when they were used.
    pub(super) fn of_shard(
        &self,
        shard: u8,
        now: Moment,
    ) -> impl Iterator<Item = (MessageKey, Moment)> {
        let all = self.shards[usize::from(shard)].iter();
        all.map(move |used| (used.message(shard), used.at()))
            .filter(move |(_, at)| !self.is_past(*at, now))
    }

    fn insert(&mut self, message: MessageKey, at: Moment) {
        if self.shards[shard_of(message)].insert(Used::new(message, at)).is_none() {
            self.len += 1;
        }
        self.remember_slot(message, at);
    }

    fn remember_slot(&mut self, message: MessageKey, at: Moment) {
        self.slots.entry(at.millis() / self.slot()).or_default().push(prefix_of(message));
    }

    /// Forgets some whose window has passed, if there are any; as many as there are too many, which
    /// may be after a start.
    fn forget(&mut self, now: Moment) {
        let mut forgotten = 0;
        while forgotten < FORGOTTEN_AT_ONCE || self.len >= self.max {
            forgotten += 1;
            let slot = self.slot();
            let Some(mut oldest) = self.slots.first_entry() else { return };
            let last_of_slot = Moment::from_millis((oldest.key() + 1) * slot - 1);
            if now.since(last_of_slot) < self.window {
                return;
            }
            match oldest.get_mut().pop() {
                Some(prefix) => self.forget_prefix(prefix, now),
                None => _ = oldest.remove(),
            }
        }
    }

    /// Forgets the messages whose keys begin so and whose window has passed.
    fn forget_prefix(&mut self, prefix: Prefix, now: Moment) {
        let [shard, a, b, c] = prefix;
        let first = NonZeroU64::new(u64::from(u32::from_be_bytes([a, b, c, 0])) << 32);
        let begins_so = |used: &&Used| used.beginning.get().to_be_bytes()[..3] == prefix[1..];
        let shard = &mut self.shards[usize::from(shard)];
        let past = shard
            .iter_from((first.unwrap_or(NonZeroU64::MIN), 0))
            .take_while(begins_so)
            .filter(|used| now.since(used.at()) >= self.window)
            .map(Entry::key);
        for key in past.collect::<Vec<_>>() {
            shard.remove(key);
            self.len -= 1;
        }
    }

    fn is_past(&self, at: Moment, now: Moment) -> bool {
        now.since(at) >= self.window
    }

    const fn slot(&self) -> u64 {
        self.window.millis() / SLOTS
    }
}

fn prefix_of(message: MessageKey) -> Prefix {
    let [a, b, c, d, ..] = message.to_bytes();
    [a, b, c, d]
}

/// As much of a message's key as is kept, besides the shard.
fn key_of(message: MessageKey) -> <Used as Entry>::Key {
    let bytes = message.to_bytes();
    let (beginning, rest) = bytes[1..].split_first_chunk().expect("a key has 16 bytes");
    let beginning = NonZeroU64::new(u64::from_be_bytes(*beginning));
    (beginning.unwrap_or(NonZeroU64::MIN), u16::from_be_bytes([rest[0], rest[1]]))
}

pub(super) fn shard_of(message: MessageKey) -> usize {
    usize::from(message.to_bytes()[0])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60_000;

    fn messages(max: u32) -> Messages {
        Messages::new(&LimitPolicy {
            message_window_minutes: 2,
            messages_max: max,
            ..LimitPolicy::default()
        })
    }

    fn key(number: u64) -> MessageKey {
        MessageKey::from_bytes((u128::from(number) << 64 | u128::from(number) << 120).to_be_bytes())
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000_000_000 + millis)
    }

    #[test]
    fn those_of_the_past_make_room_and_leave_nothing_behind() {
        let mut messages = messages(1000);
        for number in 0..1000 {
            assert_eq!(messages.use_once(key(number), at(number)), MessageUse::First);
        }
        assert_eq!(messages.use_once(key(1000), at(1000)), MessageUse::Unknown);
        assert_eq!(messages.use_once(key(999), at(1000)), MessageUse::Again);
        assert_eq!(messages.use_once(key(1000), at(2 * MINUTE)), MessageUse::Unknown);
        // They leave by slots, of two seconds here.
        let end = 2 * MINUTE + 2000;
        for number in 1000..2000 {
            assert_eq!(messages.use_once(key(number), at(end)), MessageUse::First);
        }
        assert_eq!(messages.len(), 1000);
        assert_eq!(messages.shards.iter().map(Hashed::len).sum::<usize>(), 1000);
        for _ in 0..300 {
            messages.forget(at(end + 2 * MINUTE + 2000));
        }
        assert_eq!(messages.len(), 0);
        assert!(messages.shards.iter().all(|shard| shard.len() == 0) && messages.slots.is_empty());
    }

    proptest! {
        /// They know what a list of all uses knows, also when they were written down and read; and
        /// when the clock goes back, all but what had passed at a time that was told before.
        #[test]
        fn they_know_what_a_list_knows(
            uses in prop::collection::vec((0..8_u64, 0..100_000_u64), 1..200)
        ) {
            let mut messages = messages(1000);
            let mut list: BTreeMap<u64, u64> = BTreeMap::new();
            let (mut now, mut latest) = (200_000, 0);
            for (number, later) in uses {
                // Every fourth time the clock goes back.
                now = if later % 4 == 0 { now - now.min(later) } else { now + later };
                latest = latest.max(now);
                let is_past = |time| list.get(&number).is_none_or(|then| then + 2 * MINUTE <= time);
                let used = messages.use_once(key(number), at(now));
                match (is_past(now), is_past(latest)) {
                    (true, _) => prop_assert_eq!(used, MessageUse::First),
                    (false, false) => prop_assert_eq!(used, MessageUse::Again),
                    (false, true) => {}
                }
                if used == MessageUse::First {
                    list.insert(number, now);
                }
                if later % 5 == 0 {
                    let mut read = self::messages(1000);
                    let mut len = 0;
                    for shard in 0..=u8::MAX {
                        let written: Vec<_> = messages.of_shard(shard, at(now)).collect();
                        let reversed: Vec<_> = written.iter().rev().copied().collect();
                        len += written.len();
                        read.replay(shard.into(), &written);
                        read.replay(shard.into(), &reversed);
                    }
                    messages = read;
                    prop_assert_eq!(messages.len(), len);
                }
            }
        }
    }
}
