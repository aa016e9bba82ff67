//! What a fork and an exec do to a process's registration for membarrier(2), and that halves see to
//! it. That no wake-up is lost, registered or refused, is the subject of `tests/wakeup.rs`.
//!
//! Seen to fail: without the registration of new halves, and without that of halves from parts.

mod support;

use std::env;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use ipc_process::fork;
use ipc_shm::{Inherit, Receiver, Sender, ShmDuplex, ShmOptions, Spin};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use support::{inherited, is_registered, refuse_membarrier};

fn in_a_child(f: impl FnOnce()) {
    let (child, ()) = fork(((), ()), |()| f()).unwrap();
    child.join().unwrap();
}

fn a_half_registers_its_process() {
    in_a_child(|| {
        assert!(!is_registered());
        drop(ipc_shm::channel().unwrap());
        assert!(is_registered());
    });
    assert!(!is_registered());
}

fn a_fork_keeps_the_registration() {
    let ends = ipc_shm::channel().unwrap();
    in_a_child(|| assert!(is_registered()));
    drop(ends);
    in_a_child(|| assert!(is_registered()));
}

/// Where the program behind an exec finds its end.
const PARTS: &str = "IPC_SHM_TEST_PARTS";

fn an_exec_forgets_it_and_parts_bring_it_back() {
    if let Ok(parts) = env::var(PARTS) {
        assert!(!is_registered());
        let end = read(&parts);
        assert!(is_registered());
        return echo(end);
    }
    let ends = ShmOptions::new().spin(Spin::Never).pair().unwrap();
    let (child, mut end) = fork(ends, |end| -> () {
        let error = Command::new(env::current_exe().unwrap())
            .env(
                "IPC_TEST_CASE",
                "an_exec_forgets_it_and_parts_bring_it_back",
            )
            .env(PARTS, write(end))
            .exec();
        panic!("{error}");
    })
    .unwrap();
    for number in 0..10_000_u32 {
        end.send(&number.to_le_bytes()).unwrap();
        assert_eq!(end.recv().unwrap(), number.to_le_bytes());
    }
    drop(end);
    child.join().unwrap();
}

fn a_refusal_harms_nobody() {
    refuse_membarrier();
    let ends = ShmOptions::new().spin(Spin::Never).pair().unwrap();
    let (child, mut end) = fork(ends, echo).unwrap();
    for number in 0..10_000_u32 {
        end.send(&number.to_le_bytes()).unwrap();
        assert_eq!(end.recv().unwrap(), number.to_le_bytes());
    }
    drop(end);
    child.join().unwrap();
    assert!(!is_registered());
}

fn echo(mut end: ShmDuplex) {
    let (tx, rx) = end.halves();
    while let Ok(message) = rx.recv() {
        tx.send(message).unwrap();
    }
}

/// The end's parts as text, its descriptors left open for the next program.
fn write(end: ShmDuplex) -> String {
    let (fds, state) = end.into_parts().unwrap();
    let numbers: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    for fd in fds {
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        std::mem::forget(fd);
    }
    format!("{numbers:?}{state:?}").replace(['[', ','], "")
}

fn read(parts: &str) -> ShmDuplex {
    let (fds, state) = parts.split_once(']').unwrap();
    let fds = fds
        .split_whitespace()
        .map(|fd| inherited(fd.parse().unwrap()));
    let state = state
        .trim_end_matches(']')
        .split_whitespace()
        .map(|byte| byte.parse().unwrap());
    ShmDuplex::from_parts(fds.collect(), &state.collect::<Vec<u8>>()).unwrap()
}

ipc_core::cases! {
    a_half_registers_its_process,
    a_fork_keeps_the_registration,
    an_exec_forgets_it_and_parts_bring_it_back,
    a_refusal_harms_nobody,
}
