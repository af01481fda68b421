//! Many cards: one key over several threads, and many keys in one batch.
//!
//! A kernel computes a pass of cards under one key, so cards of different keys are grouped by key
//! before they are computed and their values put back in the order of the cards. Starting threads
//! allocates; no other call does: what grouping needs is in a [`Grouping`] that the caller keeps.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::card::{Cvv, CvvLength, PackedCard};
use crate::cvv::ComputeError;
use crate::key::CvkPair;

impl CvkPair {
    /// The values of many packed cards, in the order of the cards, computed by `threads` threads.
    ///
    /// Cards are split into equal runs. Below some ten thousand cards a thread costs more than it
    /// gains; [`generate_many`](Self::generate_many) serves those.
    ///
    /// # Errors
    ///
    /// [`ComputeError`] if a thread's self-test failed; every slot of `out` is [`Cvv::EMPTY`] then.
    ///
    /// # Panics
    ///
    /// If `out` has not exactly one slot for each card, or the system cannot start a thread.
    #[cfg(feature = "std")]
    pub fn generate_many_threaded(
        &self,
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
        threads: core::num::NonZeroUsize,
    ) -> Result<(), ComputeError> {
        assert_eq!(cards.len(), out.len(), "one output slot for each card");
        let run = cards.len().div_ceil(threads.get()).max(1);
        let result = std::thread::scope(|scope| {
            let mut runs = cards.chunks(run).zip(out.chunks_mut(run));
            // The first run is this thread's own.
            let own = runs.next();
            let others: Vec<_> = runs
                .map(|(cards, out)| scope.spawn(move || self.generate_many(cards, length, out)))
                .collect();
            let own = own.map_or(Ok(()), |(cards, out)| self.generate_many(cards, length, out));
            others.into_iter().fold(own, |result, other| {
                let other = other.join().expect("generate_many panics on a length mismatch only");
                result.and(other)
            })
        });
        if result.is_err() {
            out.fill(Cvv::EMPTY);
        }
        result
    }
}

/// The scratch memory that [`generate`](Self::generate) groups cards of many keys in.
///
/// It is made once, holds [`Grouping::WINDOW`] cards whatever the size of a batch, and is wiped
/// after each call.
///
/// ```
/// use cvv2::{Cvv, CvkPair, CvvLength, Expiry, ExpiryOrder, Grouping, Pan, Policy, ServiceCode};
///
/// let keys = ["0123456789ABCDEFFEDCBA9876543210", "1C1C2A2A3B3B4C4C5D5D6E6E7F7F8080"]
///     .map(|hex| CvkPair::from_hex(hex, ExpiryOrder::YyMm, Policy::TestVectors).unwrap());
/// let (pan, expiry) = (Pan::parse("4123456789012345")?, Expiry::parse_yymm("8701")?);
/// let card = keys[0].pack(&pan, &expiry, &ServiceCode::parse("101")?);
/// let cards = [card.clone(), card.clone(), card];
///
/// let mut out = [Cvv::EMPTY; 3];
/// Grouping::new().generate(&keys, &[0, 1, 0], &cards, CvvLength::THREE, &mut out)?;
/// assert_eq!(out[0].expose().as_str(), "561");
/// assert_eq!(out[0], out[2]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Grouping {
    /// Where the next card of each key goes, within the window.
    next: Vec<usize>,
    /// For each card of the window its place among the grouped ones.
    place: Box<[u16]>,
    cards: Box<[PackedCard]>,
    values: Box<[Cvv]>,
}

impl Grouping {
    /// How many cards are grouped at a time.
    ///
    /// A larger window fills more passes where there are many keys, and takes more memory: 22 bytes
    /// a card, 176 KiB in all, and 8 bytes for each key.
    pub const WINDOW: usize = 8192;

    /// Allocates the scratch memory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: Vec::new(),
            place: vec![0; Self::WINDOW].into(),
            cards: vec![PackedCard::from_blocks([0; 16]); Self::WINDOW].into(),
            values: vec![Cvv::EMPTY; Self::WINDOW].into(),
        }
    }

    /// The values of `cards`, each under the key whose index in `keys` stands at its place in
    /// `key_of`, in the order of the cards.
    ///
    /// Which key a card has is no secret: its BIN tells.
    ///
    /// # Errors
    ///
    /// [`ComputeError`] if a key refuses; every slot of `out` is [`Cvv::EMPTY`] then.
    ///
    /// # Panics
    ///
    /// If `key_of` or `out` is not as long as `cards`, or an index is not one of `keys`.
    pub fn generate(
        &mut self,
        keys: &[CvkPair],
        key_of: &[usize],
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
    ) -> Result<(), ComputeError> {
        assert_eq!(cards.len(), key_of.len(), "one key index for each card");
        assert_eq!(cards.len(), out.len(), "one output slot for each card");
        assert!(key_of.iter().all(|key| *key < keys.len()), "an index names one of the keys");
        // A no-op from the second call with as many keys on.
        self.next.resize(keys.len().max(self.next.len()), 0);

        let windows = cards
            .chunks(Self::WINDOW)
            .zip(key_of.chunks(Self::WINDOW))
            .zip(out.chunks_mut(Self::WINDOW));
        let mut result = Ok(());
        for ((cards, key_of), out) in windows {
            result = result.and_then(|()| self.window(keys, key_of, cards, length, out));
        }
        let used = cards.len().min(Self::WINDOW);
        for card in &mut self.cards[..used] {
            zeroize::Zeroize::zeroize(card);
        }
        self.values[..used].fill(Cvv::EMPTY);
        if result.is_err() {
            out.fill(Cvv::EMPTY);
        }
        result
    }

    /// A counting sort by key, a run of passes for each key, and the way back.
    fn window(
        &mut self,
        keys: &[CvkPair],
        key_of: &[usize],
        cards: &[PackedCard],
        length: CvvLength,
        out: &mut [Cvv],
    ) -> Result<(), ComputeError> {
        let next = &mut self.next[..keys.len()];
        next.fill(0);
        for key in key_of {
            next[*key] += 1;
        }
        let mut start = 0;
        for place in &mut *next {
            start += core::mem::replace(place, start);
        }
        for ((card, key), place) in cards.iter().zip(key_of).zip(&mut self.place) {
            let at = next[*key];
            next[*key] += 1;
            self.cards[at].clone_from(card);
            *place = u16::try_from(at).expect("a window has fewer than 65,536 cards");
        }

        // `next` now holds where each key's run ends.
        let mut start = 0;
        for (key, end) in keys.iter().zip(next) {
            let run = start..*end;
            start = *end;
            if !run.is_empty() {
                key.generate_many(&self.cards[run.clone()], length, &mut self.values[run])?;
            }
        }
        for (value, place) in out.iter_mut().zip(&self.place) {
            value.clone_from(&self.values[usize::from(*place)]);
        }
        Ok(())
    }
}

