//! Lengths and buffers, and what a stranger can write into a socket.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;

use ipc_socket::{Error, Kind, Receiver, Result, Sender, SocketOptions, Wait};

/// What the kernel wants of the send buffer, and our header.
const OVERHEAD: usize = 32 + 4;
const MIB: usize = 1 << 20;
const STREAMS: [Kind; 2] = [Kind::Unix, Kind::Tcp];

fn options(kind: Kind) -> SocketOptions {
    SocketOptions::new().kind(kind)
}

/// Bytes, or a packet, that no sender of ours would send.
fn send_raw(tx: &impl AsFd, bytes: &[u8]) {
    let fd = tx.as_fd().try_clone_to_owned().unwrap();
    let sent = UnixStream::from(fd).write(bytes).unwrap();
    assert_eq!(sent, bytes.len());
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

/// It is told again and again, and lends nothing.
fn expect_poisoned(rx: &mut impl Receiver, reason: &str) {
    for _ in 0..2 {
        let error = rx.recv_wait(Wait::Forever).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains(reason), "{reason}: {told}");
        assert_eq!(rx.message(), b"");
    }
}

fn max_len_is_a_limit_at_both_ends() {
    for kind in STREAMS {
        let (mut tx, mut rx) = options(kind).max_len(10).channel().unwrap();
        assert_eq!((tx.max_len(), rx.max_len()), (10, 10));
        tx.send(&[1; 10]).unwrap();
        let told = message(tx.send(&[1; 11]));
        assert!(told.contains("11 bytes, max_len is 10"), "{told}");
        assert_eq!(rx.recv().unwrap(), [1; 10]);
        send_raw(&tx, b"\0\0\0\x0b");
        expect_poisoned(&mut rx, "claims 11 bytes, max_len is 10");
    }
}

fn a_header_that_claims_4_gib_poisons() {
    for kind in STREAMS {
        let (tx, mut rx) = options(kind).channel().unwrap();
        send_raw(&tx, b"\0\0\0\x02hi\xff\xff\xff\xff");
        assert_eq!(rx.recv().unwrap(), b"hi");
        let before = peak();
        expect_poisoned(&mut rx, "a frame header claims 4294967295 bytes");
        assert!(peak() < before + 1024, "{before} KiB, now {}", peak());
    }
}

fn a_truncated_frame_is_malformed() {
    for kind in STREAMS {
        let (tx, mut rx) = options(kind).channel().unwrap();
        send_raw(&tx, b"\0\0\0\x05hal");
        drop(tx);
        expect_poisoned(&mut rx, "ended 7 bytes into a frame");
    }
}

fn a_packet_is_as_long_as_the_send_buffer_allows() {
    let (mut tx, mut rx) = options(Kind::Seqpacket).channel().unwrap();
    let max = tx.send_buffer().unwrap() - OVERHEAD;
    assert_eq!((tx.max_len(), rx.max_len()), (max, max));
    let longest = vec![7; max + 1];
    tx.try_send(&longest[..max]).unwrap();
    assert_eq!(rx.try_recv().unwrap(), &longest[..max]);
    let error = tx.try_send(&longest).unwrap_err();
    assert!(matches!(
        error,
        Error::TooLarge {
            limit: "SO_SNDBUF",
            ..
        }
    ));
    assert!(error.to_string().contains("ask for a larger send buffer"));
    tx.send(b"still usable").unwrap();
    assert_eq!(rx.recv().unwrap(), b"still usable");
}

/// The kernel's own limit is where ours is: one byte more, past our check, is `EMSGSIZE`.
fn the_kernel_refuses_what_we_refuse() {
    let (tx, _rx) = options(Kind::Seqpacket).channel().unwrap();
    let mut raw = UnixStream::from(tx.as_fd().try_clone_to_owned().unwrap());
    let refused = raw.write(&vec![0; tx.max_len() + 4 + 1]).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EMSGSIZE));
    raw.write_all(&vec![0; tx.max_len() + 4]).unwrap();
}

