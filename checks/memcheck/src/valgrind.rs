//! Requests to valgrind from inside the program that it runs.
//!
//! A request is an instruction sequence that does nothing on a processor and that valgrind knows.
//! It is written out here because the crates for it need a C compiler, valgrind's headers or
//! libclang.
//!
//! # Source
//!
//! Valgrind 3.19, `valgrind/valgrind.h` and `valgrind/memcheck.h`; the numbers are a stable
//! interface.
#![expect(unsafe_code, reason = "the request sequence is assembly")]

use core::arch::asm;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the request sequence of this processor has to be added");

/// Whether valgrind runs this program.
pub(crate) fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0, 0) > 0
}

/// How many errors were reported until now: every occurrence counts, suppressed ones do not.
pub(crate) fn errors() -> usize {
    request(COUNT_ERRORS, 0, 0, 0)
}

/// Marks memory as undefined. Its content stays.
pub(crate) fn make_undefined(start: *mut u8, len: usize) {
    request(MAKE_MEM_UNDEFINED, start.expose_provenance(), len, 0);
}

/// Marks memory as defined.
pub(crate) fn make_defined(start: *mut u8, len: usize) {
    request(MAKE_MEM_DEFINED, start.expose_provenance(), len, 0);
}

/// Whether any bit of `memory` is undefined; unlike an access, asking is no error.
pub(crate) fn any_undefined(memory: &[u8]) -> bool {
    let mut undefined_bits = vec![0_u8; memory.len()];
    let into = undefined_bits.as_mut_ptr().expose_provenance();
    let done = request(GET_VBITS, memory.as_ptr().expose_provenance(), into, memory.len());
    assert_eq!(done, 1, "valgrind reads the validity of memory that is addressable");
    undefined_bits.iter().any(|bits| *bits != 0)
}

/// Sends a request; the answer is 0 outside of valgrind.
fn request(number: usize, first: usize, second: usize, third: usize) -> usize {
    let arguments = [number, first, second, third, 0, 0];
    let mut answer = 0;
    // SAFETY: the four rotations turn `rdi` by 128 bits, which is to say not at all, and the
    // exchange of a register with itself changes nothing either. Valgrind reads the six words at
    // `rax`, which outlive the request, and sets `rdx`. The requests above change no byte of memory
    // but the buffer of `GET_VBITS`, which is as long as it is told.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") answer, options(nostack),
        );
    }
    answer
}

const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
/// Memcheck's own requests have its initials, `M` and `C`, in the upper half.
const MEMCHECK: usize = 0x4D43_0000;
const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
const GET_VBITS: usize = MEMCHECK + 8;
