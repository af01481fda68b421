//! The events of one card, in as little memory as they need.

use std::ops::Deref;
use std::slice;

use super::{CallerId, EventKind};
use crate::limits::moment::Moment;

/// Something that happened with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Moment,
    pub(super) caller: CallerId,
    pub(super) kind: EventKind,
}

/// Events, oldest first.
///
/// An issuer has millions of cards, and most of those that are used in a day are used once or twice: two
/// events are kept in place, in eight bytes each, and four take no more than they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Events {
    #[default]
    None,
    One(Packed),
    Two([Packed; 2]),
    Three(Box<[Packed; 3]>),
    Four(Box<[Packed; 4]>),
    /// Five and more, and those that do not fit into eight bytes.
    #[expect(clippy::box_collection, reason = "in place a `Vec` would be larger than two events")]
    More(Box<Vec<Event>>),
}

const _: () = assert!(size_of::<Events>() == 16);

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        *self = match (std::mem::take(self), Packed::of(event)) {
            (Self::None, Some(packed)) => Self::One(packed),
            (Self::One(one), Some(packed)) => Self::Two([one, packed]),
            (Self::Two([one, two]), Some(packed)) => Self::Three(Box::new([one, two, packed])),
            (Self::Three(three), Some(packed)) => {
                let [one, two, three] = *three;
                Self::Four(Box::new([one, two, three, packed]))
            }
            (Self::More(mut events), _) => {
                if events.len() == events.capacity() {
                    events.reserve_exact(events.len().div_ceil(2));
                }
                events.push(event);
                Self::More(events)
            }
            (few, _) => {
                let few = few.list();
                Self::More(Box::new(few.iter().copied().chain([event]).collect()))
            }
        };
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(&Event) -> bool) {
        if let Self::More(events) = self {
            events.retain(&is_kept);
            if events.len() > List::FEW {
                return;
            }
        }
        let mut kept = Self::None;
        self.list().iter().copied().filter(is_kept).for_each(|event| kept.push(event));
        *self = kept;
    }

    /// Gives the last event that is this one another kind, if there is one.
    pub(super) fn change_last(&mut self, event: Event, kind: EventKind) {
        if let Self::More(events) = self {
            if let Some(found) = events.iter_mut().rev().find(|found| **found == event) {
                found.kind = kind;
            }
            return;
        }
        let mut few = self.packed_mut().iter_mut().rev();
        if let Some(found) = few.find(|found| found.unpack() == event) {
            found.kind = kind;
        }
    }

    /// All of them.
    pub(super) fn list(&self) -> List<'_> {
        match self {
            Self::More(events) => List::Many(events),
            _ => List::few(self.packed()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::More(events) => events.len(),
            _ => self.packed().len(),
        }
    }

    /// Those that are kept in eight bytes.
    fn packed(&self) -> &[Packed] {
        match self {
            Self::None | Self::More(_) => &[],
            Self::One(one) => slice::from_ref(one),
            Self::Two(two) => two,
            Self::Three(three) => &**three,
            Self::Four(four) => &**four,
        }
    }

    fn packed_mut(&mut self) -> &mut [Packed] {
        match self {
            Self::None | Self::More(_) => &mut [],
            Self::One(one) => slice::from_mut(one),
            Self::Two(two) => two,
            Self::Three(three) => &mut **three,
            Self::Four(four) => &mut **four,
        }
    }
}

/// Events of a card, as a slice.
pub(super) enum List<'a> {
    Few([Event; List::FEW], usize),
    Many(&'a [Event]),
}

impl List<'_> {
    const FEW: usize = 4;

    fn few(packed: &[Packed]) -> Self {
        let mut events =
            [Event { at: Moment::default(), caller: CallerId(0), kind: EventKind::Wrong }; _];
        for (event, packed) in events.iter_mut().zip(packed) {
            *event = packed.unpack();
        }
        Self::Few(events, packed.len())
    }
}

impl Deref for List<'_> {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        match self {
            Self::Few(events, len) => &events[..*len],
            Self::Many(events) => events,
        }
    }
}

/// An event in eight bytes: of the years 2020 to 2054, and of one of the first 65,536 callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    kind: EventKind,
    /// Milliseconds since [`BEGINNING`](Self::BEGINNING).
    at: [u8; 5],
    caller: [u8; 2],
}

