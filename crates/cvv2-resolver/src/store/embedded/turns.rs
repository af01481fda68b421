//! Whose turn it is to write, and one transaction for each group of callers who put cards.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::generation::Generation;
use super::writing::Writing;
use crate::bank::BankId;
use crate::card_ref::CardRef;
use crate::record::CardRecord;
use crate::seal::Sealer;
use crate::store::{NewCard, PutOutcome, StoreError};

/// Lets one write at a time, and callers who put cards at the same time share a commit.
///
/// A commit waits for the disk, and what it waits for is much the same for many cards as for one. So
/// whoever comes while another's commit is under way leaves its cards here and sleeps. One of those
/// who wait is called to lead the next group: it puts the cards of all who have come until then, calls
/// the next one to lead, and only then tells its group what became of their cards: so the disk does not
/// wait for the callers, and nobody wakes but to lead or to return.
#[derive(Default)]
pub(super) struct Turns {
    queue: Mutex<Queue>,
    turn: Mutex<()>,
}

#[derive(Default)]
struct Queue {
    /// Those whom no leader has taken into its group yet, in the order in which they came.
    waiting: Vec<Arc<Ticket>>,
    /// Whether somebody leads a group or was called to.
    is_led: bool,
}

/// The cards of one caller, and what the caller is to do.
struct Ticket {
    cards: Vec<(BankId, Vec<CardRef>, CardRecord)>,
    call: Mutex<Option<Call>>,
    called: Condvar,
}

enum Call {
    /// To put the cards of all who wait, its own among them.
    Lead,
    /// To return: this became of its cards.
    Return(Outcomes),
}

type Outcomes = Result<Vec<PutOutcome>, StoreError>;

impl Turns {
    /// Waits until nobody writes, and keeps others from it.
    pub(super) fn take(&self) -> MutexGuard<'_, ()> {
        // Whoever panicked has left its transaction to be aborted: nothing is half done.
        lock(&self.turn)
    }

    /// Has the cards put, by the caller or on its behalf, in one step and durably.
    ///
    /// `current` is asked for the generation to put them into when it is somebody's turn.
    pub(super) fn put(
        &self,
        cards: &[NewCard<'_>],
        sealer: &Sealer,
        current: impl Fn() -> Arc<Generation>,
    ) -> Outcomes {
        let ticket = Arc::new(Ticket::new(cards));
        self.join(&ticket);
        loop {
            match ticket.wait() {
                Call::Lead => self.lead(sealer, &current),
                Call::Return(outcomes) => return outcomes,
            }
        }
    }

    /// How many wait whose cards no leader has taken yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.queue).waiting.len()
    }

    /// Queues up, and leads where nobody does.
    fn join(&self, ticket: &Arc<Ticket>) {
        let mut queue = lock(&self.queue);
        queue.waiting.push(Arc::clone(ticket));
        if !mem::replace(&mut queue.is_led, true) {
            ticket.call(Call::Lead);
        }
    }

    /// Puts the cards of all who wait.
    fn lead(&self, sealer: &Sealer, current: &impl Fn() -> Arc<Generation>) {
        let mut group = Group { turns: self, tickets: Vec::new() };
        // Let go before the group is: whoever waits for it without a ticket is as near to it as the
        // next leader.
        let _turn = self.take();
        let waiting = mem::take(&mut lock(&self.queue).waiting);
        group.tickets = waiting.into_iter().map(|ticket| (ticket, None)).collect();
        put_all(&mut group.tickets, &current(), sealer);
    }

    /// Calls the first of those who wait to lead.
    fn hand_on(&self) {
        let mut queue = lock(&self.queue);
        match queue.waiting.first() {
            Some(next) => next.call(Call::Lead),
            None => queue.is_led = false,
        }
    }
}

/// Those whose cards one of them puts. However that ends, the next one is called to lead and all of
/// them return.
struct Group<'t> {
    turns: &'t Turns,
    tickets: Vec<(Arc<Ticket>, Option<Outcomes>)>,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.turns.hand_on();
        for (ticket, outcomes) in self.tickets.drain(..) {
            // The leader has panicked, and its transaction is aborted.
            let panicked = || Err(StoreError::Storage(PANICKED.into()));
            ticket.call(Call::Return(outcomes.unwrap_or_else(panicked)));
        }
    }
}

const PANICKED: &str =
    "the thread that put the cards of several callers has panicked; put them again";

/// Puts the cards of all tickets in one transaction; or each ticket's in its own, where one of them
/// would be the end of all.
fn put_all(
    tickets: &mut [(Arc<Ticket>, Option<Outcomes>)],
    generation: &Generation,
    sealer: &Sealer,
) {
    let together = || {
        let mut writing = Writing::begin(generation, sealer)?;
        let outcomes = tickets.iter().map(|(ticket, _)| ticket.put(&mut writing));
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        writing.commit()?;
        Ok::<_, StoreError>(outcomes)
    };
    match (together(), &mut *tickets) {
        (Ok(all), tickets) => {
            for ((_, outcomes), these) in tickets.iter_mut().zip(all) {
                *outcomes = Some(Ok(these));
            }
        }
        (Err(error), [(_, outcomes)]) => *outcomes = Some(Err(error)),
        (Err(_), tickets) => {
            tickets.chunks_mut(1).for_each(|alone| put_all(alone, generation, sealer));
        }
    }
}

impl Ticket {
    fn new(cards: &[NewCard<'_>]) -> Self {
        let cards = cards.iter().map(|new| (*new.bank, new.refs.to_vec(), new.record.clone()));
        Self { cards: cards.collect(), call: Mutex::new(None), called: Condvar::new() }
    }

    fn put(&self, writing: &mut Writing<'_>) -> Outcomes {
        let cards = self.cards.iter();
        cards.map(|(bank, refs, record)| writing.put(&NewCard { bank, refs, record })).collect()
    }

    /// Tells the caller what to do.
    fn call(&self, call: Call) {
        *lock(&self.call) = Some(call);
        self.called.notify_one();
    }

    /// Waits until there is something to do for the caller.
    fn wait(&self) -> Call {
        let mut call = lock(&self.call);
        loop {
            match call.take() {
                Some(call) => return call,
                None => call = self.called.wait(call).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// What these mutexes guard is whole whenever they are let go of.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
