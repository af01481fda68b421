//! Records that are written together.

use tokio::sync::oneshot;

use super::error::AppendError;

/// Records in their order, with those who wait for them.
///
/// Their text is one: memory that a worker takes and the writer gives back, for each record, would
/// cost more than to copy it does.
#[derive(Default)]
pub(crate) struct Group {
    text: String,
    records: Vec<Entry>,
}

/// A record: where its members are, and who waits.
struct Entry {
    begin: usize,
    end: usize,
    done: oneshot::Sender<Result<(), AppendError>>,
}

impl Group {
    /// Adds the record with these members.
    pub(crate) fn push(&mut self, members: &str, done: oneshot::Sender<Result<(), AppendError>>) {
        let begin = self.text.len();
        self.text.push_str(members);
        self.records.push(Entry { begin, end: self.text.len(), done });
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The members of each line.
    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        self.records.iter().map(|entry| &self.text[entry.begin..entry.end])
    }

    /// Tells all who wait, and is empty then.
    pub(crate) fn complete(&mut self, result: &Result<(), AppendError>) {
        for entry in self.records.drain(..) {
            // Who has gone does not want to know.
            let _ = entry.done.send(result.clone());
        }
        self.text.clear();
    }

    /// Moves the first records, `max` at most, to another one, which is empty.
    pub(crate) fn move_to(&mut self, other: &mut Self, max: usize) {
        debug_assert!(other.is_empty(), "a group is completed before the next one");
        std::mem::swap(self, other);
        if other.len() > max {
            for entry in other.records.drain(max..) {
                self.push(&other.text[entry.begin..entry.end], entry.done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_are_moved_and_the_others_stay_in_their_order() {
        for (pushed, max) in [(0, 3), (2, 3), (3, 3), (4, 3), (7, 3), (7, 1)] {
            let (mut from, mut to) = (Group::default(), Group::default());
            let texts: Vec<_> = (0..pushed).map(|number| "x".repeat(number)).collect();
            let mut waiting = Vec::new();
            for text in &texts {
                let (done, pending) = oneshot::channel();
                from.push(text, done);
                waiting.push(pending);
            }
            from.move_to(&mut to, max);
            let moved = pushed.min(max);
            assert_eq!((to.len(), from.len()), (moved, pushed - moved));
            assert!(to.members().chain(from.members()).eq(texts.iter().map(String::as_str)));

            to.complete(&Ok(()));
            assert!(to.is_empty() && to.text.is_empty());
            for (at, pending) in waiting.iter_mut().enumerate() {
                assert_eq!(pending.try_recv().is_ok(), at < moved, "record {at} of {pushed}");
            }
        }
    }
}
