//! Nothing leaks: a queue is 0600 under any umask, and what goes with it is close-on-exec. The files of long
//! messages are told of in `spill_trust.rs`.

use ipc_core::conformance::{descriptors, expect_close_on_exec};
use ipc_msgqueue::{Key, Kind, Queue, QueueOptions, Receiver, Selection, Sender, Wait};
use nix::sys::stat::{Mode, umask};

fn bridges_close_on_exec() {
    let before = descriptors();
    let (tx, rx) = ipc_msgqueue::channel().unwrap();
    assert_eq!(expect_close_on_exec(&before), 0);
    let (mut tx, mut rx) = (tx.bridge().unwrap(), rx.bridge().unwrap());
    tx.send(b"across").unwrap();
    tx.flush(Wait::Forever).unwrap();
    assert_eq!(rx.recv().unwrap(), b"across");
    assert!(expect_close_on_exec(&before) >= 2);
    drop((tx, rx));
}

fn every_queue_is_0600_under_any_umask() {
    for mask in [0, 0o022, 0o777] {
        umask(Mode::from_bits_truncate(mask));
        let queue = Queue::create(Key::PRIVATE).unwrap();
        assert_eq!(queue.stat().unwrap().mode, 0o600);
        let key = Key::new(i32::try_from(std::process::id()).unwrap());
        let queue = QueueOptions::new().create(key).unwrap();
        assert_eq!(queue.stat().unwrap().mode, 0o600);
        queue.sender(Kind::of::<1>()).unwrap().send(b"own").unwrap();
        assert_eq!(
            queue.receiver(Selection::Any).unwrap().recv().unwrap(),
            b"own"
        );
    }
}

ipc_core::cases! {
    bridges_close_on_exec,
    every_queue_is_0600_under_any_umask,
}
