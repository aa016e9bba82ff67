//! Into the background; pid files and log files.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipc_pipe::{End, Receiver, Sender};
use ipc_process::{DaemonOptions, Error, LogFile, PidFile, ProcessOptions, fork};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getppid, getsid};

const LONG: Duration = Duration::from_secs(20);

/// Starts a daemon that does as it is told: `f` runs in it.
fn daemon(options: &DaemonOptions, f: impl FnOnce(ipc_process::Daemon, End)) -> End {
    let (starter, end) = fork(ipc_pipe::pair().unwrap(), |end| {
        match options.daemonize() {
            Ok(daemon) => f(daemon, end),
            Err(error) => {
                eprintln!("{error}");
                process::exit(5);
            }
        }
        ExitCode::from(9) // the daemon's, and no longer the starter's
    })
    .unwrap();
    starter.join().unwrap();
    end
}

fn text(message: &[u8]) -> String {
    String::from_utf8(message.to_vec()).unwrap()
}

/// The test's process is heir to daemons.
fn reap() {
    while waitpid(None, None).is_ok() {}
}

fn a_daemon_has_a_session_and_no_terminal() {
    let mut end = daemon(&DaemonOptions::new(), |_daemon, mut end| {
        let link = |number| fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        let (pid, session) = (Pid::this(), getsid(None).unwrap());
        assert_ne!(pid, session); // it leads none
        let streams = [0, 1, 2].map(link);
        let directory = std::env::current_dir().unwrap();
        let report = format!("{session} {} {streams:?}", directory.display());
        end.send(report.as_bytes()).unwrap();
        end.recv().unwrap();
    });
    let report = text(end.recv().unwrap());
    let (session, rest) = report.split_once(' ').unwrap();
    assert_ne!(session, getsid(None).unwrap().to_string());
    assert_eq!(rest, r#"/ ["/dev/null", "/dev/null", "/dev/null"]"#);
    end.send(b"end").unwrap();
    reap();
}

fn there_is_one_daemon_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    let options = DaemonOptions::new().pid_file(&path);
    let mut end = daemon(&options, |daemon, mut end| {
        assert!(daemon.pid_file().is_some());
        end.send(process::id().to_string().as_bytes()).unwrap();
        end.recv().unwrap();
    });
    let pid = text(end.recv().unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
    let error = options.daemonize().unwrap_err();
    assert!(matches!(error, Error::Held { pid: Some(held), .. } if held.to_string() == pid));
    assert!(
        error.to_string().contains(&format!("by process {pid}")),
        "{error}"
    );
    end.send(b"end").unwrap();
    assert!(end.recv().is_err());
    reap();
    assert!(!path.exists());
}

fn a_lock_ends_with_its_process_and_not_with_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    let (holder, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        let mut held = Some(PidFile::lock(&path).unwrap());
        // One child that outlives it, and one that drops it.
        let (child, ()) = fork(((), ()), |()| thread::sleep(LONG * 2)).unwrap();
        child.detach();
        let (child, ()) = fork(((), ()), |()| drop(held.take())).unwrap();
        child.join().unwrap();
        assert!(matches!(PidFile::lock(&path), Err(Error::Held { .. })));
        end.send(b"held").unwrap();
        end.recv().unwrap();
    })
    .unwrap();
    assert_eq!(end.recv().unwrap(), b"held");
    assert!(
        matches!(PidFile::lock(&path), Err(Error::Held { pid: Some(pid), .. }) if pid == holder.pid())
    );
    drop(holder); // by SIGKILL: the file stays, the lock does not
    assert!(path.exists());
    let again = PidFile::lock(&path).unwrap();
    assert_eq!(
        fs::read_to_string(again.path()).unwrap(),
        format!("{}\n", process::id())
    );
    // The child that slept is ours now.
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(1))
            == Some(&process::id().to_string())
        {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
    }
    reap();
}

fn of_many_that_lock_one_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    let inside = directory.path().join("inside");
    let children: Vec<_> = (0..8)
        .map(|_| {
            fork(((), ()), |()| {
                let mut rounds = 0;
                while rounds < 300 {
                    let Ok(held) = PidFile::lock(&path) else {
                        thread::yield_now();
                        continue;
                    };
                    fs::create_dir(&inside).expect("two hold it");
                    fs::remove_dir(&inside).unwrap();
                    drop(held);
                    rounds += 1;
                }
            })
            .unwrap()
            .0
        })
        .collect();
    for child in children {
        child.join().unwrap();
    }
    assert!(!path.exists());
}

