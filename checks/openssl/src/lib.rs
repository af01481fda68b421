//! The calculation on OpenSSL's low-level DES: the peer that speeds are stated against.
//!
//! Key schedules are kept between calls, as an issuer's code would keep them, and one value is four
//! `DES_ecb_encrypt`. It looks S-boxes up in tables, so it is fast and not constant-time. Building
//! this package needs libcrypto (Debian: `libssl-dev`), which is why it is no default member.

use std::ffi::c_int;

/// OpenSSL's `DES_key_schedule`: 16 rounds of two 32-bit words.
#[repr(C)]
struct Schedule([u32; 32]);

#[link(name = "crypto")]
#[expect(unsafe_code, reason = "libcrypto is a C library")]
unsafe extern "C" {
    fn DES_set_key_unchecked(key: *const [u8; 8], schedule: *mut Schedule);
    fn DES_ecb_encrypt(
        input: *const [u8; 8],
        output: *mut [u8; 8],
        schedule: *const Schedule,
        encrypt: c_int,
    );
}

/// A CVK pair with its two key schedules.
pub struct OpensslPair {
    a: Schedule,
    b: Schedule,
}

impl OpensslPair {
    /// Expands CVK A and CVK B.
    #[must_use]
    pub fn new(a: &[u8; 8], b: &[u8; 8]) -> Self {
        let schedule = |key: &[u8; 8]| {
            let mut schedule = Schedule([0; 32]);
            // SAFETY: both pointers are valid for the call, and the schedule is as large as
            // OpenSSL's `DES_key_schedule` (16 unions of 8 bytes).
            #[expect(unsafe_code, reason = "a call into libcrypto")]
            unsafe {
                DES_set_key_unchecked(key, &raw mut schedule);
            }
            schedule
        };
        Self { a: schedule(a), b: schedule(b) }
    }

    /// The three-digit value of a card's two blocks.
    #[must_use]
    pub fn cvv(&self, b1: &[u8; 8], b2: &[u8; 8]) -> [u8; 3] {
        let mut block = des(b1, &self.a, 1);
        for (byte, other) in block.iter_mut().zip(b2) {
            *byte ^= other;
        }
        let block = des(&des(&des(&block, &self.a, 1), &self.b, 0), &self.a, 1);

        let mut digits = [0; 3];
        let mut found = 0;
        for letters in [false, true] {
            for nibble in block.iter().flat_map(|byte| [byte >> 4, byte & 0xF]) {
                if (nibble > 9) == letters && found < 3 {
                    digits[found] = if letters { nibble - 10 } else { nibble };
                    found += 1;
                }
            }
        }
        digits
    }
}

fn des(block: &[u8; 8], schedule: &Schedule, encrypt: c_int) -> [u8; 8] {
    let mut out = [0; 8];
    // SAFETY: the three pointers are valid for the call and `out` does not overlap `block`.
    #[expect(unsafe_code, reason = "a call into libcrypto")]
    unsafe {
        DES_ecb_encrypt(block, &raw mut out, schedule, encrypt);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_computes_published_values() {
        let pair = OpensslPair::new(
            &0x0123_4567_89AB_CDEF_u64.to_be_bytes(),
            &0xFEDC_BA98_7654_3210_u64.to_be_bytes(),
        );
        let cvv = |b1: u64, b2: u64| pair.cvv(&b1.to_be_bytes(), &b2.to_be_bytes());
        assert_eq!(cvv(0x4123_4567_8901_2345, 0x8701_1010_0000_0000), [5, 6, 1]);
        assert_eq!(cvv(0x4000_0000_0000_1618, 0x2912_0000_0000_0000), [1, 2, 4]);
    }
}
