//! What journals say, on its way into a state.

use super::record::Record;
use super::state::State;
use crate::limits::codec::{Reader, Unreadable};
use crate::limits::policy::LimitPolicy;

/// A state that batches are applied to, one after the other.
///
/// Cards come in any order, and each would be looked for in memory that no cache has any more. So
/// what is about them waits until there is some for one shard, and is applied at once.
pub(super) struct Replay {
    state: State,
    /// For each shard, what was not applied yet, in its order.
    waiting: Vec<Vec<Record<'static>>>,
}

/// How many records of a shard are applied at once.
const ENOUGH: usize = 1024;

impl Replay {
    pub(super) fn new(policy: LimitPolicy) -> Self {
        let waiting = (0..State::SHARDS).map(|_| Vec::new()).collect();
        Self { state: State::new(policy), waiting }
    }

    /// Takes in everything that a batch says. Whether it ends a rewritten journal.
    pub(super) fn batch(&mut self, batch: &[u8]) -> Result<bool, Unreadable> {
        let mut reader = Reader::new(batch);
        let mut is_complete = false;
        while !reader.is_empty() {
            match Record::read(&mut reader)? {
                Record::CallersPiece => self.state.read_callers(&mut reader)?,
                Record::CardsPiece { shard } => {
                    self.apply_waiting(shard.into());
                    self.state.read_cards(shard, &mut reader)?;
                }
                Record::Complete => is_complete = true,
                record => self.take(record),
            }
        }
        Ok(is_complete)
    }

    /// The state after all batches.
    pub(super) fn finish(mut self) -> State {
        (0..State::SHARDS).for_each(|shard| self.apply_waiting(shard));
        self.state
    }

    fn take(&mut self, record: Record<'_>) {
        self.state.apply_to_caller(record);
        let Some((shard, record)) = State::shard(record) else { return };
        self.waiting[shard].push(record);
        if self.waiting[shard].len() == ENOUGH {
            self.apply_waiting(shard);
        }
    }

    fn apply_waiting(&mut self, shard: usize) {
        self.state.apply_to_shard(shard, &self.waiting[shard]);
        self.waiting[shard].clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card_key::CardKey;
    use crate::limits::card_log::EventKind;
    use crate::limits::moment::Moment;
    use crate::limits::store::Reservation;
    use crate::message_key::MessageKey;

    /// A state that is changed at random, a millisecond at a time.
    struct Changed {
        state: State,
        random: u64,
        now: u64,
        charged: Vec<Reservation>,
    }

    impl Changed {
        /// A number below `end`, by a xorshift generator.
        fn random(&mut self, end: u64) -> u64 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.random % end
        }

        /// A key in one of a few shards.
        fn key(&mut self) -> [u8; 16] {
            let (shard, number) = (self.random(3), self.random(40));
            (u128::from(shard) << 120 | u128::from(number) << 80).to_be_bytes()
        }

        fn change(&mut self, out: &mut Vec<u8>) {
            self.now += 1;
            let now = Moment::from_millis(self.now);
            let caller = ["one", "other"][usize::from(self.random(2) == 0)];
            let card = CardKey::from_bytes(self.key());
            let message = MessageKey::from_bytes(self.key());
            match self.random(12) {
                0 => _ = self.state.admit(caller, now, out),
                1 => _ = self.state.not_found(caller, now, out),
                2 | 3 => _ = self.state.first_use(message, now, out),
                4 if self.random(9) == 0 => _ = self.state.clear_card(card, out),
                5 if self.random(99) == 0 => _ = self.state.clear_caller(caller, out),
                6..9 => {
                    if let Some(charged) = self.charged.pop() {
                        let is_wrong = self.random(2) == 0;
                        self.state.settle(charged, is_wrong, out);
                    }
                }
                _ => {
                    let kind =
                        [EventKind::Generate, EventKind::Wrong][usize::from(self.random(2) == 0)];
                    let charged = self.state.charge(caller, card, kind, now, out);
                    if kind == EventKind::Wrong {
                        self.charged.extend(charged.ok());
                    }
                }
            }
        }
    }

    fn pieces(state: &mut State) -> Vec<u8> {
        let mut pieces = Vec::new();
        (0..State::PIECES).for_each(|piece| state.write_piece(piece, &mut pieces));
        pieces
    }

    /// Many more records for a shard than are applied at once, and pieces that are written meanwhile.
    #[test]
    fn a_journal_comes_to_the_state_that_it_was_written_from() {
        let policy = LimitPolicy { card_requests_per_day: 1000, ..LimitPolicy::default() };
        let state = State::new(policy.clone());
        let mut changed = Changed { state, random: 1, now: 1_700_000_000_000, charged: Vec::new() };
        for _ in 0..1000 {
            changed.change(&mut Vec::new());
        }
        let mut batches = Vec::new();
        for piece in 0..State::PIECES {
            let mut batch = Vec::new();
            changed.state.write_piece(piece, &mut batch);
            for _ in 0..100 {
                changed.change(&mut batch);
            }
            batches.push(batch);
        }
        let mut replay = Replay::new(policy);
        for (number, batch) in batches.iter().enumerate() {
            let is_complete = replay.batch(batch).expect("as it was written");
            assert_eq!(is_complete, number + 1 == State::PIECES);
        }
        let mut replayed = replay.finish();
        assert_eq!(replayed.events(), changed.state.events());
        assert_eq!(replayed.messages(), changed.state.messages());
        assert!(pieces(&mut replayed) == pieces(&mut changed.state));
    }
}
