//! The events of one card, in as little memory as they need.

use std::ops::{Deref, DerefMut};
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
/// An issuer has millions of cards, and most of those that are used in a day are used once: one event
/// is kept in place, and two take no more than they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Events {
    #[default]
    None,
    One(Event),
    Two(Box<[Event; 2]>),
    #[expect(clippy::box_collection, reason = "in place a `Vec` would be larger than an event")]
    More(Box<Vec<Event>>),
}

const _: () = assert!(size_of::<Events>() == size_of::<Event>());

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(event),
            Self::One(first) => Self::Two(Box::new([first, event])),
            Self::Two(two) => Self::More(Box::new(vec![two[0], two[1], event])),
            Self::More(mut events) => {
                if events.len() == events.capacity() {
                    events.reserve_exact(events.len() / 2);
                }
                events.push(event);
                Self::More(events)
            }
        };
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(&Event) -> bool) {
        if let Self::More(events) = self {
            events.retain(&is_kept);
            if events.len() > 2 {
                return;
            }
        }
        let mut kept = Self::None;
        self.iter().copied().filter(is_kept).for_each(|event| kept.push(event));
        *self = kept;
    }
}

impl Deref for Events {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        match self {
            Self::None => &[],
            Self::One(event) => slice::from_ref(event),
            Self::Two(two) => &**two,
            Self::More(events) => events,
        }
    }
}

impl DerefMut for Events {
    fn deref_mut(&mut self) -> &mut [Event] {
        match self {
            Self::None => &mut [],
            Self::One(event) => slice::from_mut(event),
            Self::Two(two) => &mut **two,
            Self::More(events) => events,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// They are what a list is, and few take little memory however many there were.
        #[test]
        fn they_are_what_a_list_is(steps in prop::collection::vec((any::<bool>(), 0..8_u64), 1..40)) {
            let (mut events, mut list) = (Events::default(), Vec::new());
            for (at, (is_push, number)) in (0..).zip(steps) {
                if is_push {
                    let kind = match number % 3 {
                        0 => EventKind::Generate,
                        1 => EventKind::Right,
                        _ => EventKind::Wrong,
                    };
                    let event = Event { at: Moment::from_millis(at), caller: CallerId(7), kind };
                    events.push(event);
                    list.push(event);
                } else {
                    let is_kept = |event: &Event| event.at.millis() % 8 != number;
                    events.retain(is_kept);
                    list.retain(is_kept);
                }
                prop_assert_eq!(&*events, &list[..]);
                prop_assert_eq!(&mut *events, &list[..]);
                let is_in_its_form = match list.len() {
                    0 => matches!(events, Events::None),
                    1 => matches!(events, Events::One(_)),
                    2 => matches!(events, Events::Two(_)),
                    _ => matches!(events, Events::More(_)),
                };
                prop_assert!(is_in_its_form, "{} events", list.len());
            }
        }
    }
}
