//! What kernels read of a key.

use zeroize::Zeroize;

#[cfg(all(target_arch = "x86_64", feature = "std"))]
use super::avx2_row::RowKey;
use super::bitslice::BitsliceKey;
use super::known::KnownAnswer;
use super::passes::BULK_STACK;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
use super::permute::PermuteKey;
use super::portable;
use super::portable_row::{self, PortableKey};
use crate::card::Cvv;
use crate::residue;
use crate::secret::{Protection, Secret, SecretError};

/// Bytes of the longest payload of a key block.
const PAYLOAD_LEN: usize = 128;

/// A CVK pair: its clear bytes, each kernel's form of them, and the known answer; about 12 KiB on
/// x86-64, of which 16 bytes are the key.
#[repr(C)]
pub(crate) struct KeyMaterial {
    bytes: [u8; 16],
    /// What a key block holds, while the key is taken out of it.
    payload: [u8; PAYLOAD_LEN],
    known: KnownAnswer,
    bitslice: BitsliceKey,
    portable: PortableKey,
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    row: RowKey,
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    permute: PermuteKey,
    folds: Folds,
}

/// The exclusive-or of all words of each form as it was when the key was loaded.
///
/// A known answer proves that a pass computes. It does not prove that a look-up table is whole, of
/// which one card reads one entry in 64, nor a mask, of which one card reads one bit. A fold does,
/// and is compared after the passes that read the form. (The byte-lane engine's is in its own
/// form.)
#[derive(Default)]
struct Folds {
    bitslice: u64,
    portable: u64,
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    row: u64,
}

impl KeyMaterial {
    /// A place to write a key to, so that its bytes are never moved. (Expansion copies half a key
    /// at a time to the stack, and wipes it.)
    ///
    /// # Errors
    ///
    /// [`SecretError`] where there is no memory protected `at_least` so well.
    pub(crate) fn zeros(at_least: Protection) -> Result<Secret<Self>, SecretError> {
        let zeros = Self {
            bytes: [0; 16],
            payload: [0; PAYLOAD_LEN],
            known: KnownAnswer::unknown(),
            bitslice: BitsliceKey::empty(),
            portable: PortableKey::default(),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            row: RowKey::default(),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            permute: PermuteKey::default(),
            folds: Folds::default(),
        };
        Secret::new(zeros, at_least)
    }

    /// Fills in every form of the key that the bytes hold by now, and learns the known answer.
    ///
    /// In constant time, and therefore not by the reference: two kernels that share no code but the
    /// standard's tables compute the answer, and both are held to the reference by tests. If they
    /// disagree here, the answer is one that no kernel gives, and every call fails its self-test.
    pub(crate) fn expand(&mut self) {
        expand_forms(self);
        self.folds = Folds {
            bitslice: self.bitslice.fold(),
            portable: self.portable.fold(),
            #[cfg(all(target_arch = "x86_64", feature = "std"))]
            row: self.row.fold(),
        };
        learn_known_answer(self);
        residue::wipe::<BULK_STACK>();
    }

    /// Changes the key without learning a new answer: a fault that every kernel has to notice.
    #[cfg(test)]
    pub(crate) fn reload(&mut self, fault: impl FnOnce(&mut [u8; 16])) {
        let [block, digits] = self.known.answer();
        fault(&mut self.bytes);
        self.expand();
        self.known.set_answer([block, digits]);
    }

    /// The clear bytes: CVK A, then CVK B.
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// The clear bytes, to be written to before [`expand`](Self::expand).
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; 16] {
        &mut self.bytes
    }

    /// The clear bytes, and room for what a key block holds: to be wiped once the key is out of it.
    pub(crate) fn load(&mut self) -> (&mut [u8; 16], &mut [u8; PAYLOAD_LEN]) {
        (&mut self.bytes, &mut self.payload)
    }

    /// CVK A.
    pub(crate) fn a(&self) -> &[u8; 8] {
        self.bytes.first_chunk().expect("16 bytes")
    }

    /// CVK B.
    pub(crate) fn b(&self) -> &[u8; 8] {
        self.bytes.last_chunk().expect("16 bytes")
    }

    /// The card that every pass computes beside the caller's.
    pub(super) fn known(&self) -> &KnownAnswer {
        &self.known
    }

    pub(super) fn bitslice(&self) -> &BitsliceKey {
        &self.bitslice
    }

    pub(super) fn portable(&self) -> &PortableKey {
        &self.portable
    }

    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    pub(super) fn row(&self) -> &RowKey {
        &self.row
    }

    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    pub(super) fn permute(&self) -> &PermuteKey {
        &self.permute
    }
}

