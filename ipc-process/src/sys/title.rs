//! The memory in which the kernel finds a process's arguments.

/// Overwrites the arguments that ps shows with `title`, as much of it as fits: from the address
/// `start` to `end`, as `proc_pid_stat(5)` has them.
pub(crate) fn overwrite_arguments(start: usize, end: usize, title: &[u8]) {
    let Some(room) = end.checked_sub(start + 1).filter(|_| start != 0) else {
        return;
    };
    let len = title.len().min(room);
    let area = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel put the arguments there, writable, and they are never unmapped. The one
    // caller has refused a second thread that could be reading them. The last byte stays zero, so
    // that whatever argument is read later ends inside.
    unsafe {
        std::ptr::copy_nonoverlapping(title.as_ptr(), area, len);
        std::ptr::write_bytes(area.add(len), 0, room - len);
    }
}
