//! What a connection is: one descriptor, half-closed on request, whole to the last message.

use std::fs;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use ipc_socket::{
    Error, Inherit, Kind, Ready, Receiver, Sender, SocketDuplex, SocketOptions, Wait,
};

const ALL: [Kind; 3] = [Kind::Unix, Kind::Seqpacket, Kind::Tcp];
const MOMENT: Duration = Duration::from_millis(50);

fn pair(kind: Kind) -> (SocketDuplex, SocketDuplex) {
    SocketOptions::new().kind(kind).pair().unwrap()
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn a_connection_costs_one_descriptor() {
    for kind in ALL {
        let before = descriptors();
        let (mut a, b) = pair(kind);
        assert_eq!(descriptors(), before + 2, "{kind}");
        let (sender, receiver) = (
            a.sender().as_fd().as_raw_fd(),
            a.receiver().as_fd().as_raw_fd(),
        );
        assert_eq!(sender, receiver);
        drop(a);
        let (sender, receiver) = b.split();
        drop(sender);
        assert_eq!(descriptors(), before + 1);
        drop(receiver);
        assert_eq!(descriptors(), before);
    }
}

fn a_description_stays_blocking() {
    for kind in ALL {
        let (mut a, mut b) = pair(kind);
        a.send(b"hello").unwrap();
        b.recv().unwrap();
        assert!(matches!(b.try_recv(), Err(Error::WouldBlock)));
        for end in [&mut a, &mut b] {
            let fd = end.receiver().as_fd().as_raw_fd();
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = i32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
            assert_eq!(flags & libc::O_NONBLOCK, 0, "{kind}");
        }
    }
}

/// What an event loop does with two ends that each owe a tail.
fn arming_a_sender_makes_room_for_its_peer() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let (mut a, mut b) = pair(kind);
        let large = vec![7; 12 << 20];
        a.try_send(&large).unwrap();
        b.try_send(&large).unwrap();
        let mut left = 100_000;
        while a.flush(Wait::Never).is_err() | b.flush(Wait::Never).is_err() {
            assert!(!a.sender().arm().unwrap() && !b.sender().arm().unwrap());
            left -= 1;
            assert!(left > 0, "{kind}: both ends wait for room");
        }
        assert_eq!(a.recv().unwrap(), large);
        assert_eq!(b.recv().unwrap(), large);
    }
}

/// The halves help each other again after they crossed an exec.
fn an_endpoint_made_of_its_parts_does_not_hang() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let (a, b) = pair(kind);
        let again = |end: SocketDuplex| {
            let (fds, state) = end.into_parts().unwrap();
            SocketDuplex::from_parts(fds, &state).unwrap()
        };
        let (mut a, mut b) = (again(a), again(b));
        let large = vec![7; 12 << 20];
        let theirs = large.clone();
        let peer = thread::spawn(move || {
            b.send(&theirs).unwrap();
            assert_eq!(b.recv().unwrap(), theirs);
        });
        a.send(&large).unwrap();
        assert_eq!(a.recv().unwrap(), large);
        peer.join().unwrap();
    }
}

fn tcp_sends_at_once() {
    let (mut a, mut b) = pair(Kind::Tcp);
    for end in [&mut a, &mut b] {
        let fd = end.sender().as_fd().try_clone_to_owned().unwrap();
        assert!(TcpStream::from(fd).nodelay().unwrap());
    }
}

fn a_shutdown_ends_one_direction() {
    for kind in ALL {
        let (mut a, mut b) = pair(kind);
        a.send(b"last").unwrap();
        a.sender().shutdown(Wait::Forever).unwrap();
        assert!(matches!(a.send(b"more"), Err(Error::Disconnected)));
        assert_eq!(b.recv().unwrap(), b"last");
        assert!(matches!(b.recv(), Err(Error::Disconnected)));
        // The other goes on.
        for _ in 0..3 {
            b.send(b"answer").unwrap();
            assert_eq!(a.recv().unwrap(), b"answer");
        }
        drop(b);
        assert!(matches!(a.recv(), Err(Error::Disconnected)));
    }
}

fn a_shutdown_sends_the_tail_first() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let (mut a, mut b) = pair(kind);
        let large = vec![9; 8 << 20];
        a.try_send(&large).unwrap();
        assert!(matches!(
            a.sender().shutdown(Wait::Never),
            Err(Error::WouldBlock)
        ));
        thread::scope(|scope| {
            scope.spawn(|| a.sender().shutdown(Wait::Forever).unwrap());
            assert!(b.recv().unwrap() == large);
            assert!(matches!(b.recv(), Err(Error::Disconnected)));
        });
    }
}

/// The peer left a message to it unread, which the kernel reports as a reset: on a seqpacket socket
/// before what the peer had sent.
fn a_reset_loses_nothing_that_had_arrived() {
    for kind in ALL {
        for sends_first in [false, true] {
            let (mut a, mut b) = pair(kind);
            a.send(b"never read").unwrap();
            for number in 0..100u8 {
                b.send(&[number; 500]).unwrap();
            }
            b.send(b"").unwrap();
            thread::sleep(MOMENT);
            drop(b);
            thread::sleep(MOMENT);
            if sends_first {
                assert!(matches!(a.send(b"hello?"), Err(Error::Disconnected)));
            }
            for number in 0..100u8 {
                assert_eq!(a.recv().unwrap(), [number; 500], "{kind}");
            }
            assert_eq!(a.recv().unwrap(), b"");
            assert!(matches!(a.recv(), Err(Error::Disconnected)));
        }
    }
}

/// The exception of clause 4: a reset takes what TCP still had under way with it. It is an error,
/// no hang and no part of a message.
fn a_tcp_reset_loses_what_is_under_way() {
    let (mut a, mut b) = pair(Kind::Tcp);
    a.send(b"never read").unwrap();
    b.send(b"arrived").unwrap();
    let large = vec![1; 100_000];
    while b.try_send(&large).is_ok() {}
    thread::sleep(MOMENT);
    drop(b);
    assert_eq!(a.recv().unwrap(), b"arrived");
    let error = loop {
        match a.recv() {
            Ok(message) => assert!(message == large),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, Error::Malformed { .. } | Error::Disconnected),
        "{error}"
    );
}

fn debug_names_the_socket() {
    for kind in ALL {
        let (a, _b) = pair(kind);
        let text = format!("{a:?}");
        assert!(text.contains(&kind.to_string()), "{text}");
    }
}

fn echo_through_halves() {
    for kind in ALL {
        let (mut a, mut b) = pair(kind);
        a.send(b"hello").unwrap();
        let (tx, rx) = b.halves();
        tx.send(rx.recv().unwrap()).unwrap();
        assert_eq!(a.recv().unwrap(), b"hello");
    }
}

ipc_core::cases! {
    a_connection_costs_one_descriptor,
    a_description_stays_blocking,
    arming_a_sender_makes_room_for_its_peer,
    an_endpoint_made_of_its_parts_does_not_hang,
    tcp_sends_at_once,
    a_shutdown_ends_one_direction,
    a_shutdown_sends_the_tail_first,
    a_reset_loses_nothing_that_had_arrived,
    a_tcp_reset_loses_what_is_under_way,
    debug_names_the_socket,
    echo_through_halves,
}
