//! Copies of a message's bytes without a call for short ones: the call would cost more than the copy,
//! and a floor must not be the slower for it.
#![allow(unsafe_code)]

use std::ptr::NonNull;

/// Copies `src`.
///
/// # Safety
///
/// `dst` is valid for as many bytes and does not overlap.
#[expect(clippy::inline_always)] // the point of it
#[inline(always)]
pub(super) unsafe fn copy(src: &[u8], dst: NonNull<u8>) {
    let (len, from, to) = (src.len(), src.as_ptr(), dst.as_ptr());
    // Two copies that meet or overlap in the middle serve every length between half and whole.
    macro_rules! both_ends {
        ($size:literal) => {{
            let last = len - $size;
            let first = from.cast::<[u8; $size]>().read();
            let second = from.add(last).cast::<[u8; $size]>().read();
            to.cast::<[u8; $size]>().write(first);
            to.add(last).cast::<[u8; $size]>().write(second);
        }};
    }
    // SAFETY: each arm reads and writes within `len` bytes of both; see the contract.
    unsafe {
        match len {
            8..16 => both_ends!(8),
            16..32 => both_ends!(16),
            32..=64 => both_ends!(32),
            _ => from.copy_to_nonoverlapping(to, len),
        }
    }
}