/// What has changed in each form since the key was loaded: zero if nothing has.
impl KeyMaterial {
    #[inline(always)]
    pub(super) fn bitslice_faults(&self) -> u64 {
        self.bitslice.fold() ^ self.folds.bitslice
    }

    #[inline(always)]
    pub(super) fn portable_faults(&self) -> u64 {
        self.portable.fold() ^ self.folds.portable
    }

    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    #[inline(always)]
    pub(super) fn row_faults(&self) -> u64 {
        self.row.fold() ^ self.folds.row
    }
}

#[inline(never)]
fn expand_forms(key: &mut KeyMaterial) {
    let (a, b) = key.bytes.split_at(8);
    let a = a.try_into().expect("8 of 16 bytes");
    let b = b.try_into().expect("the other 8");
    BitsliceKey::expand(&mut key.bitslice, a, b);
    PortableKey::expand(&mut key.portable, a, b);
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    RowKey::expand(&mut key.row, a, b);
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    PermuteKey::expand(&mut key.permute, a, b);
}

#[inline(never)]
fn learn_known_answer(key: &mut KeyMaterial) {
    let block = portable_row::block(&key.portable, key.known.card());
    key.known.learn(block);
    // A pass over the known card alone: its lane is compared with what was learnt just now.
    let mut spare = [Cvv::EMPTY];
    let cards = core::slice::from_ref(key.known.card());
    let mismatch = portable::pass5(&key.bitslice, &key.known, cards, &mut spare);
    key.known.spoil(u64::from(mismatch));
}

impl Zeroize for KeyMaterial {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
        self.payload.zeroize();
        self.known.zeroize();
        self.bitslice.zeroize();
        self.portable.zeroize();
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        {
            self.row.zeroize();
            self.permute.zeroize();
            self.folds.row.zeroize();
        }
        self.folds.bitslice.zeroize();
        self.folds.portable.zeroize();
    }
}

/// The places that fault injection flips bits in.
#[cfg(test)]
pub(crate) mod faults {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::cell::Cell;
    use core::slice;

    use super::*;

    /// A bit of the state that is to flip while a call computes.
    #[derive(Clone, Copy)]
    pub(crate) struct Strike {
        /// How many look-ups are still right.
        pub(crate) after: usize,
        pub(crate) lane: usize,
        pub(crate) bit: u32,
    }

    std::thread_local! {
        /// What is to happen to this thread's next call.
        pub(crate) static STRIKE: Cell<Option<Strike>> = const { Cell::new(None) };
    }

    /// What a look-up found, on its way into the state.
    #[cfg(all(target_arch = "x86_64", feature = "std"))]
    pub(crate) fn strike(lanes: &mut [u8]) {
        if let Some(strike) = STRIKE.get() {
            STRIKE.set(strike.after.checked_sub(1).map(|after| Strike { after, ..strike }));
            if strike.after == 0 {
                lanes[strike.lane % lanes.len()] ^= 1 << strike.bit;
            }
        }
    }

    /// Every byte that kernels of this machine read of the key, form by form.
    #[expect(unsafe_code, reason = "fault injection writes where no safe code can")]
    pub(crate) fn forms(key: &mut KeyMaterial) -> Vec<(&'static str, &mut [u8])> {
        fn raw<T>(form: &mut T) -> &mut [u8] {
            // SAFETY: the forms are integers without padding; any bits are valid for them.
            unsafe { slice::from_raw_parts_mut((&raw mut *form).cast(), size_of::<T>()) }
        }
        let mut forms: Vec<(_, &mut [u8])> = vec![
            ("bytes", &mut key.bytes),
            ("bitslice", raw(&mut key.bitslice)),
            ("portable", raw(&mut key.portable)),
        ];
        #[cfg(all(target_arch = "x86_64", feature = "std"))]
        {
            forms.push(("row", raw(&mut key.row)));
            forms.push(("permute", raw(&mut key.permute)));
        }
        forms
    }
}
