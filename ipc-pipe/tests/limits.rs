//! Capacity, lengths, and what a stranger can write into a pipe.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;

use ipc_pipe::{Error, PipeOptions, PipeSender, Receiver, Result, Sender};
use nix::unistd::{Uid, setuid};

/// What the kernel takes whole or not at all.  pipe(7)
const PIPE_BUF: usize = 4096;
const HEADER: usize = 4;
const MIB: usize = 1 << 20;

/// Bytes that no sender of ours would write.
fn write_raw(tx: &PipeSender, bytes: &[u8]) {
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

/// The kernel's limits are for those who are not root, and count all pipes of a user: this one has no others.
fn become_another() {
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(100_000 + std::process::id())).unwrap();
    }
}

fn message<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().to_string()
}

fn a_capacity_is_rounded_up() {
    let (tx, rx) = PipeOptions::new().capacity(5000).channel().unwrap();
    assert_eq!(tx.capacity().unwrap(), 8192);
    assert_eq!(rx.capacity().unwrap(), 8192);
    let (a, b) = PipeOptions::new().capacity(MIB).pair().unwrap();
    for mut end in [a, b] {
        assert_eq!(end.sender().capacity().unwrap(), MIB);
        assert_eq!(end.receiver().capacity().unwrap(), MIB);
    }
}

fn a_capacity_over_the_limit_names_it() {
    become_another();
    let limit = fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let refused = PipeOptions::new().capacity(limit + 1).channel();
    assert!(matches!(refused, Err(Error::Os { .. })));
    let told = message(refused);
    for part in ["F_SETPIPE_SZ", "pipe", "not permitted", &limit.to_string()] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = message(PipeOptions::new().capacity(usize::MAX).channel());
    assert!(told.contains("fs.pipe-max-size"), "{told}");
}

fn a_users_allowance_is_told_when_it_is_used_up() {
    become_another();
    let large = PipeOptions::new().capacity(MIB);
    let mut held = Vec::new();
    let refused = loop {
        match large.channel() {
            Ok(ends) => held.push(ends),
            Err(error) => break error,
        }
        if held.len() > 500 {
            ipc_core::conformance::skip("fs.pipe-user-pages-soft is off here");
        }
    };
    let told = refused.to_string();
    assert!(told.contains("fs.pipe-user-pages-soft"), "{told}");
    // Pipes can still be made, with two pages of room.
    let (mut tx, mut rx) = ipc_pipe::channel().unwrap();
    assert_eq!(tx.capacity().unwrap(), 2 * PIPE_BUF);
    tx.send(&[1; PIPE_BUF]).unwrap();
    assert_eq!(rx.recv().unwrap(), [1; PIPE_BUF]);
    drop(held);
    large.channel().unwrap();
}

fn small_frames_leave_no_tail() {
    let options = PipeOptions::new().capacity(PIPE_BUF);
    let (mut tx, mut rx) = options.channel().unwrap();
    tx.try_send(b"1").unwrap();
    // It lacks five bytes of room: not one byte is taken.
    let whole = [2; PIPE_BUF - HEADER];
    assert!(matches!(tx.try_send(&whole), Err(Error::WouldBlock)));
    assert!(tx.pending().is_none());
    assert_eq!(rx.recv().unwrap(), b"1");
    tx.try_send(&whole).unwrap();
    assert!(tx.pending().is_none());
    assert_eq!(rx.recv().unwrap(), whole);
    // One byte more may be taken in part.
    tx.try_send(&[3; PIPE_BUF - HEADER + 1]).unwrap();
    assert!(tx.pending().is_some());
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    tx.flush(ipc_pipe::Wait::Never).unwrap();
    assert_eq!(rx.try_recv().unwrap(), [3; PIPE_BUF - HEADER + 1]);
}

fn max_len_is_a_limit_at_both_ends() {
    let (mut tx, mut rx) = PipeOptions::new().max_len(10).channel().unwrap();
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
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    write_raw(&tx, b"\0\0\0\x02hi\xff\xff\xff\xff");
    assert_eq!(rx.recv().unwrap(), b"hi");
    let before = peak();
    for _ in 0..2 {
        let told = message(rx.recv());
        assert!(
            told.contains("pipe: a frame header claims 4294967295"),
            "{told}"
        );
        assert_eq!(rx.message(), b"");
    }
    assert!(peak() < before + 1024, "{before} KiB, now {}", peak());
}

fn a_header_is_given_no_memory_for_what_it_claims() {
    let options = PipeOptions::new().max_len(usize::MAX);
    let (tx, mut rx) = options.channel().unwrap();
    assert_eq!(rx.max_len(), 0xffff_ffff);
    write_raw(&tx, b"\xff\xff\xff\xff");
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    let before = peak();
    write_raw(&tx, &[0; 1000]);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    assert!(peak() < before + 1024, "{before} KiB, now {}", peak());
}

fn a_truncated_frame_is_malformed() {
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    write_raw(&tx, b"\0\0\0\x05hal");
    drop(tx);
    for _ in 0..2 {
        let told = message(rx.recv());
        assert!(told.contains("ended 7 bytes into a frame"), "{told}");
    }
}

ipc_core::cases! {
    a_capacity_is_rounded_up,
    a_capacity_over_the_limit_names_it,
    a_users_allowance_is_told_when_it_is_used_up,
    small_frames_leave_no_tail,
    max_len_is_a_limit_at_both_ends,
    a_header_that_claims_4_gib_poisons,
    a_header_is_given_no_memory_for_what_it_claims,
    a_truncated_frame_is_malformed,
}
