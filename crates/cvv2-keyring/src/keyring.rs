//! The keyring in memory: every key checked and opened, and which of them is for a card.

mod overview;

pub use overview::InForce;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use cvv2::key::{Kbpk, KeyBlockError};
use cvv2::secret::Protection;
use cvv2::{ComputeError, CvkPair, Cvv, Expiry, KcvMethod, Kernel, Pan, ServiceCode, Verdict};
use subtle::ConstantTimeEq;
use time::Date;

use crate::bin_range::leading;
use crate::check_value::CheckValue;
use crate::entry::KeyEntry;
use crate::error::KeyringError;
use crate::file;
use crate::kind::Kind;
use crate::load_error::{Fault, LoadCause, LoadError, line};
use crate::month::Month;
use crate::routes::Routes;
use crate::rules::{self, Chains};
use crate::text::{self, Parsed, Placed};

/// The keys of an issuer, ready to compute.
pub struct Keyring {
    kbpk_kcv: CheckValue,
    kernel: Kernel,
    keys: Vec<Key>,
    /// In the order of [`Kind::ALL`].
    routes: [Routes; 3],
}

/// A key that may be used for a card on a day.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Chosen<'a> {
    /// What the keyring's file says of it.
    pub entry: &'a KeyEntry,
    /// The key.
    pub cvk: &'a Arc<CvkPair>,
}

/// An entry, its key if the state has it opened, and what state and mode of use let it do.
struct Key {
    entry: KeyEntry,
    cvk: Option<Arc<CvkPair>>,
    generates: bool,
    verifies: bool,
}

impl Keyring {
    /// Loads a keyring from its file.
    ///
    /// # Errors
    ///
    /// [`KeyringError::File`] for a file that others could have changed, or that cannot be read;
    /// [`KeyringError::Load`] as [`parse`](Self::parse).
    pub fn read(path: &Path, kbpk: &Kbpk) -> Result<Self, KeyringError> {
        Self::read_with_kernel(path, kbpk, Kernel::detect())
    }

