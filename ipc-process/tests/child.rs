//! Waiting for a child, ending it, leaving it alone.

#[path = "support/children.rs"]
mod children;
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/root.rs"]
mod root;
#[path = "support/sys.rs"]
mod sys;

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use children::{LONG, ends_with, idle, nobody_is_left, stat_of};
use ipc_core::{Select, Wait};
use ipc_pipe::{Receiver, Sender};
use ipc_process::{Child, Error, ProcessOptions, fork, try_wait_any, wait_any, wait_any_timeout};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, setresuid};
use root::root_only;

fn the_status_is_remembered() {
    let mut child = ends_with(7);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(child.wait().unwrap(), status);
    assert_eq!(child.try_wait().unwrap(), Some(status));
    assert_eq!(child.wait_timeout(Duration::ZERO).unwrap(), Some(status));
    child.join().unwrap_err();
}

fn join_says_how_it_failed() {
    ends_with(0).join().unwrap();
    let failed = |child: Child| {
        let pid = child.pid();
        let error = child.join().unwrap_err();
        assert!(matches!(error, Error::Failed { pid: its, .. } if its == pid));
        error.to_string().replace(&pid.to_string(), "N")
    };
    assert_eq!(failed(ends_with(7)), "child N failed with exit status: 7");
    let panicked = fork(((), ()), |()| assert_eq!(1, 2)).unwrap().0;
    assert!(failed(panicked).contains("panicked"));
    let killed = idle();
    killed.kill().unwrap();
    assert_eq!(failed(killed), "child N failed with signal: 9 (SIGKILL)");
}

fn try_wait_does_not_wait() {
    let (mut child, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        end.recv().unwrap();
        ExitCode::from(3)
    })
    .unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    end.send(b"go").unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    assert_eq!(status.code(), Some(3));
}

fn a_deadline_holds_in_a_storm_of_signals() {
    let mut child = idle();
    sys::start_storm();
    let (start, timeout) = (Instant::now(), Duration::from_millis(300));
    assert_eq!(child.wait_timeout(timeout).unwrap(), None);
    assert!(start.elapsed() >= timeout);
    assert!(sys::alarms() > 0, "that was no storm");
}

fn wait_goes_on_in_a_storm_of_signals() {
    let mut child = fork(((), ()), |()| {
        thread::sleep(Duration::from_millis(300));
        ExitCode::from(5)
    })
    .unwrap()
    .0;
    sys::start_storm();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(sys::alarms() > 0, "that was no storm");
}

fn wait_timeout_ends_with_the_child() {
    let mut child = ends_with(4);
    let status = child.wait_timeout(Duration::MAX).unwrap();
    assert_eq!(status.unwrap().code(), Some(4));
}

fn any_of_several_is_waited_for() {
    let mut children: Vec<_> = (0..5).map(|_| idle()).collect();
    assert_eq!(try_wait_any(&mut children).unwrap(), None);
    let short = Duration::from_millis(20);
    assert_eq!(wait_any_timeout(&mut children, short).unwrap(), None);
    for place in [3, 0, 4] {
        children[place].signal(libc::SIGTERM).unwrap();
        let (ended, status) = wait_any(&mut children).unwrap().unwrap();
        assert_eq!((ended, status.signal()), (place, Some(libc::SIGTERM)));
    }
    for child in &children {
        child.kill().unwrap();
    }
    let mut left = Vec::new();
    while let Some((place, status)) = wait_any_timeout(&mut children, LONG).unwrap() {
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        left.push(place);
    }
    left.sort_unstable();
    assert_eq!(left, [1, 2]);
    assert_eq!(wait_any(&mut children).unwrap(), None);
    assert_eq!(wait_any([]).unwrap(), None);
    assert!(nobody_is_left());
}

fn any_is_waited_for_in_a_storm_of_signals() {
    let mut children = [idle(), idle()];
    sys::start_storm();
    let timeout = Duration::from_millis(200);
    let start = Instant::now();
    assert_eq!(wait_any_timeout(&mut children, timeout).unwrap(), None);
    assert!(start.elapsed() >= timeout && sys::alarms() > 0);
}

#[expect(clippy::zombie_processes)] // our `Child` waits for it
fn a_child_made_otherwise_is_adopted() {
    let mut command = std::process::Command::new("sh");
    let made = command.args(["-c", "exit 6"]).spawn().unwrap();
    let mut child = Child::adopt(made.id()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6));
    // Not a child any more, not a child, no process, no number.
    for pid in [child.pid(), 1, 0, u32::MAX] {
        let error = Child::adopt(pid).unwrap_err();
        assert!(matches!(error, Error::Unknown { .. }), "{pid}: {error}");
    }
}

fn drop_kills_and_reaps() {
    drop(idle());
    assert!(nobody_is_left());
    drop(ends_with(0));
    assert!(nobody_is_left());
}

