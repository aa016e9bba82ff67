//! Where the standard streams were closed, so that whatever is opened next has their numbers.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process;

use ipc_pipe::{Receiver, Sender};
use ipc_process::{DaemonOptions, Error, LogFile, PidFile, ProcessOptions, fork};
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::close;

/// What the standard streams of this process are open on.
fn streams() -> [PathBuf; 3] {
    [0, 1, 2].map(|number| fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default())
}

fn a_forked_child_has_pipes() {
    for number in 0..3 {
        close(number).unwrap();
        let (child, ()) = ProcessOptions::new()
            .nice(1)
            .redirect()
            .fork(((), ()), |()| {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).unwrap();
                print!("{text}, said {number}");
                eprint!("{text}, cried {number}");
            })
            .unwrap();
        let output = child.communicate(b"hello").unwrap();
        assert!(output.status.success(), "{}", output.status);
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let wanted = ["said", "cried"].map(|verb| format!("hello, {verb} {number}"));
        assert_eq!(texts, wanted);
    }
}

fn a_log_file_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for closed in [&[1][..], &[2], &[1, 2], &[0, 1, 2]] {
        let (child, ()) = fork(((), ()), |()| {
            for &number in closed {
                close(number).unwrap();
            }
            let log = LogFile::open(&path).unwrap();
            println!("one");
            eprintln!("two");
            log.reopen().unwrap();
            println!("three");
        })
        .unwrap();
        child.join().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
        fs::remove_file(&path).unwrap();
    }
}

fn a_daemon_has_what_it_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, log) = (directory.path().join("pid"), directory.path().join("log"));
    let options = DaemonOptions::new().pid_file(&pid).log_file(&log);
    let (starter, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        (0..3).for_each(|number| close(number).unwrap());
        let _daemon = options.daemonize().unwrap();
        end.send(format!("{} {:?}", process::id(), streams()).as_bytes())
            .unwrap();
        end.recv().unwrap_err();
    })
    .unwrap();
    starter.join().unwrap();
    let report = String::from_utf8(end.recv().unwrap().to_vec()).unwrap();
    let (number, streams) = report.split_once(' ').unwrap();
    assert_eq!(
        streams,
        format!("{:?}", ["/dev/null".as_ref(), &*log, &*log])
    );
    let error = PidFile::lock(&pid).unwrap_err();
    assert!(matches!(error, Error::Held { pid: Some(held), .. } if held.to_string() == number));
    drop(end);
    while waitpid(None, None) != Err(Errno::ECHILD) {}
    assert!(!pid.exists());
}

ipc_core::cases! {
    a_forked_child_has_pipes,
    a_log_file_stays,
    a_daemon_has_what_it_asked_for,
}