fn a_packets_max_len_brings_its_send_buffer() {
    let wmem_max = fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap();
    let given = 2 * wmem_max.trim().parse::<usize>().unwrap();
    for asked in [100, 200_000, 250_000, MIB, usize::MAX] {
        let (mut tx, mut rx) = options(Kind::Seqpacket).max_len(asked).channel().unwrap();
        let expected = asked.min(given - OVERHEAD).min(4 * MIB - 4);
        assert_eq!(tx.max_len(), expected, "{asked}");
        assert_eq!(rx.max_len(), asked.min(4 * MIB - 4));
        let longest = vec![3; tx.max_len()];
        match tx.try_send(&longest) {
            Ok(()) => assert!(rx.try_recv().unwrap() == longest),
            // Megabytes in one piece, which the kernel need not have.
            Err(error) => assert!(error.to_string().contains("send it again"), "{error}"),
        }
        assert!(matches!(
            tx.try_send(&vec![3; expected + 1]),
            Err(Error::TooLarge { .. })
        ));
    }
}

fn an_oversize_packet_is_malformed() {
    let (tx, mut rx) = options(Kind::Seqpacket).max_len(1000).channel().unwrap();
    send_raw(&tx, &[&[0, 0, 3, 0xe9][..], &[1; 1001]].concat());
    send_raw(&tx, b"\0\0\0\x02hi");
    expect_poisoned(&mut rx, "a message of 1001 bytes, max_len is 1000");
}

fn a_packet_that_is_no_frame_is_malformed() {
    for (packet, reason) in [
        (&b""[..], "0 bytes has no header"),
        (b"\0\0\0", "3 bytes has no header"),
        (b"\0\0\0\x03hi", "6 bytes has another length"),
        (b"\0\0\0\x01hi", "6 bytes has another length"),
        (b"\xff\xff\xff\xffhi", "6 bytes has another length"),
    ] {
        let (mut tx, mut rx) = options(Kind::Seqpacket).channel().unwrap();
        tx.send(b"before").unwrap();
        send_raw(&tx, packet);
        assert_eq!(rx.recv().unwrap(), b"before");
        expect_poisoned(&mut rx, reason);
    }
}

fn buffers_are_asked_for_and_told() {
    for kind in [Kind::Unix, Kind::Seqpacket, Kind::Tcp] {
        let options = options(kind).send_buffer(50_000).recv_buffer(60_000);
        let (mut a, mut b) = options.pair().unwrap();
        for end in [&mut a, &mut b] {
            assert_eq!(end.sender().send_buffer().unwrap(), 100_000, "{kind}");
            assert_eq!(end.receiver().recv_buffer().unwrap(), 120_000, "{kind}");
        }
        // More than the kernel gives is no error.
        let (tx, _rx) = options.send_buffer(usize::MAX).channel().unwrap();
        assert!(tx.send_buffer().unwrap() > 100_000);
    }
}

/// A full stream takes a part of a message, a seqpacket socket all or nothing.
fn only_a_stream_has_tails() {
    for kind in [Kind::Unix, Kind::Seqpacket, Kind::Tcp] {
        let (mut tx, mut rx) = options(kind).channel().unwrap();
        let msg = vec![5; tx.max_len().min(100_000)];
        let mut sent = 0;
        while tx.try_send(&msg).is_ok() {
            sent += 1;
        }
        assert_eq!(tx.pending().is_some(), kind != Kind::Seqpacket);
        thread::scope(|scope| {
            scope.spawn(|| tx.flush(Wait::Forever).unwrap());
            for _ in 0..sent {
                assert!(rx.recv().unwrap() == msg);
            }
        });
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }
}

ipc_core::cases! {
    max_len_is_a_limit_at_both_ends,
    a_header_that_claims_4_gib_poisons,
    a_truncated_frame_is_malformed,
    a_packet_is_as_long_as_the_send_buffer_allows,
    the_kernel_refuses_what_we_refuse,
    a_packets_max_len_brings_its_send_buffer,
    an_oversize_packet_is_malformed,
    a_packet_that_is_no_frame_is_malformed,
    buffers_are_asked_for_and_told,
    only_a_stream_has_tails,
}