fn drop_does_not_wait_for_one_that_it_may_not_kill() {
    root_only();
    let (root, other) = (Uid::from_raw(0), Uid::from_raw(4321));
    let number = |child: &Child| Pid::from_raw(child.pid().try_into().unwrap());
    let mut sleep = Command::new("sleep");
    sleep.arg("30");
    let options = ProcessOptions::new().user("nobody");
    let mut start = || options.run(((), ()), &mut sleep).unwrap().0;
    let (running, dead) = (start(), start());
    let (lives_on, zombie) = (number(&running), number(&dead));
    dead.kill().unwrap();
    while stat_of(&dead) != Some('Z') {
        thread::sleep(Duration::from_millis(1));
    }
    setresuid(other, other, root).unwrap();
    for child in [running, dead] {
        let error = child.kill().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        drop(child);
    }
    setresuid(root, root, root).unwrap();
    let look = |pid| waitpid(pid, Some(WaitPidFlag::WNOHANG));
    assert_eq!(look(zombie), Err(Errno::ECHILD));
    assert_eq!(look(lives_on), Ok(WaitStatus::StillAlive));
    kill(lives_on, Signal::SIGKILL).unwrap();
    waitpid(lives_on, None).unwrap();
}

fn drop_in_another_process_does_nothing() {
    let mut slot = Some(idle());
    let (other, ()) = fork(((), ()), |()| drop(slot.take())).unwrap();
    other.join().unwrap();
    let mut child = slot.take().unwrap();
    assert_eq!(child.wait_timeout(Duration::from_millis(50)).unwrap(), None);
}

fn another_process_cannot_wait() {
    let mut child = idle();
    let (other, ()) = fork(((), ()), |()| {
        assert!(matches!(child.wait(), Err(Error::Unknown { .. })));
        child.kill().unwrap();
    })
    .unwrap();
    other.join().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
}

fn a_detached_child_lives_on() {
    let (child, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        end.send(end.max_len().to_string().as_bytes()).unwrap();
        end.recv().unwrap();
        ExitCode::from(9)
    })
    .unwrap();
    let pid = Pid::from_raw(child.pid().try_into().unwrap());
    child.detach();
    end.recv().unwrap();
    end.send(b"end").unwrap();
    assert_eq!(waitpid(pid, None), Ok(WaitStatus::Exited(pid, 9)));
}

fn a_status_that_somebody_took_is_unknown() {
    let mut child = ends_with(7);
    let pid = Pid::from_raw(child.pid().try_into().unwrap());
    waitpid(pid, None).unwrap();
    for _ in 0..2 {
        assert!(matches!(child.wait(), Err(Error::Unknown { .. })));
        assert!(matches!(child.try_wait(), Err(Error::Unknown { .. })));
        assert!(matches!(
            child.wait_timeout(LONG),
            Err(Error::Unknown { .. })
        ));
    }
    child.kill().unwrap();
}

fn with_sigchld_ignored_the_status_is_unknown() {
    sys::ignore_sigchld();
    for round in 0..200 {
        let mut child = ends_with(0);
        let error = match round % 3 {
            0 => child.wait().unwrap_err(),
            1 => child.wait_timeout(LONG).unwrap_err(),
            _ => child.join().unwrap_err(),
        };
        assert!(matches!(error, Error::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("SIGCHLD"), "{error}");
    }
    drop(idle());
    assert!(nobody_is_left());
}

fn a_child_and_a_channel_are_waited_for_together() {
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    let (mut child, mut end) = fork((ipc_pipe::pair().unwrap().0, (tx, ())), |(mut tx, ())| {
        tx.send(b"news").unwrap();
        thread::sleep(LONG);
    })
    .unwrap();
    let _ = end.sender();
    let mut select = Select::new();
    let limit = Wait::from(LONG);
    assert_eq!(select.wait(&mut [&mut child, &mut rx], limit).unwrap(), 1);
    assert_eq!(rx.try_recv().unwrap(), b"news");
    child.kill().unwrap();
    assert_eq!(select.wait(&mut [&mut child], limit).unwrap(), 0);
    child.wait().unwrap();
    // For ever, even after it has been reaped.
    assert_eq!(select.wait(&mut [&mut child], limit).unwrap(), 0);
}

ipc_core::cases! {
    the_status_is_remembered,
    join_says_how_it_failed,
    try_wait_does_not_wait,
    a_deadline_holds_in_a_storm_of_signals,
    wait_goes_on_in_a_storm_of_signals,
    wait_timeout_ends_with_the_child,
    any_of_several_is_waited_for,
    any_is_waited_for_in_a_storm_of_signals,
    a_child_made_otherwise_is_adopted,
    drop_kills_and_reaps,
    drop_does_not_wait_for_one_that_it_may_not_kill,
    drop_in_another_process_does_nothing,
    another_process_cannot_wait,
    a_detached_child_lives_on,
    a_status_that_somebody_took_is_unknown,
    with_sigchld_ignored_the_status_is_unknown,
    a_child_and_a_channel_are_waited_for_together,
}
