//! Limits that stop guessing.
//!
//! A CVV2 is three digits, and every expiry of a card has one: whoever may try often enough finds
//! it. So [`Limits`] count, per card and per caller, over all expiries and kinds of request, across
//! restarts, and charge before an answer leaves.
//!
//! ```
//! use cvv2_service::CardKey;
//! use cvv2_service::limits::{Denied, Limit, LimitPolicy, Limits};
//! use time::OffsetDateTime;
//!
//! # let home = tempfile::tempdir()?;
//! # let directory = home.path().join("limits");
//! let limits = Limits::open(directory, LimitPolicy::default())?;
//! let (now, card) = (OffsetDateTime::now_utc(), CardKey::from_bytes([7; 16]));
//! for guess in 0..3 {
//!     limits.admit("ivr", now)?;
//!     let verification = limits.charge_verify("ivr", card, now)?;
//!     // Here the value is compared; it was wrong.
//!     verification.mismatched()?;
//!     limits.durable().wait()?; // or `.await`; the answer may leave
//! }
//! let Err(Denied::Refused(refusal)) = limits.charge_verify("ivr", card, now) else {
//!     panic!("a fourth guess");
//! };
//! assert_eq!(refusal.limit, Limit::CardWrongSoft);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - **Per card**, events are counted one by one: in any stretch of a window's length, wherever it
//!   begins, there are at most as many as the limit says. A wrong verification is charged before
//!   the comparison and given back after it, under one lock or in one transaction, so it holds for
//!   any number of threads, and of replicas that share a database.
//! - **Per caller**, requests are counted in sixtieths of the window, and each for the window and up
//!   to a sixtieth more: in any stretch there are at most as many as the limit says, sometimes a few
//!   less. "Not found" and the percentage of wrong verifications are known afterwards: those that
//!   are being served when the limit is reached come on top.
//! - A **message** is used once in any stretch of its window, to the millisecond and for any number
//!   of threads and replicas. The window begins with the first use; those that are not the first
//!   change nothing.
//! - What is **refused** is charged nothing, and needs no ticket.
//! - **Durable**: when a ticket of [`Limits::durable`] is done, what was charged before it was asked
//!   for survives a kill and a power failure.
//! - **Fail closed**: who cannot count lets nothing through ([`Denied::Unavailable`]).
//!
//! Times come from the caller. A clock that goes back opens nothing. One that jumps ahead does, as
//! if the time had passed; when it has come back, what was charged meanwhile stands until that time
//! has come, or an administrator has cleared it.

mod caller_log;
mod card_log;
mod codec;
mod durable;
mod embedded;
mod error;
mod message_use;
mod moment;
mod policy;
#[cfg(feature = "postgres")]
mod postgres;
mod refusal;
mod report;
mod slots;
mod store;
mod verification;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use time::OffsetDateTime;

use self::card_log::EventKind;
use self::embedded::EmbeddedStore;
use self::moment::Moment;
use self::store::LimitStore;
use crate::audit::AuditLog;
#[cfg(doc)]
use crate::audit::AuditOptions;
use crate::card_key::CardKey;
use crate::message_key::MessageKey;

pub use self::durable::Durable;
pub use self::error::LimitError;
pub use self::message_use::MessageUse;
pub use self::policy::{LimitPolicy, PolicyError};
#[cfg(feature = "postgres")]
pub use self::postgres::DatabaseError;
pub use self::refusal::{Denied, Limit, LimitKind, Refusal};
pub use self::report::{CallerLimits, CardLimits, LimitCounters, LimitUsage, ListFilter};
pub use self::verification::Verification;

/// The limits of all callers and cards. A clone is the same limits.
///
/// One request is: [`admit`](Self::admit); [`first_use`](Self::first_use), where it matters whether
/// a message comes twice; then, as the card turns out,
/// [`not_found`](Self::not_found), [`charge_generate`](Self::charge_generate) or
/// [`charge_verify`](Self::charge_verify); then [`durable`](Self::durable), and the answer leaves
/// when the ticket is done. Charge a card that was found before its expiry is looked at, and a
/// wrong expiry as not found, as an unknown reference is.
#[derive(Clone)]
pub struct Limits {
    store: Arc<dyn LimitStore>,
    refused: Arc<Refused>,
}

