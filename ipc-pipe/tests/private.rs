//! Nothing leaks: every descriptor of every kind of end is close-on-exec.

use ipc_core::conformance::{descriptors, expect_close_on_exec};
use ipc_pipe::{Inherit, PipeOptions, PipeReceiver, PipeSender, Receiver, Sender, channel, pair};

fn every_end_is_close_on_exec() {
    let before = descriptors();
    let (mut tx, rx) = channel().unwrap();
    tx.send(b"here").unwrap();
    let ends = pair().unwrap();
    let many = PipeOptions::new().many_writers().channel().unwrap();
    let another = many.0.try_clone().unwrap();
    assert_eq!(expect_close_on_exec(&before), 2 + 4 + 3);

    let (fds, state) = tx.into_parts().unwrap();
    let tx = PipeSender::from_parts(fds, &state).unwrap();
    let (fds, state) = rx.into_parts().unwrap();
    let mut rx = PipeReceiver::from_parts(fds, &state).unwrap();
    assert_eq!(rx.recv().unwrap(), b"here");
    assert_eq!(expect_close_on_exec(&before), 2 + 4 + 3);

    // For a foreign program: whoever starts it passes them on.
    let blocking = (tx.into_blocking().unwrap(), rx.into_blocking().unwrap());
    let children = ipc_process::fork(((), ()), |()| std::thread::sleep(std::time::Duration::MAX));
    assert_eq!(expect_close_on_exec(&before), 2 + 4 + 3 + 1);
    drop((ends, many, another, blocking, children));
    assert_eq!(expect_close_on_exec(&before), 0);
}

ipc_core::cases! { every_end_is_close_on_exec }
