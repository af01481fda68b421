//! All limits in memory, and how they are written down.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;

use super::hashed::{Entry, Hashed};
use super::messages::{self, Messages};
use super::record::Record;
use crate::card_key::CardKey;
use crate::limits::caller_log::{CallerLog, CallerUsage};
use crate::limits::card_log::{CallerId, CardLog, CardUsage, EventKind};
use crate::limits::codec::{NAME_BYTES_MAX, Reader, Unreadable, put_name};
use crate::limits::error::LimitError;
use crate::limits::message_use::MessageUse;
use crate::limits::moment::{Moment, Span};
use crate::limits::policy::LimitPolicy;
use crate::limits::refusal::Denied;
use crate::limits::store::Reservation;
use crate::message_key::MessageKey;

/// All callers and cards. Whatever changes it appends a record of the change to `out`, and whoever
/// applies the records one after the other gets the same state.
pub(super) struct State {
    policy: LimitPolicy,
    callers: BTreeMap<CallerId, (Arc<str>, CallerLog)>,
    ids: HashMap<Arc<str>, CallerId>,
    next_id: u32,
    shards: Vec<Hashed<Card>>,
    /// Events of all cards.
    events: usize,
    messages: Messages,
    /// The time that was told last; the beginning of time as long as none was. Not the latest of all:
    /// a clock that jumps ahead and comes back would have everything forgotten from then on.
    now: Moment,
    wants_room: bool,
    /// When room was wanted last.
    room_wanted: Moment,
}

/// A card with which something has happened.
struct Card {
    key: CardKey,
    log: CardLog,
}

const _: () = assert!(size_of::<Option<Card>>() == CardKey::LEN + size_of::<CardLog>());

impl Card {
    fn new(key: CardKey) -> Self {
        Self { key, log: CardLog::default() }
    }
}

impl Entry for Card {
    type Key = CardKey;

    fn key(&self) -> CardKey {
        self.key
    }

