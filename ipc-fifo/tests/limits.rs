//! Capacity, lengths, and what a stranger can write into a FIFO.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;

use ipc_fifo::{Error, FifoOptions, FifoSender, Receiver, Result, Sender};

const MIB: usize = 1 << 20;

/// Bytes that no sender of ours would write.
fn write_raw(tx: &FifoSender, bytes: &[u8]) {
    let fd = tx.as_fd().try_clone_to_owned().unwrap();
    File::from(fd).write_all(bytes).unwrap();
}

/// The largest size that this process has had, in KiB.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmPeak:"));
    let kib = line.unwrap().split_whitespace().nth(1);
    kib.unwrap().parse().unwrap()
}

fn message<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().to_string()
}

fn a_capacity_is_rounded_up() {
    let (a, b) = FifoOptions::new().capacity(5000).pair().unwrap();
    for mut end in [a, b] {
        assert_eq!(end.sender().capacity().unwrap(), 8192);
        assert_eq!(end.receiver().capacity().unwrap(), 8192);
    }
}

fn every_end_asks_for_the_capacity() {
    let directory = tempfile::tempdir().unwrap();
    let options = FifoOptions::new().capacity(MIB);
    let fifo = options.create(directory.path().join("fifo")).unwrap();
    for _ in 0..2 {
        // The kernel forgets it when both are closed.
        let rx = fifo.receiver().unwrap();
        assert_eq!(rx.capacity().unwrap(), MIB);
        let tx = fifo.sender(ipc_fifo::Wait::Never).unwrap();
        assert_eq!(tx.capacity().unwrap(), MIB);
    }
}

fn a_refused_capacity_names_the_limit_and_leaves_nothing() {
    let told = message(FifoOptions::new().capacity(usize::MAX).channel());
    for part in ["F_SETPIPE_SZ", "private FIFO", "fs.pipe-max-size"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

fn max_len_is_a_limit_at_both_ends() {
    let (mut tx, mut rx) = FifoOptions::new().max_len(10).channel().unwrap();
    assert_eq!((tx.max_len(), rx.max_len()), (10, 10));
    tx.send(&[1; 10]).unwrap();
    let told = message(tx.send(&[1; 11]));
    assert!(told.contains("11 bytes, max_len is 10"), "{told}");
    assert_eq!(rx.recv().unwrap(), [1; 10]);
    // A sender that was given more.
    write_raw(&tx, b"\0\0\0\x0b");
    let told = message(rx.recv());
    assert!(told.contains("claims 11 bytes, max_len is 10"), "{told}");
}

fn a_header_that_claims_4_gib_poisons() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let fifo = FifoOptions::new().create(&path).unwrap();
    let mut rx = fifo.receiver().unwrap();
    let tx = fifo.sender(ipc_fifo::Wait::Never).unwrap();
    write_raw(&tx, b"\0\0\0\x02hi\xff\xff\xff\xff");
    assert_eq!(rx.recv().unwrap(), b"hi");
    let before = peak();
    for _ in 0..2 {
        let told = message(rx.recv());
        assert!(told.contains(path.to_str().unwrap()), "{told}");
        assert!(told.contains("a frame header claims 4294967295"), "{told}");
        assert_eq!(rx.message(), b"");
    }
    assert!(peak() < before + 1024, "{before} KiB, now {}", peak());
}

fn a_truncated_frame_is_malformed() {
    let (tx, mut rx) = ipc_fifo::channel().unwrap();
    write_raw(&tx, b"\0\0\0\x05hal");
    drop(tx);
    for _ in 0..2 {
        let told = message(rx.recv());
        assert!(told.contains("ended 7 bytes into a frame"), "{told}");
        assert!(matches!(rx.try_recv(), Err(Error::Malformed { .. })));
    }
}

ipc_core::cases! {
    a_capacity_is_rounded_up,
    every_end_asks_for_the_capacity,
    a_refused_capacity_names_the_limit_and_leaves_nothing,
    max_len_is_a_limit_at_both_ends,
    a_header_that_claims_4_gib_poisons,
    a_truncated_frame_is_malformed,
}
