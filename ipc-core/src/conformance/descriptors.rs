//! What a process has open and mapped, as /proc shows it.

use std::collections::BTreeSet;
use std::fs;

/// This process's open descriptors.  `proc_pid_fd(5)`
///
/// # Panics
///
/// Without a /proc.
pub fn descriptors() -> BTreeSet<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names.collect();
    // The one that listed them is closed by now.
    names
        .into_iter()
        .filter(|name| fs::symlink_metadata(format!("/proc/self/fd/{name}")).is_ok())
        .collect()
}

/// Checks the descriptors that are not in `before`, and says how many they are.  `proc_pid_fdinfo(5)`
///
/// # Panics
///
/// If one of them is not close-on-exec.
pub fn expect_close_on_exec(before: &BTreeSet<String>) -> usize {
    let now = descriptors();
    let new = now.difference(before);
    for fd in new.clone() {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = i32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        let target = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        assert!(
            flags & libc::O_CLOEXEC != 0,
            "{} is inherited over exec",
            target.display()
        );
    }
    new.count()
}

/// The number of this process's memory mappings.  `proc_pid_maps(5)`
pub(super) fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}
