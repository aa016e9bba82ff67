//! Across processes: fork, parts handed over, memory and descriptors.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_process::fork;
use ipc_shm::{
    Channel, Duplex, Error, Inherit, Receiver, Sender, ShmDuplex, ShmOptions, ShmReceiver,
    ShmSender, Spin, Wait,
};

fn echo(mut end: impl Channel) {
    let (tx, rx) = end.halves();
    while rx.recv_wait(Wait::Forever).is_ok() {
        tx.send(rx.message()).unwrap();
    }
}

fn a_child_echoes() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let pair = ShmOptions::new().capacity(1).spin(spin).pair().unwrap();
        let (child, mut ours) = fork(pair, echo).unwrap();
        for number in 0..20_000_usize {
            let msg = vec![number.to_le_bytes()[0]; number % 2000];
            ours.send(&msg).unwrap();
            assert!(ours.recv().unwrap() == msg);
        }
        drop(ours);
        child.join().unwrap();
    }
}

fn a_batch_crosses_in_order() {
    const COUNT: u64 = 200_000;
    let (tx, rx) = ShmOptions::new().capacity(1).channel().unwrap();
    let (child, mut rx) = fork((rx, tx), |mut tx: ShmSender| {
        let numbers: Vec<[u8; 8]> = (0..COUNT).map(u64::to_le_bytes).collect();
        for batch in numbers.chunks(1000) {
            let batch: Vec<&[u8]> = batch.iter().map(<[u8; 8]>::as_slice).collect();
            assert_eq!(tx.send_many(&batch, Wait::Forever).unwrap(), batch.len());
        }
    })
    .unwrap();
    let mut next = 0;
    while next < COUNT {
        rx.recv_many(777, Wait::Forever, &mut |msg| {
            assert_eq!(msg, next.to_le_bytes());
            next += 1;
        })
        .unwrap();
    }
    child.join().unwrap();
}

/// With several children, each meets the end of its own ring and no other.
fn three_children_meet_their_own_end() {
    let mut children = Vec::new();
    for _ in 0..3 {
        children.push(fork(ipc_shm::pair().unwrap(), echo).unwrap());
    }
    for (child, mut ours) in children {
        ours.send(b"still there?").unwrap();
        assert_eq!(ours.recv().unwrap(), b"still there?");
        drop(ours);
        child.join().unwrap();
    }
}

/// Taken apart in mid-stream and put together again, with messages in the ring.
fn parts_go_on_where_they_were() {
    let (mut tx, mut rx) = ShmOptions::new().capacity(1).channel().unwrap();
    let mut next = (0, 0);
    for round in 0..200 {
        for _ in 0..round % 7 {
            tx.send(&[next.0; 100]).unwrap();
            next.0 = next.0.wrapping_add(1);
        }
        for _ in 0..round % 7 {
            assert_eq!(rx.recv().unwrap(), [next.1; 100]);
            next.1 = next.1.wrapping_add(1);
        }
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
        let (fds, state) = (tx, rx).into_parts().unwrap();
        (tx, rx) = Inherit::from_parts(fds, &state).unwrap();
    }
    while tx.try_send(&[1; 100]).is_ok() {}
    let (fds, state) = tx.into_parts().unwrap();
    let mut tx = ShmSender::from_parts(fds, &state).unwrap();
    assert!(matches!(tx.try_send(&[1; 100]), Err(Error::WouldBlock)));
    drop(rx);
    assert!(matches!(tx.send(&[1; 100]), Err(Error::Disconnected)));
}

/// Sleepers are woken by a peer that was put together again meanwhile.
fn a_sleeper_is_woken_by_a_successor() {
    let pair = ShmOptions::new().spin(Spin::Never).pair().unwrap();
    let (child, mut ours) = fork(pair, echo).unwrap();
    for number in 0..50_u8 {
        std::thread::sleep(Duration::from_millis(2)); // the child sleeps
        ours.send(&[number]).unwrap();
        assert_eq!(ours.recv().unwrap(), [number]);
        let (fds, state) = ours.into_parts().unwrap();
        ours = ShmDuplex::from_parts(fds, &state).unwrap();
    }
    drop(ours);
    child.join().unwrap();
}

