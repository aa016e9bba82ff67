//! Children that are sent a signal when their parent ends.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/root.rs"]
mod root;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use ipc_pipe::{Raw, Receiver, Sender};
use ipc_process::{Child, ProcessOptions, fork, set_parent_death};
use nix::sys::wait::waitpid;
use nix::unistd::getppid;
use root::root_only;

const LONG: Duration = Duration::from_secs(20);

/// Children of a parent that is killed: idle, spawned, stopped while it computes. Each holds `tell`,
/// and lives for ever.
fn orphans(options: &ProcessOptions, tell: &Raw) -> Vec<Child> {
    use std::os::fd::AsFd;
    let hold = |raw: &Raw| raw.as_fd().try_clone_to_owned().unwrap();
    let mut children = Vec::new();
    let raw = Raw::new(hold(tell));
    children.push(options.fork(((), raw), forever).unwrap().0);
    let raw = Raw::new(hold(tell));
    children.push(options.spawn(((), raw), forever).unwrap().0);
    let raw = Raw::new(hold(tell));
    let mut computing = options
        .fork(((), raw), |_raw| {
            loop {
                std::hint::spin_loop();
            }
        })
        .unwrap()
        .0;
    computing.stop().unwrap();
    children.push(computing);
    children
}

fn forever(_raw: Raw) {
    thread::sleep(Duration::from_secs(1000));
}

fn children_die_with_their_parent() {
    let (mut told, tell) = ipc_pipe::raw();
    let options = ProcessOptions::new().parent_death(libc::SIGKILL);
    let (manager, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        let children = orphans(&options, &Raw::new(tell.try_clone().unwrap()));
        end.send(b"ready").unwrap();
        end.recv().unwrap();
        drop(children);
    })
    .unwrap();
    drop(tell);
    assert_eq!(end.recv().unwrap(), b"ready");
    manager.kill().unwrap();
    // The last of them closes the pipe; a hang is a failure with a name.
    assert_eq!(told.read(&mut [0]).unwrap(), 0);
    reap_orphans();
}

/// The test's process is heir to the children of its children.
fn reap_orphans() {
    while waitpid(None, None).is_ok() {}
}

fn a_signal_of_ones_choice_comes_after_a_change_of_user() {
    root_only();
    let (manager, mut end) = fork(ipc_pipe::pair().unwrap(), |end| {
        let options = ProcessOptions::new()
            .parent_death(libc::SIGTERM)
            .user("nobody");
        let (child, ()) = options
            .fork(((), end), |mut end| {
                end.send(&getppid().as_raw().to_ne_bytes()).unwrap();
                forever(Raw::new(nix::unistd::dup(std::io::stdin()).unwrap()));
            })
            .unwrap();
        child.detach();
        thread::sleep(LONG);
    })
    .unwrap();
    assert_eq!(end.recv().unwrap(), manager.pid().to_ne_bytes());
    manager.kill().unwrap();
    let gone = end.recv_timeout(LONG).map(<[u8]>::to_vec);
    assert!(
        matches!(gone, Err(ipc_core::Error::Disconnected)),
        "{gone:?}"
    );
    manager.join().unwrap_err();
    reap_orphans();
}

/// Managers that are killed while they fork.
fn no_orphan_is_left_by_a_kill_in_mid_fork() {
    let (mut told, tell) = ipc_pipe::raw();
    for round in 0..60 {
        let tell = tell.try_clone().unwrap();
        let (manager, mut end) = fork(ipc_pipe::pair().unwrap(), move |mut end| {
            let options = ProcessOptions::new().parent_death(libc::SIGKILL);
            end.send(b"forking").unwrap();
            loop {
                let raw = Raw::new(tell.try_clone().unwrap());
                options.fork(((), raw), forever).unwrap().0.detach();
                (&tell).write_all(b".").unwrap();
            }
        })
        .unwrap();
        end.recv().unwrap();
        thread::sleep(Duration::from_micros(round * 37));
        drop(manager); // kills it
    }
    drop(tell);
    let mut forks = Vec::new();
    told.read_to_end(&mut forks).unwrap(); // for ever, if one is left
    assert!(forks.len() > 60, "only {} forks", forks.len());
    reap_orphans();
}

fn a_parent_that_has_gone_is_noticed() {
    let first = fork(((), ()), |()| ()).unwrap().0;
    let gone = first.pid();
    first.join().unwrap();
    let (mut orphan, ()) = fork(((), ()), |()| {
        set_parent_death(libc::SIGKILL, std::os::unix::process::parent_id()).unwrap();
        set_parent_death(9999, gone).unwrap_err();
        set_parent_death(libc::SIGKILL, gone).unwrap();
    })
    .unwrap();
    assert_eq!(orphan.wait().unwrap().signal(), Some(libc::SIGKILL));
}

ipc_core::cases! {
    first {
        ipc_process::entries! { forever }
    }
    children_die_with_their_parent,
    a_signal_of_ones_choice_comes_after_a_change_of_user,
    no_orphan_is_left_by_a_kill_in_mid_fork,
    a_parent_that_has_gone_is_noticed,
}