    /// Loads a keyring from its file, whose keys compute with this kernel.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with_kernel(
        path: &Path,
        kbpk: &Kbpk,
        kernel: Kernel,
    ) -> Result<Self, KeyringError> {
        let text = file::read(path)?;
        Self::load(&text, kbpk, kernel)
            .map_err(|fault| KeyringError::load(path, LoadError::new(&text, fault)))
    }

    /// Creates the file of a keyring without keys.
    ///
    /// # Errors
    ///
    /// [`KeyringError::File`], also if there is a file of this name.
    pub fn create(path: &Path, kbpk: &Kbpk) -> Result<(), KeyringError> {
        Ok(file::create(path, &text::empty(kbpk.kcv().into()))?)
    }

    /// Loads a keyring from the text of its file.
    ///
    /// The blocks are opened on as many threads as there are processors.
    ///
    /// # Errors
    ///
    /// [`LoadError`] for the first thing that is wrong.
    pub fn parse(text: &str, kbpk: &Kbpk) -> Result<Self, LoadError> {
        Self::load(text, kbpk, Kernel::detect()).map_err(|fault| LoadError::new(text, fault))
    }

    /// The key that generates for a card on a day: the newest of its keys that is active, has
    /// started and not ended, and is for cards of this expiry.
    ///
    /// Ask for a new card with the day of its issue. For a card in circulation, see
    /// [`cards_expiring_from`](KeyEntry::cards_expiring_from).
    ///
    /// # Errors
    ///
    /// [`NoCvk`] if there is none. Where the key in force may only verify, no older key stands in
    /// for it.
    pub fn in_force(
        &self,
        pan: &Pan,
        kind: Kind,
        expiry: &Expiry,
        on: Date,
    ) -> Result<Chosen<'_>, NoCvk> {
        let mut there_is_one = false;
        for key in self.in_their_time(pan, kind, expiry, on) {
            there_is_one = true;
            if key.entry.state.generates() {
                return key.generating().ok_or(NoCvk::NotAllowed);
            }
        }
        Err(if there_is_one { NoCvk::NotAllowed } else { NoCvk::NoKey })
    }

    /// The keys that verify for a card on a day: the one in force first, then the others from the
    /// newest to the oldest.
    pub fn verifying<'a>(
        &'a self,
        pan: &Pan,
        kind: Kind,
        expiry: &Expiry,
        on: Date,
    ) -> impl Iterator<Item = Chosen<'a>> + use<'a> {
        let keys = self.in_their_time(pan, kind, expiry, on);
        // Newer keys than the one in force verify only: a rotation was undone.
        let in_force = keys.clone().position(|key| key.entry.state.generates());
        let first = in_force.and_then(|at| keys.clone().nth(at));
        let others = keys.enumerate().filter(move |(at, _)| Some(*at) != in_force);
        first.into_iter().chain(others.map(|(_, key)| key)).filter_map(Key::verifying)
    }

    /// Verifies a value of a card with every key that [may](Self::verifying).
    ///
    /// The [service code](Kind::of) says which kind of value it is. Every key computes, whether one
    /// before it matched or not, so the time does not tell which did. Each of them also accepts one
    /// guess in a thousand: do not keep more of them than cards in circulation need.
    ///
    /// # Errors
    ///
    /// [`VerifyError::NoCvk`] if no key may verify, [`VerifyError::Compute`] if the engine refuses.
    pub fn verify(
        &self,
        pan: &Pan,
        expiry: &Expiry,
        service_code: &ServiceCode,
        value: &Cvv,
        on: Date,
    ) -> Result<Verdict, VerifyError> {
        let kind = Kind::of(service_code);
        let (mut computed, mut matched) = (false, false);
        for Chosen { cvk, .. } in self.verifying(pan, kind, expiry, on) {
            let verdict = cvk.verify(&cvk.pack(pan, expiry, service_code), value)?;
            computed = true;
            matched |= verdict == Verdict::Match;
        }
        match (computed, matched) {
            (true, true) => Ok(Verdict::Match),
            (true, false) => Ok(Verdict::Mismatch),
            (false, _) => {
                let is_there = self.in_their_time(pan, kind, expiry, on).next().is_some();
                Err(if is_there { NoCvk::NotAllowed } else { NoCvk::NoKey }.into())
            }
        }
    }

    /// What the file says of each key, in its order. Nothing of it is secret.
    #[must_use]
    pub fn list(&self) -> impl ExactSizeIterator<Item = &KeyEntry> {
        self.keys.iter().map(|key| &key.entry)
    }

    /// The entry of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&KeyEntry> {
        self.list().find(|entry| *entry.name == *name)
    }

    /// The key of this name, whatever its dates say; `None` if there is none, or it is retired.
    ///
    /// For tests and tools under an operator's eyes: a card's key is chosen by
    /// [`in_force`](Self::in_force).
    #[must_use]
    pub fn cvk(&self, name: &str) -> Option<&Arc<CvkPair>> {
        self.keys.iter().find(|key| *key.entry.name == *name)?.cvk.as_ref()
    }

    /// The weakest protection that the memory of an opened key has; `None` if no key is opened.
    ///
    /// A key takes lockable memory (`RLIMIT_MEMLOCK`) in pages of its own: on x86-64 20 KiB under
    /// [`Protection::MemfdSecret`], and 8 KiB less under [`Protection::Locked`], so that the usual
    /// 8 MiB are enough for some 400 keys. Where that runs out, the other keys are wiped when they are dropped and nothing more, so tell the operator if this is less than what
    /// [`Protection::strongest`] was before the keyring was loaded. A keyring that is loaded again
    /// while the old one is in use takes twice as much.
    #[must_use]
    pub fn protection(&self) -> Option<Protection> {
        self.keys.iter().filter_map(|key| Some(key.cvk.as_ref()?.protection())).min()
    }

    /// The check value of the KBPK that the key blocks are under.
    #[must_use]
    pub fn kbpk_kcv(&self) -> CheckValue {
        self.kbpk_kcv
    }

    /// How its keys compute.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    fn load(text: &str, kbpk: &Kbpk, kernel: Kernel) -> Result<Self, Fault> {
        let (parsed, chains) = check(text, kbpk)?;
        let cvks = open_all(&parsed.keys, kbpk, kernel)?;
        refuse_same_keys(text, &parsed.keys, &cvks, &chains)?;
        let keys = parsed.keys.into_iter().map(|key| key.entry).zip(cvks);
        let keys: Vec<Key> = keys.map(|(entry, cvk)| Key::new(entry, cvk)).collect();
        let routes = Kind::ALL.map(|kind| routes(&keys, kind, &chains));
        Ok(Self { kbpk_kcv: parsed.kbpk_kcv, kernel, keys, routes })
    }

    /// The keys for a card that have started and not ended on a day, the newest first.
    fn in_their_time<'a>(
        &'a self,
        pan: &Pan,
        kind: Kind,
        expiry: &Expiry,
        on: Date,
    ) -> impl Iterator<Item = &'a Key> + Clone + use<'a> {
        let expires = Month::of_expiry(expiry, on);
        let keys = self.routes[kind as usize].keys(leading(pan));
        keys.iter().map(|key| &self.keys[*key as usize]).filter(move |key| key.admits(expires, on))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("kbpk_kcv", &self.kbpk_kcv)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new(entry: KeyEntry, cvk: Option<Arc<CvkPair>>) -> Self {
        let mode = entry.block.header().mode();
        let generates = entry.state.generates() && mode.may_generate();
        let verifies = entry.state.verifies() && mode.may_verify();
        Self { entry, cvk, generates, verifies }
    }

    fn admits(&self, expires: Month, on: Date) -> bool {
        self.entry.from <= on
            && self.entry.until.is_none_or(|until| on <= until)
            && self.entry.cards_expiring_from.is_none_or(|first| first <= expires)
    }

    fn generating(&self) -> Option<Chosen<'_>> {
        self.chosen().filter(|_| self.generates)
    }

    fn verifying(&self) -> Option<Chosen<'_>> {
        self.chosen().filter(|_| self.verifies)
    }

    fn chosen(&self) -> Option<Chosen<'_>> {
        Some(Chosen { entry: &self.entry, cvk: self.cvk.as_ref()? })
    }
}