fn foreign_parts_are_refused() {
    let parts = || ipc_shm::channel().unwrap().0.into_parts().unwrap();
    let refuse = |fds: Vec<OwnedFd>, state: &[u8]| {
        let error = ShmSender::from_parts(fds, state).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    };
    let (mut fds, state) = parts();
    fds.pop();
    refuse(fds, &state);
    for len in 0..state.len() {
        refuse(parts().0, &state[..len]);
    }
    let (mut fds, state) = parts();
    fds.swap(0, 1); // the memory of the two sides
    refuse(fds, &state);
    let (mut fds, state) = parts();
    fds.swap(0, 2); // memory and doorbell
    refuse(fds, &state);
    let (mut fds, state) = parts();
    fds.swap(2, 3); // bell and ear
    refuse(fds, &state);
    for (word, value) in [
        (0, 1),
        (1, 12_345),
        (1, u64::MAX),
        (2, 9),
        (3, 4),
        (3, u64::MAX - 7),
        (4, 2),
    ] {
        let (fds, mut state) = parts();
        state[word * 8..][..8].copy_from_slice(&value.to_le_bytes());
        refuse(fds, &state);
    }
    // A receiver's control memory cannot be a sender's data.
    let (fds, state) = ipc_shm::channel().unwrap().1.into_parts().unwrap();
    refuse(fds, &state);
}

/// Each side's memory is read-only to the other.
fn the_peers_memory_cannot_be_written() {
    let (tx, rx) = ipc_shm::channel().unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let ours: Vec<&str> = maps
        .lines()
        .filter(|line| line.contains("/memfd:ipc-shm"))
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    // Data twice for either side, control once.
    assert_eq!(ours.iter().filter(|access| **access == "rw-s").count(), 3);
    assert_eq!(ours.iter().filter(|access| **access == "r--s").count(), 3);
    drop((tx, rx));
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("ipc-shm"), "{maps}");
}

fn a_half_has_four_private_descriptors() {
    let open = || -> BTreeSet<String> {
        let entries = fs::read_dir("/proc/self/fd").unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: Vec<String> = names.collect();
        // The one that listed them is closed by now.
        names
            .into_iter()
            .filter(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok())
            .collect()
    };
    let before = open();
    let (tx, rx) = ipc_shm::channel().unwrap();
    let (mut sender, mut receiver) = (0, 0);
    tx.fds(&mut |_| sender += 1);
    rx.fds(&mut |_| receiver += 1);
    assert_eq!((sender, receiver), (4, 4));
    assert_eq!(open().difference(&before).count(), 8);
    for fd in open().difference(&before) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(format!("/proc/self/fd/{fd}"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    drop((tx, rx));
    assert_eq!(open(), before);
}

/// The halves of an endpoint, each in a process of its own.
fn halves_part() {
    let (a, b) = ipc_shm::pair().unwrap();
    let (tx, rx): (ShmSender, ShmReceiver) = b.split();
    let (to_sink, mut from_source) = a.split();
    let (source, ()) = fork(((), tx), |mut tx: ShmSender| tx.send(b"from the source")).unwrap();
    let (sink, to_sink) = fork((to_sink, rx), |mut rx: ShmReceiver| {
        assert_eq!(rx.recv().unwrap(), b"to the sink");
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    })
    .unwrap();
    assert_eq!(from_source.recv().unwrap(), b"from the source");
    assert!(matches!(from_source.recv(), Err(Error::Disconnected)));
    let mut end = Duplex::new(to_sink, from_source);
    end.send(b"to the sink").unwrap();
    drop(end);
    source.join().unwrap();
    sink.join().unwrap();
}

ipc_core::cases! {
    a_child_echoes,
    a_batch_crosses_in_order,
    three_children_meet_their_own_end,
    parts_go_on_where_they_were,
    a_sleeper_is_woken_by_a_successor,
    foreign_parts_are_refused,
    the_peers_memory_cannot_be_written,
    a_half_has_four_private_descriptors,
    halves_part,
}