    fn beginning(key: CardKey) -> u32 {
        let [_shard, a, b, c, d, ..] = key.to_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

impl State {
    /// Cards, and messages, are in shards by the first byte of their key, a hash: each is written as
    /// one piece.
    pub(super) const SHARDS: usize = 256;

    pub(super) fn new(policy: LimitPolicy) -> Self {
        Self {
            messages: Messages::new(&policy),
            policy,
            callers: BTreeMap::new(),
            ids: HashMap::new(),
            next_id: 0,
            shards: (0..Self::SHARDS).map(|_| Hashed::new()).collect(),
            events: 0,
            now: Moment::default(),
            wants_room: false,
            room_wanted: Moment::default(),
        }
    }

    pub(super) const fn events(&self) -> usize {
        self.events
    }

    pub(super) const fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Whether there was no room for an event: all pieces should be written, which forgets some.
    pub(super) const fn wants_room(&self) -> bool {
        self.wants_room
    }

    pub(super) const fn take_wants_room(&mut self) -> bool {
        mem::replace(&mut self.wants_room, false)
    }

    pub(super) fn admit(
        &mut self,
        caller: &str,
        now: Moment,
        out: &mut Vec<u8>,
    ) -> Result<(), Denied> {
        let id = self.id(caller, now, out)?;
        let (_, log) = self.callers.get_mut(&id).expect("its id was just found");
        self.now = now;
        log.admit(&self.policy, now)?;
        Record::Admitted { id, at: now }.write(out);
        Ok(())
    }

    pub(super) fn not_found(
        &mut self,
        caller: &str,
        now: Moment,
        out: &mut Vec<u8>,
    ) -> Result<(), LimitError> {
        let id = self.id(caller, now, out)?;
        self.now = now;
        let record = Record::NotFound { id, at: now };
        self.apply(record);
        record.write(out);
        Ok(())
    }

    pub(super) fn first_use(
        &mut self,
        message: MessageKey,
        now: Moment,
        out: &mut Vec<u8>,
    ) -> MessageUse {
        self.now = now;
        let used = self.messages.use_once(message, now);
        if used == MessageUse::First {
            Record::MessageUsed { message, at: now }.write(out);
        }
        used
    }

    pub(super) fn charge(
        &mut self,
        caller: &str,
        card: CardKey,
        kind: EventKind,
        now: Moment,
        out: &mut Vec<u8>,
    ) -> Result<Reservation, Denied> {
        self.now = now;
        if self.events >= self.policy.card_charges_max as usize {
            // What was looked for a moment ago is not there yet.
            if now.since(self.room_wanted) >= Span::MINUTE {
                self.room_wanted = now;
                self.wants_room = true;
            }
            return Err(LimitError::Full { setting: "card_charges_max" }.into());
        }
        let id = self.id(caller, now, out)?;
        let shard = &mut self.shards[shard_of(card)];
        let log = &mut shard.get_or_insert_with(card, || Card::new(card)).log;
        let before = log.len();
        let charged = log.charge(&self.policy, kind, id, now);
        // It may have forgotten some as well.
        self.events = self.events + log.len() - before;
        let at = charged?;
        Record::Charged { id, at, card, kind }.write(out);
        Ok(Reservation { caller: id, card, at })
    }

    /// Ends a verification that was charged.
    pub(super) fn settle(&mut self, reserved: Reservation, is_wrong: bool, out: &mut Vec<u8>) {
        let Reservation { caller: id, card, at } = reserved;
        let record = Record::Settled { id, at, card, is_wrong };
        self.apply(record);
        record.write(out);
    }

    /// Forgets what happened with a card. Whether there was anything.
    pub(super) fn clear_card(&mut self, card: CardKey, out: &mut Vec<u8>) -> bool {
        let is_there = self.shards[shard_of(card)].get(card).is_some();
        if is_there {
            let record = Record::CardCleared { card };
            self.apply(record);
            record.write(out);
        }
        is_there
    }

    /// Forgets what a caller did. Whether it is known.
    pub(super) fn clear_caller(&mut self, caller: &str, out: &mut Vec<u8>) -> bool {
        let Some(id) = self.ids.get(caller).copied() else { return false };
        let record = Record::CallerCleared { id };
        self.apply(record);
        record.write(out);
        true
    }

    pub(super) fn caller_usages(&self, caller: &str, now: Moment) -> Option<[CallerUsage; 3]> {
        let (_, log) = &self.callers[self.ids.get(caller)?];
        Some(log.usages(&self.policy, now))
    }

    pub(super) fn card_usages(&self, card: CardKey, now: Moment) -> Option<Vec<CardUsage>> {
        let card = self.shards[shard_of(card)].get(card)?;
        Some(card.log.usages(&self.policy, now))
    }

    /// The cards of one shard of [`SHARDS`](Self::SHARDS).
    pub(super) fn cards(&self, shard: usize) -> Vec<CardKey> {
        self.shards[shard].iter().map(Entry::key).collect()
    }

    pub(super) fn callers(&self) -> impl Iterator<Item = &str> {
        self.callers.values().map(|(name, _)| &**name)
    }

    pub(super) fn name(&self, id: CallerId) -> Option<&str> {
        self.callers.get(&id).map(|(name, _)| &**name)
    }

    /// Pieces, of which all together are the whole state.
    pub(super) const PIECES: usize = Self::SHARDS + 1;

    /// Writes one of the pieces as it is now, without what no limit needs any more; that is
    /// forgotten here too. The last one says that all are there.
    pub(super) fn write_piece(&mut self, piece: usize, out: &mut Vec<u8>) {
        match piece.checked_sub(1) {
            None => self.write_callers(out),
            Some(shard) => {
                let shard = u8::try_from(shard).expect("there are 256 shards");
                self.write_cards(shard, out);
                self.write_messages(shard, out);
            }
        }
        if piece + 1 == Self::PIECES {
            Record::Complete.write(out);
        }
    }

    fn write_cards(&mut self, shard: u8, out: &mut Vec<u8>) {
        let (policy, now) = (&self.policy, self.now);
        let cards = &mut self.shards[usize::from(shard)];
        let mut events = 0;
        cards.retain(|Card { log, .. }| {
            let before = log.len();
            log.forget(policy, now);
            self.events -= before - log.len();
            events += log.len();
            !log.is_empty()
        });
        out.reserve(6 + 18 * cards.len() + 13 * events);
        Record::CardsPiece { shard }.write(out);
        put_count(out, cards.len());
        for Card { key, log } in cards.iter() {
            out.extend_from_slice(&key.to_bytes());
            log.write(out);
        }
    }

    /// A message is never taken back, so a piece says no more than that those were used.
    fn write_messages(&self, shard: u8, out: &mut Vec<u8>) {
        for (message, at) in self.messages.of_shard(shard, self.now) {
            Record::MessageUsed { message, at }.write(out);
        }
    }

    pub(super) fn apply(&mut self, record: Record<'_>) {
        self.apply_to_caller(record);
        self.apply_to_card(record);
    }

    /// Applies what a record says of its caller.
    pub(super) fn apply_to_caller(&mut self, record: Record<'_>) {
        match record {
            Record::Caller { id, name } => self.insert_caller(id, name),
            Record::Admitted { id, at } => self.with_caller(id, |log| log.requested(at)),
            Record::NotFound { id, at } => self.with_caller(id, |log| log.not_found(at)),
            Record::Settled { id, at, is_wrong, .. } => {
                self.with_caller(id, |log| log.verified(at, is_wrong));
            }
            Record::CallerCleared { id } => {
                let empty = CallerLog::new(&self.policy);
                self.with_caller(id, |log| *log = empty);
            }
            _ => {}
        }
    }

    /// The shard of what a record is about, if it is a card or a message, and the record itself: those of
    /// different shards may be applied in any order, and long after the batch that they stood in.
    pub(super) fn shard(record: Record<'_>) -> Option<(usize, Record<'static>)> {
        match record {
            Record::Charged { id, at, card, kind } => {
                Some((shard_of(card), Record::Charged { id, at, card, kind }))
            }
            Record::Settled { id, at, card, is_wrong } => {
                Some((shard_of(card), Record::Settled { id, at, card, is_wrong }))
            }
            Record::CardCleared { card } => Some((shard_of(card), Record::CardCleared { card })),
            Record::MessageUsed { message, at } => {
                Some((messages::shard_of(message), Record::MessageUsed { message, at }))
            }
            Record::Caller { .. }
            | Record::Admitted { .. }
            | Record::NotFound { .. }
            | Record::CallerCleared { .. }
            | Record::CallersPiece
            | Record::CardsPiece { .. }
            | Record::Complete => None,
        }
    }

    /// Applies what records say of one [shard](Self::shard).
    pub(super) fn apply_to_shard(&mut self, shard: usize, records: &[Record<'_>]) {
        let mut uses = Vec::new();
        for record in records {
            match *record {
                Record::MessageUsed { message, at } => uses.push((message, at)),
                record => self.apply_to_card(record),
            }
        }
        self.messages.replay(shard, &uses);
    }

    fn apply_to_card(&mut self, record: Record<'_>) {
        match record {
            Record::Charged { id, at, card, kind } => {
                let shard = &mut self.shards[shard_of(card)];
                let log = &mut shard.get_or_insert_with(card, || Card::new(card)).log;
                let before = log.len();
                log.forget(&self.policy, at);
                log.push(at, id, kind);
                self.events = self.events + log.len() - before;
            }
            Record::Settled { id, at, card, is_wrong: false } => {
                if let Some(card) = self.shards[shard_of(card)].get_mut(card) {
                    card.log.give_back(at, id);
                }
            }
            Record::CardCleared { card } => {
                let cleared = self.shards[shard_of(card)].remove(card);
                self.events -= cleared.map_or(0, |card| card.log.len());
            }
            _ => {}
        }
    }

    fn with_caller(&mut self, id: CallerId, change: impl FnOnce(&mut CallerLog)) {
        // It may have made room for another since.
        if let Some((_, log)) = self.callers.get_mut(&id) {
            change(log);
        }
    }

    /// The number of a caller, a new one if need be.
    fn id(&mut self, caller: &str, now: Moment, out: &mut Vec<u8>) -> Result<CallerId, LimitError> {
        if let Some(id) = self.ids.get(caller) {
            return Ok(*id);
        }
        if caller.is_empty() || caller.len() > NAME_BYTES_MAX {
            return Err(LimitError::CallerName { bytes_max: NAME_BYTES_MAX });
        }
        let full = LimitError::Full { setting: "callers_max" };
        if self.callers.len() >= self.policy.callers_max as usize {
            let (policy, callers, ids) = (&self.policy, &mut self.callers, &mut self.ids);
            callers.retain(|_, (name, log)| {
                let is_idle = log.is_idle(policy, now);
                if is_idle {
                    ids.remove(name);
                }
                !is_idle
            });
            if self.callers.len() >= self.policy.callers_max as usize {
                return Err(full);
            }
        }
        let id = CallerId(self.next_id);
        if self.next_id == u32::MAX {
            return Err(full);
        }
        let record = Record::Caller { id, name: caller };
        self.apply(record);
        record.write(out);
        Ok(id)
    }

    fn insert_caller(&mut self, id: CallerId, name: &str) {
        let name: Arc<str> = name.into();
        if let Some(earlier) = self.ids.insert(Arc::clone(&name), id) {
            self.callers.remove(&earlier);
        }
        self.callers.insert(id, (name, CallerLog::new(&self.policy)));
        self.next_id = self.next_id.max(id.0.saturating_add(1));
    }

    fn write_callers(&self, out: &mut Vec<u8>) {
        Record::CallersPiece.write(out);
        out.extend_from_slice(&self.next_id.to_le_bytes());
        put_count(out, self.callers.len());
        for (id, (name, log)) in &self.callers {
            out.extend_from_slice(&id.0.to_le_bytes());
            put_name(out, name);
            log.write(out);
        }
    }

    pub(super) fn read_callers(&mut self, reader: &mut Reader<'_>) -> Result<(), Unreadable> {
        self.callers.clear();
        self.ids.clear();
        self.next_id = reader.u32()?;
        for _ in 0..reader.u32()? {
            let id = CallerId(reader.u32()?);
            self.insert_caller(id, reader.name()?);
            let log = CallerLog::read(reader, &self.policy)?;
            self.with_caller(id, |empty| *empty = log);
        }
        Ok(())
    }

    pub(super) fn read_cards(
        &mut self,
        shard: u8,
        reader: &mut Reader<'_>,
    ) -> Result<(), Unreadable> {
        let shard = usize::from(shard);
        let mut cards = Vec::new();
        for _ in 0..reader.u32()? {
            let key = CardKey::from_bytes(reader.array()?);
            if shard_of(key) != shard || cards.last().is_some_and(|last: &Card| last.key >= key) {
                return Err(Unreadable);
            }
            cards.push(Card { key, log: CardLog::read(reader)? });
        }
        let before = mem::replace(&mut self.shards[shard], cards.into_iter().collect());
        self.events -= events_of(&before);
        self.events += events_of(&self.shards[shard]);
        Ok(())
    }
}

fn events_of(cards: &Hashed<Card>) -> usize {
    cards.iter().map(|card| card.log.len()).sum()
}

fn shard_of(card: CardKey) -> usize {
    usize::from(card.to_bytes()[0])
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a limit below 2^32 holds for it");
    out.extend_from_slice(&count.to_le_bytes());
}