#[derive(Default)]
struct Refused {
    by_caller: AtomicU64,
    by_card: AtomicU64,
    unavailable: AtomicU64,
    unknown_messages: AtomicU64,
}

impl Limits {
    /// Limits in a directory of their own, for one process. Where there is no directory it is made.
    ///
    /// Charges and looks are in memory, under one lock: about a microsecond, and never for the disk.
    /// One thread writes the journal; it ends with the last clone.
    ///
    /// # Errors
    ///
    /// [`LimitError`]: the policy is out of range, another process has the directory, others may
    /// read it, the journal is damaged, or the disk failed.
    pub fn open(directory: impl AsRef<Path>, policy: LimitPolicy) -> Result<Self, LimitError> {
        Ok(Self::over(EmbeddedStore::open(directory.as_ref(), policy, None)?))
    }

    /// The same beside an audit log: where that has a [redo log](AuditOptions::redo), what is charged is
    /// durable with the next record.
    ///
    /// After the machine has failed, the directory may lack charges until it is opened beside the same
    /// log; opened alone, it may seem to be damaged. A log has limits of one directory beside it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_beside(
        directory: impl AsRef<Path>,
        policy: LimitPolicy,
        audit: &AuditLog,
    ) -> Result<Self, LimitError> {
        let redo = audit.redo().cloned();
        Ok(Self::over(EmbeddedStore::open(directory.as_ref(), policy, redo)?))
    }

    /// Limits in tables of a database, for all replicas that share it. Where there are no tables they
    /// are made, in the pool's schema: a card store may be in it too, and use the same pool
    /// ([`PostgresStore::with_pool`](cvv2_resolver::PostgresStore::with_pool)).
    ///
    /// A charge is a transaction, durable when it returns: it blocks, so in an async runtime it
    /// belongs on a thread for blocking tasks, as a [`Verification`] does that is settled or
    /// dropped. Tickets are done at once. Replicas have the same policy, and clocks that agree: a
    /// window is shorter by as much as one is ahead of another. `card_charges_max`,
    /// `messages_max` and `journal_bytes_min` are of no meaning here.
    ///
    /// # Errors
    ///
    /// [`LimitError`]: the policy is out of range, or the database failed.
    #[cfg(feature = "postgres")]
    pub fn postgres(
        pool: cvv2_resolver::PostgresPool,
        policy: LimitPolicy,
    ) -> Result<Self, LimitError> {
        Ok(Self::over(postgres::PostgresStore::open(pool, policy)?))
    }

    fn over(store: impl LimitStore + 'static) -> Self {
        Self { store: Arc::new(store), refused: Arc::default() }
    }

    /// Charges a request of a caller.
    ///
    /// # Errors
    ///
    /// [`Denied`]: the caller's rate is exceeded, too many of its cards were not found or too many
    /// of its verifications wrong, or the limits cannot be kept.
    pub fn admit(&self, caller: &str, now: OffsetDateTime) -> Result<(), Denied> {
        self.counted(self.store.admit(caller, Moment::of(now)))
    }

    /// Charges a caller for a card that it did not find: an unknown reference, one of another bank,
    /// or an expiry that no plastic has.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be kept.
    pub fn not_found(&self, caller: &str, now: OffsetDateTime) -> Result<(), LimitError> {
        self.available(self.store.not_found(caller, Moment::of(now)))
    }

    /// Whether a message is used for the first time in its window. From then on it is used, whatever
    /// becomes of it; that is durable when a [ticket](Self::durable) says so.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if that cannot be kept. That too many messages are kept in mind is none, but
    /// [`MessageUse::Unknown`].
    pub fn first_use(
        &self,
        message: MessageKey,
        now: OffsetDateTime,
    ) -> Result<MessageUse, LimitError> {
        let used = self.available(self.store.first_use(message, Moment::of(now)))?;
        if used == MessageUse::Unknown {
            self.refused.unknown_messages.fetch_add(1, Ordering::Relaxed);
        }
        Ok(used)
    }

    /// Charges a card for a CVV2 that is to be generated.
    ///
    /// # Errors
    ///
    /// [`Denied`]: a limit of the card is reached, or the limits cannot be kept.
    pub fn charge_generate(
        &self,
        caller: &str,
        card: CardKey,
        now: OffsetDateTime,
    ) -> Result<(), Denied> {
        let kind = EventKind::Generate;
        self.counted(self.store.charge(caller, card, kind, Moment::of(now))).map(drop)
    }

    /// Charges a card for a wrong verification, before it is known whether it is one.
    ///
    /// So many right ones at a time may be refused, where fewer wrong ones are left than there are
    /// of them.
    ///
    /// # Errors
    ///
    /// [`Denied`]: a limit of the card is reached, or the limits cannot be kept.
    pub fn charge_verify(
        &self,
        caller: &str,
        card: CardKey,
        now: OffsetDateTime,
    ) -> Result<Verification, Denied> {
        let kind = EventKind::Wrong;
        let reserved = self.counted(self.store.charge(caller, card, kind, Moment::of(now)))?;
        Ok(Verification::new(Arc::clone(&self.store), reserved))
    }

    /// A ticket for everything that was charged so far, by this thread at least. An answer that
    /// something was charged for may leave when it is done.
    pub fn durable(&self) -> Durable {
        self.store.durable()
    }

    /// The cards of which something is known, in no order.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be read.
    pub fn list_cards(
        &self,
        filter: &ListFilter,
        now: OffsetDateTime,
    ) -> Result<Vec<CardLimits>, LimitError> {
        self.store.list_cards(filter, Moment::of(now))
    }

    /// The callers of which something is known, in no order.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be read.
    pub fn list_callers(
        &self,
        filter: &ListFilter,
        now: OffsetDateTime,
    ) -> Result<Vec<CallerLimits>, LimitError> {
        self.store.list_callers(filter, Moment::of(now))
    }

    /// The limits of a card. `None` if nothing is known of it.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be read.
    pub fn show_card(
        &self,
        card: CardKey,
        now: OffsetDateTime,
    ) -> Result<Option<CardLimits>, LimitError> {
        self.store.show_card(card, Moment::of(now))
    }

    /// The limits of a caller. `None` if nothing is known of it.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be read.
    pub fn show_caller(
        &self,
        caller: &str,
        now: OffsetDateTime,
    ) -> Result<Option<CallerLimits>, LimitError> {
        self.store.show_caller(caller, Moment::of(now))
    }

    /// Forgets everything of a card: all its limits begin anew. Whether anything was known of it.
    /// It is durable when a [ticket](Self::durable) says so.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be kept.
    pub fn clear_card(&self, card: CardKey) -> Result<bool, LimitError> {
        self.store.clear_card(card)
    }

    /// Forgets everything that a caller did; what it did with cards stays with the cards. Whether
    /// anything was known of it. It is durable when a [ticket](Self::durable) says so.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if the limits cannot be kept.
    pub fn clear_caller(&self, caller: &str) -> Result<bool, LimitError> {
        self.store.clear_caller(caller)
    }

    /// Counters for metrics.
    #[must_use]
    pub fn counters(&self) -> LimitCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counters = LimitCounters {
            refused_by_caller: read(&self.refused.by_caller),
            refused_by_card: read(&self.refused.by_card),
            unavailable: read(&self.refused.unavailable),
            unknown_messages: read(&self.refused.unknown_messages),
            ..LimitCounters::default()
        };
        self.store.count(&mut counters);
        counters
    }

    fn counted<T>(&self, outcome: Result<T, Denied>) -> Result<T, Denied> {
        if let Err(denied) = &outcome {
            let counter = match denied {
                Denied::Refused(refusal) => match refusal.kind() {
                    LimitKind::Caller => &self.refused.by_caller,
                    LimitKind::Card => &self.refused.by_card,
                },
                Denied::Unavailable(_) => &self.refused.unavailable,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// The same of what no limit refuses.
    fn available<T>(&self, outcome: Result<T, LimitError>) -> Result<T, LimitError> {
        if outcome.is_err() {
            self.refused.unavailable.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("counters", &self.counters()).finish_non_exhaustive()
    }
}
