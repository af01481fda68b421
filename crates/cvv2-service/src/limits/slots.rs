//! A count over a window that slides.

use super::codec::{Reader, Unreadable, put_moment};
use super::moment::{Moment, Span};

/// Slots of a window.
const SLOTS: u64 = 60;

/// The slots that are counted: the window's [`SLOTS`] and the one that is being filled.
const COUNTED: usize = 61;

/// How much happened in the last window, in 60 slots and the present one.
///
/// What happens at `t` is counted until `t` plus the window at least, and plus one slot more at
/// most. So a limit on the count holds in *any* stretch of the window's length, and not only in
/// those that begin at a full minute; the price is that the last sixtieth may be refused for a slot
/// longer than need be. An exact log would need a time for each event.
///
/// Time does not go back: what comes with an earlier time than something before it counts as of the
/// latest slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    slot: u64,
    /// The number of the latest slot since 1970.
    latest: u64,
    /// By number modulo [`COUNTED`].
    counts: [u32; COUNTED],
    total: u32,
}

impl Slots {
    pub(super) fn new(window: Span) -> Self {
        Self { slot: window.millis() / SLOTS, latest: 0, counts: [0; COUNTED], total: 0 }
    }

    /// How much is counted at this time.
    pub(super) fn total(&self, now: Moment) -> u32 {
        let present = now.millis() / self.slot;
        if present <= self.latest {
            return self.total;
        }
        let oldest = present.saturating_sub(SLOTS);
        let left = self.filled().take_while(|(number, _)| *number < oldest);
        self.total - left.map(|(_, count)| count).sum::<u32>()
    }

    /// How much was counted when something happened last.
    pub(super) const fn last_total(&self) -> u32 {
        self.total
    }

    /// The time, or that of the latest slot if it is before that.
    pub(super) fn not_before_latest(&self, at: Moment) -> Moment {
        at.max(Moment::from_millis(self.latest * self.slot))
    }

    pub(super) fn add(&mut self, now: Moment, count: u32) {
        self.advance(now.millis() / self.slot);
        let place = Self::place(self.latest);
        // What does not fit is far beyond any limit.
        let count = count.min(u32::MAX - self.total);
        self.counts[place] += count;
        self.total += count;
    }

    /// The times at which something ceases to count, in the past too, with how much is left then.
    pub(super) fn leaving(&self) -> impl Iterator<Item = (Moment, u32)> {
        let mut left = self.total;
        self.filled().map(move |(number, count)| {
            left -= count;
            (Moment::from_millis((number + SLOTS + 1) * self.slot), left)
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let slots = self.filled().count();
        out.push(u8::try_from(slots).expect("there are 61 slots"));
        for (number, count) in self.filled() {
            // The slot's last moment, so that slots of another length count as long at least.
            put_moment(out, Moment::from_millis((number + 1) * self.slot - 1));
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, window: Span) -> Result<Self, Unreadable> {
        let mut slots = Self::new(window);
        for _ in 0..reader.u8()? {
            let at = reader.moment()?;
            slots.add(at, reader.u32()?);
        }
        Ok(slots)
    }

    /// The slots in which something happened, oldest first, by number.
    fn filled(&self) -> impl Iterator<Item = (u64, u32)> {
        let oldest = self.latest.saturating_sub(SLOTS);
        (oldest..=self.latest)
            .map(|number| (number, self.counts[Self::place(number)]))
            .filter(|(_, count)| *count > 0)
    }

    fn advance(&mut self, slot: u64) {
        if slot <= self.latest {
            return;
        }
        // After all slots once there is nothing left.
        for number in (self.latest + 1..=slot).take(COUNTED) {
            self.total -= std::mem::take(&mut self.counts[Self::place(number)]);
        }
        self.latest = slot;
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is below 61")]
    const fn place(number: u64) -> usize {
        (number % COUNTED as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000_000_000 + millis)
    }

    #[test]
    fn what_happened_counts_for_the_whole_window_and_a_slot_at_most() {
        for happened in [0, 1, 500, 999] {
            let mut slots = Slots::new(Span::MINUTE);
            slots.add(at(happened), 1);
            assert_eq!(slots.total(at(happened + 60_000)), 1);
            assert_eq!(slots.total(at(60_999)), 1);
            assert_eq!(slots.leaving().next(), Some((at(61_000), 0)));
            assert_eq!(slots.total(at(61_000)), 0);
        }
    }

    proptest! {
        /// It counts what a list of all events counts.
        #[test]
        fn it_counts_as_a_list_does(events in prop::collection::vec((0..9_000_u64, 1..4_u32), 1..200)) {
            let mut slots = Slots::new(Span::MINUTE);
            let mut list: Vec<(u64, u32)> = Vec::new();
            let mut now = 0;
            for (later, count) in events {
                // Every fourth time the clock goes back.
                let seen = if later % 4 == 0 { now - now.min(later) } else { now + later };
                now = now.max(seen);
                slots.add(at(seen), count);
                list.push((now, count));
                let window = list.iter().filter(|(then, _)| now / 1000 - then / 1000 <= 60);
                prop_assert_eq!(slots.total(at(seen)), window.map(|(_, count)| count).sum::<u32>());
                let mut bytes = Vec::new();
                slots.write(&mut bytes);
                let read = Slots::read(&mut Reader::new(&bytes), Span::MINUTE).unwrap();
                prop_assert_eq!(&read, &slots);
            }
        }
    }
}