fn only_a_plain_file_of_ones_own_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name| directory.path().join(name);
    symlink(at("elsewhere"), at("link")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    for name in ["link", "fifo", "no/such/directory"] {
        let error = PidFile::lock(at(name)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(!at("elsewhere").exists());
    for bits in [0o000, 0o022, 0o777] {
        umask(Mode::from_bits_truncate(bits));
        let held = PidFile::lock(at("pid")).unwrap();
        assert_eq!(fs::metadata(held.path()).unwrap().mode() & 0o777, 0o600);
    }
}

fn somebody_elses_file_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    let held = PidFile::lock(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let other = PidFile::lock(&path).unwrap();
    drop(held);
    assert!(path.exists());
    drop(other);
}

fn a_log_is_reopened() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
    fs::write(&path, "old\n").unwrap();
    let options = DaemonOptions::new().log_file(&path);
    let mut end = daemon(&options, |daemon, mut end| {
        println!("first");
        end.send(b"written").unwrap();
        end.recv().unwrap();
        eprintln!("second");
        daemon.reopen_log().unwrap();
        eprintln!("third");
        let (child, ()) = fork(((), ()), |()| println!("a child")).unwrap();
        child.join().unwrap();
        println!("fourth");
    });
    assert_eq!(end.recv().unwrap(), b"written");
    fs::rename(&path, &moved).unwrap();
    end.send(b"moved").unwrap();
    end.recv().unwrap_err();
    reap();
    assert_eq!(fs::read_to_string(&moved).unwrap(), "old\nfirst\nsecond\n");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "third\na child\nfourth\n"
    );
}

fn a_log_that_cannot_be_opened_leaves_all_as_it_was() {
    let gone = Path::new("/no/such/directory/log");
    let options = ProcessOptions::new().redirect();
    let (child, ()) = options
        .fork(((), ()), |()| {
            let error = LogFile::open(gone).unwrap_err();
            println!("{error}");
            let error = DaemonOptions::new().log_file(gone).daemonize().unwrap_err();
            println!("{error}");
        })
        .unwrap();
    let said = text(&child.communicate(b"").unwrap().stdout);
    assert_eq!(
        said.matches("open on log file /no/such/directory/log")
            .count(),
        2,
        "{said}"
    );
}

fn the_starter_ends_when_the_daemon_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    for _ in 0..20 {
        let mut end = daemon(&DaemonOptions::new().pid_file(&path), |_daemon, mut end| {
            end.recv().unwrap();
        });
        let pid: i32 = fs::read_to_string(&path).unwrap().trim().parse().unwrap();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        assert_ne!(Pid::from_raw(pid), getppid());
        end.send(b"end").unwrap();
        end.recv().unwrap_err();
        reap();
    }
}

fn a_daemon_that_cannot_be_is_told_to_the_starter() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pid");
    let (child, ()) = fork(((), ()), |()| {
        // Enough for the open file, and not for what is written into it.
        use nix::sys::resource::{Resource, setrlimit};
        let ignored = nix::sys::signal::SigSet::from(Signal::SIGXFSZ);
        ignored.thread_block().unwrap();
        setrlimit(Resource::RLIMIT_FSIZE, 0, 0).unwrap();
        let error = DaemonOptions::new()
            .pid_file(&path)
            .daemonize()
            .unwrap_err();
        assert!(error.to_string().contains("write on pid file"), "{error}");
        PidFile::lock(&path).unwrap_err(); // for the same reason: nobody holds it
    })
    .unwrap();
    child.join().unwrap();
    reap();
}

fn a_program_with_threads_is_refused() {
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    let error = DaemonOptions::new().daemonize().unwrap_err();
    assert!(matches!(error, Error::Threaded { .. }), "{error}");
    drop(stop);
    thread.join().unwrap().unwrap_err();
}

ipc_core::cases! {
    a_daemon_has_a_session_and_no_terminal,
    there_is_one_daemon_at_a_time,
    a_lock_ends_with_its_process_and_not_with_its_children,
    of_many_that_lock_one_holds,
    only_a_plain_file_of_ones_own_is_locked,
    somebody_elses_file_is_not_removed,
    a_log_is_reopened,
    a_log_that_cannot_be_opened_leaves_all_as_it_was,
    the_starter_ends_when_the_daemon_is_there,
    a_daemon_that_cannot_be_is_told_to_the_starter,
    a_program_with_threads_is_refused,
}
