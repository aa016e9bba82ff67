//! The copy of a message whose sender may be writing it at the same time.
//!
//! To the language a plain read that races with a write is undefined, whoever writes. So every load
//! here is an atomic one: relaxed loads of words, or machine instructions that are as good as those
//! and that the compiler knows nothing of. What is loaded may be torn, old or new, in any mixture: any
//! bytes are a message, and once they are here nobody changes them.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::reads;

const WORD: usize = size_of::<u64>();

/// Copies `len` bytes, and up to 7 more that fill the last word.
///
/// # Safety
///
/// Both are valid for `len` bytes rounded up to 8, and aligned to 8; `dst` is nobody else's. Others
/// may write `src`.
#[inline]
pub(super) unsafe fn snapshot(src: NonNull<u64>, dst: NonNull<u64>, len: usize) {
    reads(src.cast(), len);
    let words = len.div_ceil(WORD);
    // SAFETY: as the contract says; the wide part is no more than there is.
    unsafe {
        let done = if words >= WIDE_FROM {
            wide(src, dst, words)
        } else {
            0
        };
        for at in done..words {
            // Loads of 8 bytes are all that is asked of read-only memory.
            let word = AtomicU64::from_ptr(src.add(at).as_ptr()).load(Ordering::Relaxed);
            dst.add(at).write(word);
        }
    }
}

/// Words from which on the wide copy is worth its beginning.
const WIDE_FROM: usize = 16;

/// Copies as many of the words as it can by wide loads, and says how many.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn wide(src: NonNull<u64>, dst: NonNull<u64>, words: usize) -> usize {
    let blocks = words / 8;
    // SAFETY: within `words`, which the caller vouches for; it is one block at least.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {a}, [{src}]",
            "movups {b}, [{src} + 16]",
            "movups {c}, [{src} + 32]",
            "movups {d}, [{src} + 48]",
            "movups [{dst}], {a}",
            "movups [{dst} + 16], {b}",
            "movups [{dst} + 32], {c}",
            "movups [{dst} + 48], {d}",
            "add {src}, 64",
            "add {dst}, 64",
            "dec {blocks}",
            "jnz 2b",
            src = inout(reg) src.as_ptr() => _,
            dst = inout(reg) dst.as_ptr() => _,
            blocks = inout(reg) blocks => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
    blocks * 8
}

/// Copies as many of the words as it can by wide loads, and says how many.
#[cfg(all(target_arch = "aarch64", not(miri)))]
unsafe fn wide(src: NonNull<u64>, dst: NonNull<u64>, words: usize) -> usize {
    let blocks = words / 8;
    // SAFETY: within `words`, which the caller vouches for; it is one block at least.
    unsafe {
        std::arch::asm!(
            "2:",
            "ldp {a:q}, {b:q}, [{src}], #32",
            "ldp {c:q}, {d:q}, [{src}], #32",
            "stp {a:q}, {b:q}, [{dst}], #32",
            "stp {c:q}, {d:q}, [{dst}], #32",
            "subs {blocks}, {blocks}, #1",
            "b.ne 2b",
            src = inout(reg) src.as_ptr() => _,
            dst = inout(reg) dst.as_ptr() => _,
            blocks = inout(reg) blocks => _,
            a = out(vreg) _,
            b = out(vreg) _,
            c = out(vreg) _,
            d = out(vreg) _,
            options(nostack),
        );
    }
    blocks * 8
}

/// Where nothing is known that is wider than a word.
#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
unsafe fn wide(_: NonNull<u64>, _: NonNull<u64>, _: usize) -> usize {
    0
}
