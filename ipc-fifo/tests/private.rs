//! Nothing leaks: every descriptor of every kind of end is close-on-exec. That a FIFO is 0600 under any
//! umask is told in `names.rs`.

use ipc_core::conformance::{descriptors, expect_close_on_exec};
use ipc_fifo::{
    Fifo, FifoOptions, FifoReceiver, FifoSender, Inherit, Receiver, Sender, Wait, channel, pair,
};

fn every_end_is_close_on_exec() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let before = descriptors();
    let (mut tx, rx) = channel().unwrap();
    tx.send(b"here").unwrap();
    let ends = pair().unwrap();
    assert_eq!(expect_close_on_exec(&before), 2 + 4);

    let fifo = Fifo::create(path("named")).unwrap();
    let mut named = fifo.receiver().unwrap();
    let mut sender = FifoSender::open(path("named"), Wait::Never).unwrap();
    sender.send(b"there").unwrap();
    assert_eq!(named.recv().unwrap(), b"there");
    drop(sender);
    named.reconnect().unwrap();
    let options = FifoOptions::new().control();
    let control = options.create(path("control")).unwrap();
    let manager = control.receiver().unwrap();
    let client = options.open_sender(path("control"), Wait::Never).unwrap();
    let another = client.try_clone().unwrap();
    // Of each named FIFO its directory is held, too.
    let named_ones = expect_close_on_exec(&before) - (2 + 4);
    assert!((4..=9).contains(&named_ones), "{named_ones}");

    let (fds, state) = tx.into_parts().unwrap();
    let tx = FifoSender::from_parts(fds, &state).unwrap();
    let (fds, state) = rx.into_parts().unwrap();
    let mut rx = FifoReceiver::from_parts(fds, &state).unwrap();
    assert_eq!(rx.recv().unwrap(), b"here");
    assert_eq!(expect_close_on_exec(&before), 2 + 4 + named_ones);
    drop((tx, rx, ends, named, manager, client, another, fifo, control));
    assert_eq!(expect_close_on_exec(&before), 0);
}

ipc_core::cases! { every_end_is_close_on_exec }
