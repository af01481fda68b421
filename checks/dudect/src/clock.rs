//! The finest clock there is.

use core::hint::black_box;

/// How long `call` takes, in ticks.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "reads the processor's counter")]
pub(crate) fn ticks<T>(call: impl FnOnce() -> T) -> u64 {
    use core::arch::x86_64::{_mm_lfence, _rdtsc};
    use core::sync::atomic::{Ordering, fence};

    // The fences keep the call from starting before, and from ending after, the counter is read.
    let now = || {
        // SAFETY: every x86-64 processor has both instructions, and they touch no memory.
        unsafe {
            _mm_lfence();
            let now = _rdtsc();
            _mm_lfence();
            now
        }
    };
    // Input that still waits in the store buffer would be timed with the call.
    fence(Ordering::SeqCst);
    let start = now();
    black_box(call());
    now() - start
}

/// How long `call` takes, in nanoseconds.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn ticks<T>(call: impl FnOnce() -> T) -> u64 {
    let start = std::time::Instant::now();
    black_box(call());
    u64::try_from(start.elapsed().as_nanos()).expect("centuries")
}
