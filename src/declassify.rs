//! The one place where a bit that depends on secrets becomes public.

use core::hint::black_box;

use subtle::Choice;

/// Tells a comparison's outcome: a verdict, or whether a self-test passed.
///
/// Everything that branches on a secret has to come through here, and a reader can count the callers.
/// The look-up makes the bit one of two constants, so that a checker that follows secrets through
/// memory sees where it stops being one; the checks of this repository know this function by name.
#[inline(never)]
pub(crate) fn declassify(outcome: Choice) -> bool {
    black_box(&[false, true])[usize::from(outcome.unwrap_u8() & 1)]
}
