//! Loops over numbers, compiled twice on x86-64: for what every such processor has, and for AVX2,
//! whose registers hold four numbers instead of two. Which one runs is decided where it runs.
//!
//! Results do not depend on it: both do the same operations on each number, and neither joins a
//! multiplication with an addition.

/// Fewer numbers than this are not worth the question what the processor has.
#[cfg(target_arch = "x86_64")]
const WORTH: usize = 8;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Does work over so many numbers with the widest instructions that there are. It is to be a short
/// closure around a loop: only what is inlined into it becomes wide.
#[inline(always)]
pub(crate) fn run<R>(numbers: usize, work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if numbers >= WORTH && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was asked, and AVX2 is all that the function needs.
        return unsafe { with_avx2(work) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
    work()
}

/// The same with other code where there is AVX2, which must come to the same result.
#[inline(always)]
pub(crate) fn either<R>(numbers: usize, plain: impl FnOnce() -> R, wide: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if numbers >= WORTH && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was asked, and AVX2 is all that the function needs.
        return unsafe { with_avx2(wide) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, wide);
    plain()
}
