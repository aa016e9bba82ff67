//! Peers that do not trust each other: what one cannot do to the other.
//!
//! Seen to fail: without the seals (`nobody_else_writes_sealed_memory`, `nobody_resizes_memory`),
//! without the copy (`a_message_in_hand_stays_as_it_is`), without giving space back behind it
//! (`a_message_in_hand_takes_no_room`), without the bound on draining a doorbell
//! (`a_peer_that_only_rings_is_not_listened_to_for_ever`; how often a half looks again is bounded,
//! too, which a flood from one process does not show), with rings read in a call that may block
//! (`a_ring_that_is_taken_back_is_not_waited_for`).

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::thread;
use std::time::Duration;

use ipc_process::fork;
use ipc_shm::{Error, Inherit, Receiver, Sender, ShmOptions, ShmReceiver, ShmSender, Spin, Wait};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn untrusted() -> ShmOptions {
    ShmOptions::new().capacity(1).untrusted()
}

/// The descriptors of a half: data, control, bell, ear.
fn files(half: &impl Inherit) -> [File; 4] {
    let mut files = Vec::new();
    half.fds(&mut |fd| files.push(File::from(fd.try_clone_to_owned().unwrap())));
    files.try_into().unwrap()
}

fn page() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.unwrap().unwrap().try_into().unwrap()
}

/// Writes the memory that this half writes, as its owner could at any time: through its mapping.
fn scribble(memory: &File, offset: u64, bytes: &[u8]) {
    let inode = memory.metadata().unwrap().ino().to_string();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mine = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1] == "rw-s" && fields[2] == "00000000" && fields[4] == inode
    };
    let line = maps.lines().find(mine).expect("it is mapped writable");
    let start = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    let own = OpenOptions::new().write(true).open("/proc/self/mem");
    own.unwrap().write_all_at(bytes, start + offset).unwrap();
}

#[allow(unsafe_code)]
fn maps_writable(file: &File) -> nix::Result<()> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let len = 1.try_into().unwrap();
    // SAFETY: the kernel chooses the place, and nobody uses what is there.
    unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, file.as_fd(), 0) }.map(drop)
}

fn a_child_echoes() {
    for spin in [Spin::Adaptive, Spin::Never] {
        let pair = untrusted().spin(spin).pair().unwrap();
        let (child, mut ours) = fork(pair, |mut end: ipc_shm::ShmDuplex| {
            let (tx, rx) = end.halves();
            while rx.recv_wait(Wait::Forever).is_ok() {
                tx.send(rx.message()).unwrap();
            }
        })
        .unwrap();
        for number in 0..20_000_usize {
            let msg = vec![number.to_le_bytes()[0]; number % 2000];
            ours.send(&msg).unwrap();
            assert!(ours.recv().unwrap() == msg);
        }
        let batch: Vec<Vec<u8>> = (0..20).map(|len| vec![7; len * 50]).collect();
        let parts: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        for _ in 0..100 {
            let (mut sent, mut echoed) = (0, 0);
            while echoed < parts.len() {
                sent += ours.send_many(&parts[sent..], Wait::Never).unwrap_or(0);
                let check = &mut |msg: &[u8]| {
                    assert_eq!(msg, parts[echoed]);
                    echoed += 1;
                };
                ours.recv_many(3, Wait::Forever, check).unwrap();
            }
        }
        drop(ours);
        child.join().unwrap();
    }
}

/// Else a peer could take memory away from under the other, which is then killed by SIGBUS.
fn nobody_resizes_memory() {
    for options in [untrusted(), ShmOptions::new().capacity(1)] {
        let (tx, rx) = options.channel().unwrap();
        for half in [files(&tx), files(&rx)] {
            for memory in &half[..2] {
                let len = memory.metadata().unwrap().len();
                for other in [0, len - page(), len + page()] {
                    let refused = memory.set_len(other).unwrap_err();
                    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
                }
            }
        }
    }
}

fn nobody_else_writes_sealed_memory() {
    let (mut tx, mut rx) = untrusted().channel().unwrap();
    for half in [files(&tx), files(&rx)] {
        for mut memory in half.into_iter().take(2) {
            let again = format!("/proc/self/fd/{}", memory.as_raw_fd());
            let again = OpenOptions::new().read(true).write(true).open(again);
            for file in [&memory, &again.unwrap()] {
                let refused = maps_writable(file).unwrap_err();
                assert_eq!(refused, nix::Error::EPERM);
            }
            assert_eq!(
                memory.write(b"x").unwrap_err().kind(),
                ErrorKind::PermissionDenied
            );
        }
    }
    tx.send(b"by its own").unwrap();
    assert_eq!(rx.recv().unwrap(), b"by its own");
    // A trusted ring's memory can be mapped anew: a half may cross an exec.
    let (tx, _) = ShmOptions::new().capacity(1).channel().unwrap();
    maps_writable(&files(&tx)[0]).unwrap();
}

