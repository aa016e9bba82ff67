//! Huge pages: that they are there, in every process, and what is said where they are not.
//!
//! Seen to fail: with mappings that begin anywhere, with records that are not moved, without the
//! error's remedy.

use std::fs;

use ipc_core::conformance::skip;
use ipc_process::fork;
use ipc_shm::{Inherit, Receiver, Sender, ShmDuplex, ShmOptions};

const HUGE_PAGE: usize = 2 << 20;
const CAPACITY: usize = 4 * HUGE_PAGE;

/// Bytes of shared memory that this process has mapped in huge pages.
fn huge() -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let lines = maps
        .lines()
        .filter_map(|line| line.strip_prefix("ShmemPmdMapped:"));
    let kib = lines.map(|line| {
        line.split_whitespace()
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    });
    kib.sum::<usize>() * 1024
}

/// Skips the case on a machine that has none.
fn options() -> ShmOptions {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let of = |file| read(&format!("/sys/kernel/mm/transparent_hugepage/{file}"));
    let release = read("/proc/sys/kernel/osrelease");
    let mut version = release
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (version.next(), version.next());
    if of("hpage_pmd_size").trim() != HUGE_PAGE.to_string()
        || of("shmem_enabled").contains("[deny]")
        || version < (Some(6), Some(1))
    {
        skip("no huge pages of 2 MiB for shared memory");
    }
    let options = ShmOptions::new().capacity(CAPACITY).huge_pages();
    match options.pair() {
        Err(error) if error.to_string().contains("no memory is left in pieces") => {
            skip(&error.to_string())
        }
        made => drop(made.unwrap()),
    }
    options
}

/// What lies at the borders of the two mappings of a half is in small pages.
const OF_A_HALF: usize = 2 * CAPACITY - HUGE_PAGE;

fn the_records_lie_in_huge_pages() {
    let (mut tx, mut rx) = options().prefault().channel().unwrap();
    assert_eq!(tx.capacity(), CAPACITY);
    assert_eq!(huge(), 2 * OF_A_HALF);
    let longest = vec![7; tx.max_len()];
    for _ in 0..5 {
        tx.send(&longest).unwrap();
        assert!(rx.recv().unwrap() == longest);
    }
    assert_eq!(huge(), 2 * OF_A_HALF);
}

/// Without being touched beforehand, they are entered as they are met.
fn in_the_receivers_mapping_too() {
    let (mut tx, mut rx) = options().channel().unwrap();
    tx.send(&vec![7; HUGE_PAGE]).unwrap();
    let before = huge();
    assert!(rx.recv().unwrap().iter().all(|byte| *byte == 7));
    assert_eq!(huge() - before, 2 * HUGE_PAGE);
}

fn the_capacity_is_whole_huge_pages() {
    let _ = options();
    for (asked, pages) in [(0, 1), (HUGE_PAGE, 1), (HUGE_PAGE + 1, 2)] {
        let asked = ShmOptions::new().capacity(asked).huge_pages();
        let (tx, rx) = asked.channel().unwrap();
        assert_eq!(tx.capacity(), pages * HUGE_PAGE);
        assert_eq!(rx.capacity(), pages * HUGE_PAGE);
    }
}

fn so_they_do_after_a_fork_and_from_parts() {
    let options = options().prefault();
    let (child, ours) = fork(options.pair().unwrap(), |mut end: ShmDuplex| {
        // The other end is still mapped here, and its page table was not copied.
        assert_eq!(huge(), 2 * OF_A_HALF);
        end.send(b"so it is here").unwrap();
    })
    .unwrap();
    let before = huge();
    let (fds, state) = ours.into_parts().unwrap();
    let mut ours = ShmDuplex::from_parts(fds, &state).unwrap();
    assert_eq!(huge(), before);
    ours.recv().unwrap();
    child.join().unwrap();
}

/// As on a machine that has none: they are forbidden to this process.
fn where_there_are_none_it_is_an_error_that_says_so() {
    nix::sys::prctl::set_thp_disable(true).unwrap();
    let text = ShmOptions::new()
        .huge_pages()
        .pair()
        .unwrap_err()
        .to_string();
    assert!(text.contains("madvise(MADV_COLLAPSE)"), "{text}");
    assert!(text.contains("shmem_enabled"), "{text}");
    ipc_shm::pair().unwrap();
}

ipc_core::cases! {
    the_records_lie_in_huge_pages,
    in_the_receivers_mapping_too,
    the_capacity_is_whole_huge_pages,
    so_they_do_after_a_fork_and_from_parts,
    where_there_are_none_it_is_an_error_that_says_so,
}