impl Packed {
    /// The first of January 2020.
    const BEGINNING: u64 = 1_577_836_800_000;

    fn of(Event { at, caller, kind }: Event) -> Option<Self> {
        let millis = at.millis().checked_sub(Self::BEGINNING)?.to_le_bytes();
        let Some((at, [0, 0, 0])) = millis.split_first_chunk() else { return None };
        let caller = u16::try_from(caller.0).ok()?.to_le_bytes();
        Some(Self { kind, at: *at, caller })
    }

    fn unpack(self) -> Event {
        let mut millis = [0; 8];
        millis[..self.at.len()].copy_from_slice(&self.at);
        let at = u64::from_le_bytes(millis) + Self::BEGINNING;
        let caller = u16::from_le_bytes(self.caller);
        Event { at: Moment::from_millis(at), caller: CallerId(caller.into()), kind: self.kind }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> impl Strategy<Value = EventKind> {
        prop::sample::select(vec![EventKind::Generate, EventKind::Right, EventKind::Wrong])
    }

    /// Events among which are those that just fit into eight bytes, and those that just do not.
    fn events() -> impl Strategy<Value = Event> {
        let end = Packed::BEGINNING + (1 << 40);
        let ats = [0, Packed::BEGINNING - 1, Packed::BEGINNING, end - 1, end];
        let at = prop_oneof![
            1 => prop::sample::select(ats.to_vec()),
            9 => Packed::BEGINNING..Packed::BEGINNING + 8,
        ];
        let caller = prop_oneof![1 => 65_535..=65_536_u32, 9 => 0..3_u32];
        (at, caller, kinds()).prop_map(|(at, caller, kind)| Event {
            at: Moment::from_millis(at),
            caller: CallerId(caller),
            kind,
        })
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Event),
        Thin(u64),
        Change(usize, EventKind),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => events().prop_map(Step::Push),
            2 => (0..4_u64).prop_map(Step::Thin),
            1 => (0..8_usize, kinds()).prop_map(|(which, kind)| Step::Change(which, kind)),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        /// They are what a list is, and few take little memory however many there were.
        #[test]
        fn they_are_what_a_list_is(steps in steps()) {
            let (mut events, mut list) = (Events::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(event) => {
                        events.push(event);
                        list.push(event);
                    }
                    Step::Thin(rest) => {
                        let is_kept = |event: &Event| event.at.millis() % 4 != rest;
                        events.retain(is_kept);
                        list.retain(is_kept);
                    }
                    Step::Change(which, kind) => {
                        let nobody = CallerId(u32::MAX);
                        let event = list.get(which).copied().unwrap_or(Event {
                            at: Moment::default(),
                            caller: nobody,
                            kind,
                        });
                        events.change_last(event, kind);
                        if let Some(found) = list.iter_mut().rev().find(|found| **found == event) {
                            found.kind = kind;
                        }
                    }
                }
                prop_assert_eq!(&*events.list(), &list[..]);
                prop_assert_eq!(events.len(), list.len());
                let fit = list.iter().all(|event| Packed::of(*event).is_some());
                let is_in_its_form = match list.len() {
                    0 => matches!(events, Events::None),
                    1 if fit => matches!(events, Events::One(_)),
                    2 if fit => matches!(events, Events::Two(_)),
                    3 if fit => matches!(events, Events::Three(_)),
                    4 if fit => matches!(events, Events::Four(_)),
                    _ => matches!(events, Events::More(_)),
                };
                prop_assert!(is_in_its_form, "{} events", list.len());
            }
        }
    }

    #[test]
    fn eight_bytes_are_enough_until_2054() {
        let fits = |at, caller| {
            let (at, caller) = (Moment::from_millis(at), CallerId(caller));
            Packed::of(Event { at, caller, kind: EventKind::Wrong }).is_some()
        };
        // 2020-01-01 and 2054-11-03, `date -u -d 2020-01-01 +%s`.
        assert!(fits(1_577_836_800_000, 65_535) && !fits(1_577_836_799_999, 0));
        assert!(fits(2_677_348_427_775, 0) && !fits(2_677_348_427_776, 0));
        assert!(!fits(1_577_836_800_000, 65_536));
    }
}