/// What is mapped read-only cannot be made writable either.
fn read_only_stays_read_only() {
    let (tx, rx) = untrusted().channel().unwrap();
    for (half, memory) in [(files(&tx), 1), (files(&rx), 0)] {
        let inode = half[memory].metadata().unwrap().ino().to_string();
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut flags = None;
        for line in smaps.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(1) == Some(&"r--s") && fields.get(4) == Some(&&*inode) {
                flags = Some(());
            } else if line.starts_with("VmFlags:") && flags.take().is_some() {
                // mw: VM_MAYWRITE.  proc_pid_smaps(5)
                assert!(!fields.contains(&"mw"), "{line}");
            }
        }
    }
}

fn a_message_in_hand_stays_as_it_is() {
    for (options, stays) in [(untrusted(), true), (ShmOptions::new().capacity(1), false)] {
        let (mut tx, mut rx) = options.channel().unwrap();
        let [data, ..] = files(&tx);
        tx.send(b"what was sent").unwrap();
        let message = rx.recv().unwrap();
        scribble(&data, page() + 8, b"something new");
        assert_eq!(message == b"what was sent", stays, "{message:?}");
    }
}

fn a_message_in_hand_takes_no_room() {
    let (mut tx, mut rx) = untrusted().channel().unwrap();
    let longest = vec![1; tx.max_len()];
    tx.try_send(&longest).unwrap();
    tx.try_send(&longest).unwrap();
    assert!(matches!(tx.try_send(&longest), Err(Error::WouldBlock)));
    let message = rx.recv().unwrap();
    tx.try_send(&vec![2; message.len()]).unwrap();
    assert!(message == longest);
}

fn there_are_no_loans() {
    let (mut tx, mut rx) = untrusted().channel().unwrap();
    let error = tx.loan(4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let text = error.to_string();
    assert!(text.starts_with("loan on shared-memory ring"), "{text}");
    assert!(text.contains("use send"), "{text}");
    tx.send(b"so").unwrap();
    assert_eq!(rx.recv().unwrap(), b"so");
}

fn there_are_no_parts() {
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("ShmOptions::connect"), "{text}");
    };
    let (tx, rx) = untrusted().channel().unwrap();
    refused(tx.into_parts().unwrap_err());
    refused(rx.into_parts().unwrap_err());
}

/// However fast it rings: a look is a look, and a deadline is one.
fn a_peer_that_only_rings_is_not_listened_to_for_ever() {
    let flood = |half: [File; 4]| {
        let [_, _, mut bell, _] = half;
        // The description is the half's own, and does not block.
        let rings = vec![1; 64 << 10];
        loop {
            let _ = bell.write(&rings);
        }
    };
    let soon = || Wait::from(Duration::from_millis(20));
    let (tx, rx) = untrusted().channel().unwrap();
    let (flooder, mut rx) = fork((rx, tx), move |tx: ShmSender| flood(files(&tx))).unwrap();
    for _ in 0..1000 {
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }
    assert!(matches!(rx.recv_wait(soon()), Err(Error::TimedOut)));
    end(flooder);

    let (mut tx, rx) = untrusted().channel().unwrap();
    while tx.try_send(&[0; 100]).is_ok() {}
    let (flooder, mut tx) = fork((tx, rx), move |rx: ShmReceiver| flood(files(&rx))).unwrap();
    for _ in 0..1000 {
        assert!(matches!(tx.try_send(&[0; 100]), Err(Error::WouldBlock)));
    }
    assert!(matches!(
        tx.send_wait(&[0; 100], soon()),
        Err(Error::TimedOut)
    ));
    end(flooder);
}

/// A peer can open its bell for reading, and take a ring back that was polled for already: what reads
/// it must not be a call that blocks, though one that waited for ever has come before.
fn a_ring_that_is_taken_back_is_not_waited_for() {
    let (mut tx, mut rx) = untrusted().spin(Spin::Never).channel().unwrap();
    let [_, _, mut bell, _] = files(&tx);
    let [.., ear] = files(&rx); // the same description
    let is_blocking = || {
        let flags = OFlag::from_bits_retain(fcntl(&ear, FcntlArg::F_GETFL).unwrap());
        !flags.contains(OFlag::O_NONBLOCK)
    };
    for wait in [Wait::Never, Wait::from(Duration::from_millis(1))] {
        let receiver = thread::spawn(move || rx.recv_wait(Wait::Forever).map(|()| rx));
        while !is_blocking() {
            thread::yield_now();
        }
        tx.send(b"").unwrap();
        rx = receiver.join().unwrap().unwrap();
        bell.write_all(&[1]).unwrap();
        let nothing = rx.recv_wait(wait).unwrap_err();
        assert!(matches!(nothing, Error::WouldBlock | Error::TimedOut));
        assert!(!is_blocking());
    }
}

fn end(child: ipc_process::Child) {
    kill(
        Pid::from_raw(child.pid().try_into().unwrap()),
        Signal::SIGKILL,
    )
    .unwrap();
    assert!(child.join().is_err());
}

ipc_core::cases! {
    a_child_echoes,
    nobody_resizes_memory,
    nobody_else_writes_sealed_memory,
    read_only_stays_read_only,
    a_message_in_hand_stays_as_it_is,
    a_message_in_hand_takes_no_room,
    there_are_no_loans,
    there_are_no_parts,
    a_peer_that_only_rings_is_not_listened_to_for_ever,
    a_ring_that_is_taken_back_is_not_waited_for,
}
