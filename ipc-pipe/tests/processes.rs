//! Ends in other processes: across a fork, in parts, and closed by an exec.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;

use ipc_pipe::{
    Error, Inherit, PipeDuplex, PipeReceiver, PipeSender, Receiver, Result, Sender, Wait,
};
use ipc_process::fork;

const LARGE: usize = 1 << 20;

fn an_echo_in_a_child() {
    let (child, mut pipe) = fork(ipc_pipe::pair().unwrap(), |mut pipe| -> Result<()> {
        let (tx, rx) = pipe.halves();
        loop {
            match rx.recv() {
                Ok(message) => tx.send(message)?,
                Err(Error::Disconnected) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    })
    .unwrap();
    for len in [0, 1, 4092, 4093, 65_536, LARGE] {
        let message = vec![b'x'; len];
        pipe.send(&message).unwrap();
        assert_eq!(pipe.recv().unwrap(), message);
    }
    drop(pipe);
    child.join().unwrap();
}

fn a_simplex_to_a_child() {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    let (child, mut tx) = fork((tx, rx), |mut rx: PipeReceiver| {
        assert_eq!(rx.recv().unwrap(), b"hello");
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    })
    .unwrap();
    tx.send(b"hello").unwrap();
    tx.close(Wait::Forever).unwrap();
    child.join().unwrap();
}

fn an_exec_closes_every_end() {
    let open = || Command::new("ls").arg("/proc/self/fd").output().unwrap();
    let before = open().stdout;
    let _ends = (ipc_pipe::channel().unwrap(), ipc_pipe::pair().unwrap());
    assert_eq!(open().stdout, before);
}

fn parts_carry_what_was_read_and_what_was_not_sent() {
    let (mut tx, mut rx) = ipc_pipe::channel().unwrap();
    tx.send_many(&[b"one", b"two"], Wait::Never).unwrap();
    assert_eq!(rx.recv().unwrap(), b"one"); // and reads ahead
    tx.try_send(&vec![3; LARGE]).unwrap();
    assert!(tx.pending().is_some());
    let ((tx_fds, tx_state), (rx_fds, rx_state)) =
        (tx.into_parts().unwrap(), rx.into_parts().unwrap());
    let mut tx = PipeSender::from_parts(tx_fds, &tx_state).unwrap();
    let mut rx = PipeReceiver::from_parts(rx_fds, &rx_state).unwrap();
    assert_eq!(rx.recv().unwrap(), b"two");
    loop {
        let _ = tx.flush(Wait::Never);
        match rx.try_recv() {
            Err(Error::WouldBlock) => {}
            received => break assert_eq!(received.unwrap(), vec![3; LARGE]),
        }
    }
    drop(tx);
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

fn foreign_parts_are_refused() {
    fn refused<T: Inherit + std::fmt::Debug>(fds: Vec<OwnedFd>, state: &[u8]) -> String {
        let error = T::from_parts(fds, state).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        error.to_string()
    }
    let parts = || {
        let (tx, rx) = ipc_pipe::channel().unwrap();
        let ((mut tx, state), (mut rx, _)) = (tx.into_parts().unwrap(), rx.into_parts().unwrap());
        (tx.remove(0), rx.remove(0), state)
    };
    let (tx, rx, state) = parts();
    assert!(refused::<PipeSender>(vec![rx], &state).contains("no end of a pipe to Write"));
    assert!(refused::<PipeReceiver>(vec![tx], &state).contains("no end of a pipe to Read"));
    let file: OwnedFd = File::open("/dev/null").unwrap().into();
    assert!(refused::<PipeReceiver>(vec![file], &state).contains("no end of a pipe"));
    let (tx, rx, mut state) = parts();
    assert!(refused::<PipeSender>(vec![tx, rx], &state).contains("2 descriptors"));
    assert!(refused::<PipeSender>(vec![], &state).contains("0 descriptors"));
    state.push(0);
    refused::<PipeSender>(vec![parts().0], &state);
    refused::<PipeDuplex>(vec![], b"");
}

ipc_core::cases! {
    an_echo_in_a_child,
    a_simplex_to_a_child,
    an_exec_closes_every_end,
    parts_carry_what_was_read_and_what_was_not_sent,
    foreign_parts_are_refused,
}
