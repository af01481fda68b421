//! What a computation with secrets leaves behind: its stack, and the vector registers.
//!
//! A register is soon memory. A signal, the lazy binding of a library function and the unwinder all
//! save vector registers to the stack of the thread that they find it in, and a core file holds
//! them, too; copies of 16 bytes and more go through them.

use zeroize::zeroize_stack;

/// Wipes `STACK` bytes of stack below the caller's, and on x86-64 the vector registers. Elsewhere it
/// is the stack alone.
///
/// What is to be wiped has to be done in a function that is not inlined into the caller. It takes
/// some tens of nanoseconds for 4 KiB, and about half a microsecond for 32.
#[inline(never)]
pub(crate) fn wipe<const STACK: usize>() {
    zeroize_stack::<STACK>();
    wipe_registers();
}

#[cfg(not(target_arch = "x86_64"))]
fn wipe_registers() {}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "there is no other way to write to a register")]
fn wipe_registers() {
    use core::arch::asm;

    #[cfg(feature = "std")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has the instructions, and the compiler is told that the
            // registers change.
            unsafe {
                asm!(
                    "vpxord zmm16, zmm16, zmm16",
                    "vpxord zmm17, zmm17, zmm17",
                    "vpxord zmm18, zmm18, zmm18",
                    "vpxord zmm19, zmm19, zmm19",
                    "vpxord zmm20, zmm20, zmm20",
                    "vpxord zmm21, zmm21, zmm21",
                    "vpxord zmm22, zmm22, zmm22",
                    "vpxord zmm23, zmm23, zmm23",
                    "vpxord zmm24, zmm24, zmm24",
                    "vpxord zmm25, zmm25, zmm25",
                    "vpxord zmm26, zmm26, zmm26",
                    "vpxord zmm27, zmm27, zmm27",
                    "vpxord zmm28, zmm28, zmm28",
                    "vpxord zmm29, zmm29, zmm29",
                    "vpxord zmm30, zmm30, zmm30",
                    "vpxord zmm31, zmm31, zmm31",
                    "kxorw k1, k1, k1",
                    "kxorw k2, k2, k2",
                    "kxorw k3, k3, k3",
                    "kxorw k4, k4, k4",
                    "kxorw k5, k5, k5",
                    "kxorw k6, k6, k6",
                    "kxorw k7, k7, k7",
                    clobber_abi("sysv64"),
                    options(nomem, nostack),
                );
            }
        }
        if std::arch::is_x86_feature_detected!("avx") {
            // SAFETY: as above. All bits of the registers 0 to 15 become zero.
            unsafe { asm!("vzeroall", clobber_abi("sysv64"), options(nomem, nostack)) };
            return;
        }
    }
    // SAFETY: every x86-64 has these instructions; the compiler is told that the registers change.
    unsafe {
        asm!(
            "xorps xmm0, xmm0",
            "xorps xmm1, xmm1",
            "xorps xmm2, xmm2",
            "xorps xmm3, xmm3",
            "xorps xmm4, xmm4",
            "xorps xmm5, xmm5",
            "xorps xmm6, xmm6",
            "xorps xmm7, xmm7",
            "xorps xmm8, xmm8",
            "xorps xmm9, xmm9",
            "xorps xmm10, xmm10",
            "xorps xmm11, xmm11",
            "xorps xmm12, xmm12",
            "xorps xmm13, xmm13",
            "xorps xmm14, xmm14",
            "xorps xmm15, xmm15",
            clobber_abi("sysv64"),
            options(nomem, nostack),
        );
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use core::arch::asm;

    /// Which registers are left with something: those that every processor has, as the compiler
    /// uses the others only where it is told to.
    #[test]
    #[expect(unsafe_code, reason = "there is no other way to read a register")]
    fn vector_registers_are_zero_afterwards() {
        let mut left = [0xAA_u8; 2 * 16];
        // SAFETY: the call keeps the rules of its convention, on a stack that is aligned for it;
        // two registers are written, the function is called, and both are stored in `left`.
        unsafe {
            asm!(
                "pcmpeqd xmm3, xmm3", "pcmpeqd xmm13, xmm13",
                "call {wipe}",
                "movups [r12], xmm3", "movups [r12 + 16], xmm13",
                wipe = sym super::wipe::<1024>,
                // A register that the function keeps.
                in("r12") left.as_mut_ptr(),
                clobber_abi("sysv64"),
            );
        }
        assert_eq!(left, [0; 32]);
    }
}
