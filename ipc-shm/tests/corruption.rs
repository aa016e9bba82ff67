//! Shared memory that holds what no peer writes: `Malformed`, and for good.

use std::fs::File;
use std::os::unix::fs::FileExt;

use ipc_shm::{Error, Inherit, Receiver, Sender, ShmOptions};

/// The data and the control memory of a half.
fn memory(half: &impl Inherit) -> [File; 2] {
    let mut files = Vec::new();
    half.fds(&mut |fd| files.push(File::from(fd.try_clone_to_owned().unwrap())));
    files.truncate(2);
    files.try_into().unwrap()
}

fn page() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.unwrap().unwrap().try_into().unwrap()
}

fn expect_malformed<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::Malformed { object, .. }) => assert!(object.starts_with("shared-memory ring")),
        other => panic!("expected Malformed, got {other:?}"),
    }
}

fn a_wrong_header_poisons_the_receiver() {
    for header in [1, 5, 1 << 62, u64::MAX, (1 << 63) + 2033] {
        let (mut tx, mut rx) = ShmOptions::new().capacity(1).channel().unwrap();
        let [data, _] = memory(&tx);
        tx.send(b"first").unwrap();
        tx.send(b"second").unwrap();
        assert_eq!(rx.recv().unwrap(), b"first");
        let mut before = [0; 8];
        data.read_exact_at(&mut before, page() + 16).unwrap();
        data.write_all_at(&header.to_le_bytes(), page() + 16)
            .unwrap();
        expect_malformed(rx.recv());
        assert_eq!(rx.message(), b"");
        // That it was put right again does not make it right.
        data.write_all_at(&before, page() + 16).unwrap();
        expect_malformed(rx.recv());
        expect_malformed(rx.try_recv());
        expect_malformed(rx.recv_many(3, ipc_shm::Wait::Forever, &mut |_| ()));
    }
}

fn a_wrong_index_poisons_the_sender() {
    // Backwards, past what was sent, and where no record ends.
    for head in [0, 8, 4096 + 8, u64::MAX, 17] {
        let (mut tx, mut rx) = ShmOptions::new().capacity(1).channel().unwrap();
        let [_, control] = memory(&tx);
        while tx.try_send(b"8 bytes.").is_ok() {}
        rx.recv().unwrap();
        rx.recv().unwrap();
        tx.try_send(b"8 bytes.").unwrap(); // it has seen 16
        control.write_all_at(&head.to_le_bytes(), 0).unwrap();
        expect_malformed(tx.try_send(b"8 bytes."));
        control.write_all_at(&32_u64.to_le_bytes(), 0).unwrap();
        expect_malformed(tx.try_send(b"8 bytes."));
        expect_malformed(tx.send(b"8 bytes."));
        expect_malformed(tx.send_many(&[b"8 bytes."], ipc_shm::Wait::Forever));
    }
}

/// Words that ask for wake-ups can only ring the bell.
fn a_wrong_asking_is_harmless() {
    let (mut tx, mut rx) = ShmOptions::new().capacity(1).channel().unwrap();
    let [data, control] = memory(&tx);
    for (number, word) in (0..=u64::MAX).step_by(usize::MAX / 1000).enumerate() {
        data.write_all_at(&word.to_le_bytes(), 0).unwrap();
        control.write_all_at(&word.to_le_bytes(), 128).unwrap();
        tx.send(&number.to_le_bytes()).unwrap();
        assert_eq!(rx.recv().unwrap(), number.to_le_bytes());
        assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    }
}

ipc_core::cases! {
    a_wrong_header_poisons_the_receiver,
    a_wrong_index_poisons_the_sender,
    a_wrong_asking_is_harmless,
}