impl Default for Grouping {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Grouping {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Grouping([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;
    use crate::card::{Expiry, ExpiryOrder, Pan, ServiceCode};
    use crate::key::Policy;

    fn key(seed: u8) -> CvkPair {
        let bytes =
            core::array::from_fn(|i| (seed + 1).wrapping_mul(u8::try_from(i).unwrap() ^ 0x5A));
        CvkPair::from_bytes(&bytes, ExpiryOrder::YyMm, Policy::TestVectors).unwrap()
    }

    fn cards(count: usize) -> Vec<PackedCard> {
        let (expiry, code) = (Expiry::parse_yymm("2701").unwrap(), ServiceCode::CVV2);
        (0..count)
            .map(|i| Pan::parse(&format!("41234567{:08}", i * 7919)).unwrap())
            .map(|pan| PackedCard::new(&pan, &expiry, ExpiryOrder::YyMm, &code))
            .collect()
    }

    #[test]
    fn grouping_equals_one_call_a_card_whatever_the_keys_and_the_size() {
        let mut grouping = Grouping::new();
        for key_count in [1, 2, 3, 40] {
            let keys: Vec<_> = (0..key_count).map(key).collect();
            let window = Grouping::WINDOW;
            for count in [0, 1, 2, 63, 64, 65, window - 1, window, window + 1, 2 * window + 3] {
                let cards = cards(count);
                let key_of: Vec<_> =
                    (0..count).map(|i| (i * i / 3) % usize::from(key_count)).collect();
                let mut out = vec![Cvv::EMPTY; count];
                grouping.generate(&keys, &key_of, &cards, CvvLength::THREE, &mut out).unwrap();
                for i in (0..count).step_by(1 + count / 500) {
                    let single = keys[key_of[i]].generate(&cards[i], CvvLength::THREE).unwrap();
                    assert_eq!(out[i], single, "card {i} of {count} under {key_count} keys");
                }
            }
        }
    }

    #[test]
    fn a_refusing_key_among_others_returns_nothing() {
        let mut keys = [key(1), key(2)];
        keys[1].material_mut().reload(|bytes| bytes[1] ^= 2);
        let cards = cards(100);
        let key_of: Vec<_> = (0..100).map(|i| usize::from(i >= 90)).collect();
        let mut out = vec![Cvv::EMPTY; 100];
        let mut grouping = Grouping::new();
        let error = grouping.generate(&keys, &key_of, &cards, CvvLength::THREE, &mut out);
        assert_eq!(error.unwrap_err(), ComputeError::SelfTest);
        assert!(out.iter().chain(&grouping.values).all(|cvv| *cvv == Cvv::EMPTY));
    }

    #[test]
    #[cfg(feature = "std")]
    fn threads_return_what_one_thread_returns() {
        let key = key(3);
        for count in [0, 1, 2, 3, 511, 512, 513, 5000] {
            let cards = cards(count);
            let mut expected = vec![Cvv::EMPTY; count];
            key.generate_many(&cards, CvvLength::THREE, &mut expected).unwrap();
            for threads in [1, 2, 3, 7] {
                let mut out = vec![Cvv::EMPTY; count];
                let threads = core::num::NonZeroUsize::new(threads).unwrap();
                key.generate_many_threaded(&cards, CvvLength::THREE, &mut out, threads).unwrap();
                assert!(out == expected, "{count} cards on {threads} threads");
            }
        }
    }

    #[test]
    #[cfg(feature = "std")]
    fn a_fault_in_one_thread_returns_nothing_from_any() {
        let mut key = key(3);
        key.material_mut().reload(|bytes| bytes[9] ^= 2);
        let cards = cards(1000);
        let mut out = vec![Cvv::EMPTY; 1000];
        let threads = core::num::NonZeroUsize::new(2).unwrap();
        key.generate_many_threaded(&cards, CvvLength::THREE, &mut out, threads).unwrap_err();
        assert!(out.iter().all(|cvv| *cvv == Cvv::EMPTY));
    }
}