/// Why there is no key for a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoCvk {
    /// No key is set up for the card's BIN, kind and expiry on this day.
    NoKey,
    /// There are such keys, and none may do this: by its state, or by its block's mode of use.
    NotAllowed,
}

impl fmt::Display for NoCvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "no CVK is set up for the card's BIN, kind of value, expiry and day",
            Self::NotAllowed => {
                "the CVK for the card may not be used for this; see its state and its mode of use"
            }
        })
    }
}

impl std::error::Error for NoCvk {}

/// Why a verification has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The engine refused to compute.
    Compute(ComputeError),
    /// No key may verify.
    NoCvk(NoCvk),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compute(error) => error.fmt(f),
            Self::NoCvk(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for VerifyError {}

impl From<ComputeError> for VerifyError {
    fn from(error: ComputeError) -> Self {
        Self::Compute(error)
    }
}

impl From<NoCvk> for VerifyError {
    fn from(error: NoCvk) -> Self {
        Self::NoCvk(error)
    }
}

/// Reads a text and checks all that can be checked without opening a block.
pub(crate) fn check(text: &str, kbpk: &Kbpk) -> Result<(Parsed, Chains), Fault> {
    let parsed = text::parse(text)?;
    if parsed.kbpk_kcv != kbpk.kcv().into() {
        return Err(Fault::new(parsed.kbpk_kcv_at, "kbpk_kcv", LoadCause::OtherKbpk));
    }
    let chains = rules::check(text, &parsed.keys)?;
    Ok((parsed, chains))
}

/// Opens the blocks of all keys whose state has them opened, in the order of the keys.
fn open_all(
    keys: &[Placed],
    kbpk: &Kbpk,
    kernel: Kernel,
) -> Result<Vec<Option<Arc<CvkPair>>>, Fault> {
    let open = |keys: &[Placed]| keys.iter().map(|key| open(key, kbpk, kernel)).collect();
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = keys.len().div_ceil(threads).max(KEYS_PER_THREAD_MIN);
    let opened: Result<Vec<Vec<_>>, Fault> = thread::scope(|scope| {
        let threads: Vec<_> =
            keys.chunks(share).map(|keys| scope.spawn(move || open(keys))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    Ok(opened?.into_iter().flatten().collect())
}

fn open(key: &Placed, kbpk: &Kbpk, kernel: Kernel) -> Result<Option<Arc<CvkPair>>, Fault> {
    let Placed { entry, at } = key;
    if !entry.state.is_opened() {
        return Ok(None);
    }
    let refused = |error: KeyBlockError| Fault::new(at.block, "block", LoadCause::Block(error));
    let cvk = CvkPair::from_key_block(&entry.block, kbpk, entry.expiry_order).map_err(refused)?;
    if entry.kcv != cvk.kcv(KcvMethod::TdesZeros).into() {
        return Err(Fault::new(at.kcv, "kcv", LoadCause::KcvMismatch));
    }
    Ok(Some(Arc::new(cvk.with_kernel(kernel))))
}

/// Refuses a successor that holds the key it is to replace.
fn refuse_same_keys(
    text: &str,
    keys: &[Placed],
    cvks: &[Option<Arc<CvkPair>>],
    chains: &Chains,
) -> Result<(), Fault> {
    for (index, newer) in cvks.iter().enumerate() {
        let Some(newer) = newer else { continue };
        for older in chains.predecessors(index) {
            let same = |cvk: &Arc<CvkPair>| bool::from(cvk.ct_eq(newer));
            if cvks[older].as_ref().is_some_and(same) {
                let cause = LoadCause::SameKey { line: line(text, keys[older].at.block) };
                return Err(Fault::new(keys[index].at.block, "block", cause));
            }
        }
    }
    Ok(())
}

fn routes(keys: &[Key], kind: Kind, chains: &Chains) -> Routes {
    let decides = |entry: &KeyEntry| entry.state.decides() && entry.kinds.contains(&kind);
    let keys = keys.iter().map(|key| &key.entry).enumerate().filter(|(_, entry)| decides(entry));
    Routes::new(
        keys.flat_map(|(key, entry)| entry.bins.iter().map(move |bins| (bins, key))),
        chains,
    )
}

/// A thread costs as much as opening a few keys.
const KEYS_PER_THREAD_MIN: usize = 64;
