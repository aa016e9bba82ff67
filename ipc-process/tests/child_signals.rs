//! Signalling a child, stopping it, letting it go on.

#[path = "support/children.rs"]
mod children;
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;

use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use children::{ends_with, idle, nobody_is_left, stat_of};
use ipc_pipe::{Receiver, Sender};
use ipc_process::fork;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn signals_are_told_apart() {
    for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGRTMIN() + 1] {
        let mut child = idle();
        child.signal(signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
    }
}

fn a_dead_child_is_signalled_in_vain() {
    let mut child = ends_with(0);
    while !matches!(stat_of(&child), Some('Z')) {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap(); // a zombie
    assert_eq!(child.wait().unwrap().code(), Some(0));
    child.kill().unwrap(); // nobody
    child.signal(libc::SIGTERM).unwrap();
}

fn what_is_no_signal_is_refused() {
    let error = idle().signal(9999).unwrap_err();
    assert!(
        error.to_string().contains("pidfd_send_signal on child"),
        "{error}"
    );
}

fn a_stopped_child_is_running() {
    let mut child = idle();
    child.signal(libc::SIGSTOP).unwrap();
    while !matches!(stat_of(&child), Some('T')) {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(child.wait_timeout(Duration::from_millis(20)).unwrap(), None);
    drop(child); // SIGKILL ends it all the same
    assert!(nobody_is_left());
}

fn stop_returns_when_it_stands_still() {
    let mut child = idle();
    for _ in 0..100 {
        child.stop().unwrap();
        assert_eq!(stat_of(&child), Some('T'));
        child.stop().unwrap(); // again
        assert_eq!(child.try_wait().unwrap(), None);
        child.resume().unwrap();
        while stat_of(&child) == Some('T') {
            thread::yield_now();
        }
        child.resume().unwrap();
    }
    child.stop().unwrap();
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    child.stop().unwrap(); // it has ended
}

fn stop_holds_against_somebody_who_resumes() {
    for _ in 0..20 {
        let mut child = idle();
        let pid = Pid::from_raw(child.pid().try_into().unwrap());
        let (other, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
            end.send(b"begun").unwrap();
            (0..20_000).for_each(|_| kill(pid, Signal::SIGCONT).unwrap());
        })
        .unwrap();
        end.recv().unwrap();
        child.stop().unwrap();
        other.join().unwrap();
    }
}

fn a_dead_child_is_stopped_in_vain() {
    let mut child = ends_with(3);
    while stat_of(&child) != Some('Z') {
        thread::sleep(Duration::from_millis(1));
    }
    child.stop().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

ipc_core::cases! {
    signals_are_told_apart,
    a_dead_child_is_signalled_in_vain,
    what_is_no_signal_is_refused,
    a_stopped_child_is_running,
    stop_returns_when_it_stands_still,
    stop_holds_against_somebody_who_resumes,
    a_dead_child_is_stopped_in_vain,
}
