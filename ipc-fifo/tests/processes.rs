//! Ends in other processes: across a fork, in parts, and in programs that know the path alone.
//!
//! The program is this one: started with `ROLE` in its environment it plays that part.

use std::env;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::Duration;

use ipc_fifo::{
    Channel, Duplex, Error, Fifo, FifoReceiver, FifoSender, Inherit, Receiver, Result, Sender, Wait,
};
use ipc_process::fork;
use tempfile::TempDir;

const ROLE: &str = "IPC_FIFO_ROLE";
const FIFO: &str = "IPC_FIFO_PATH";
const LARGE: usize = 1 << 20;
const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// What the other program does.
fn play(role: &str) {
    let path = PathBuf::from(env::var_os(FIFO).unwrap());
    let greeting = path.display().to_string();
    match role {
        "sender" => {
            let mut tx = FifoSender::open(&path, LONG.into()).unwrap();
            tx.send(greeting.as_bytes()).unwrap();
        }
        "receiver" => {
            let mut rx = FifoReceiver::open(&path).unwrap();
            assert_eq!(rx.recv_timeout(LONG).unwrap(), greeting.as_bytes());
            assert!(matches!(rx.recv_timeout(LONG), Err(Error::Disconnected)));
        }
        "both" => {
            let rx = FifoReceiver::open(path.with_extension("there")).unwrap();
            let tx = FifoSender::open(path.with_extension("back"), LONG.into()).unwrap();
            cross(Duplex::new(tx, rx));
        }
        "maker" => {
            let fifo = Fifo::create(&path).unwrap();
            let mut tx = fifo.sender(LONG.into()).unwrap();
            tx.send(b"here").unwrap();
            loop {
                thread::park(); // until it is killed
            }
        }
        "private" => drop((ipc_fifo::channel().unwrap(), ipc_fifo::pair().unwrap())),
        _ => panic!("no such role: {role}"),
    }
}

/// A large message each way, sent by both before either receives.
fn cross(mut end: impl Channel) {
    end.send(&vec![1; LARGE]).unwrap();
    assert_eq!(end.recv_timeout(LONG).unwrap(), vec![1; LARGE]);
    end.flush(LONG.into()).unwrap();
}

fn command(role: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(ROLE, role).env(FIFO, path);
    command
}

fn start(role: &str, path: &Path) -> Child {
    command(role, path).spawn().unwrap()
}

fn join(mut program: Child) {
    assert!(program.wait().unwrap().success());
}

fn named() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    (directory, path)
}

fn an_unrelated_sender_comes_first() {
    let (_directory, path) = named();
    let fifo = Fifo::create(&path).unwrap();
    let program = start("sender", &path);
    thread::sleep(SOON);
    let mut rx = fifo.receiver().unwrap();
    assert_eq!(rx.recv().unwrap(), path.to_str().unwrap().as_bytes());
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    join(program);
}

fn an_unrelated_sender_comes_second() {
    let (_directory, path) = named();
    let mut rx = Fifo::create(&path).unwrap().receiver().unwrap();
    let late = {
        let path = path.clone();
        thread::spawn(move || {
            thread::sleep(SOON);
            join(start("sender", &path));
        })
    };
    assert_eq!(rx.recv().unwrap(), path.to_str().unwrap().as_bytes());
    late.join().unwrap();
}

fn an_unrelated_receiver_comes_first_or_second() {
    for pause in [SOON, Duration::ZERO] {
        let (_directory, path) = named();
        let fifo = Fifo::create(&path).unwrap();
        let program = start("receiver", &path);
        thread::sleep(pause);
        let mut tx = fifo.sender(Wait::Forever).unwrap();
        tx.send(path.to_str().unwrap().as_bytes()).unwrap();
        drop(tx);
        join(program);
    }
}

fn unrelated_programs_have_an_endpoint_each() {
    let (directory, path) = named();
    let there = Fifo::create(path.with_extension("there")).unwrap();
    let back = Fifo::create(path.with_extension("back")).unwrap();
    let program = start("both", &path);
    let rx = back.receiver().unwrap();
    let tx = there.sender(LONG.into()).unwrap();
    cross(Duplex::new(tx, rx));
    join(program);
    drop((there, back));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn a_killed_maker_leaves_a_path_that_says_so() {
    let (_directory, path) = named();
    let mut program = start("maker", &path);
    let mut rx = loop {
        match FifoReceiver::open(&path) {
            Err(Error::Os { .. }) => thread::sleep(Duration::from_millis(1)), // not made yet
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(rx.recv_timeout(LONG).unwrap(), b"here");
    program.kill().unwrap();
    assert!(matches!(rx.recv_timeout(LONG), Err(Error::Disconnected)));
    assert_eq!(program.wait().unwrap().signal(), Some(9));
    let told = Fifo::create(&path).unwrap_err().to_string();
    assert!(told.contains("remove what a killed maker left"), "{told}");
}

fn a_private_fifo_leaves_nothing_in_any_directory() {
    let (directory, path) = named();
    let (runtime, temporary) = (directory.path().join("run"), directory.path().join("tmp"));
    let works = || {
        let mut command = command("private", &path);
        command
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("TMPDIR", &temporary);
        command.output().unwrap().status.success()
    };
    assert!(!works(), "it has other directories");
    fs::create_dir(&temporary).unwrap();
    assert!(works(), "without the first, as in many a container");
    fs::create_dir(&runtime).unwrap();
    fs::remove_dir(&temporary).unwrap(); // nothing was left there
    assert!(works());
    fs::remove_dir(&runtime).unwrap();
}

fn an_echo_in_a_child() {
    let (child, mut fifo) = fork(ipc_fifo::pair().unwrap(), |mut fifo| -> Result<()> {
        let (tx, rx) = fifo.halves();
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
        fifo.send(&message).unwrap();
        assert_eq!(fifo.recv().unwrap(), message);
    }
    drop(fifo);
    child.join().unwrap();
}

fn an_exec_closes_every_end() {
    let open = || Command::new("ls").arg("/proc/self/fd").output().unwrap();
    let before = open().stdout;
    let (_directory, path) = named();
    let fifo = Fifo::create(path).unwrap();
    let _named = (fifo.receiver().unwrap(), fifo.sender(Wait::Never).unwrap());
    let _private = (ipc_fifo::channel().unwrap(), ipc_fifo::pair().unwrap());
    assert_eq!(open().stdout, before);
}

fn parts_carry_the_name_and_what_was_read() {
    let (_directory, path) = named();
    let fifo = Fifo::create(&path).unwrap();
    let mut rx = fifo.receiver().unwrap();
    let mut tx = fifo.sender(Wait::Never).unwrap();
    tx.send_many(&[b"one", b"two"], Wait::Never).unwrap();
    assert_eq!(rx.recv().unwrap(), b"one"); // and reads ahead
    let (fds, state) = rx.into_parts().unwrap();
    let mut rx = FifoReceiver::from_parts(fds, &state).unwrap();
    assert_eq!(rx.recv().unwrap(), b"two");
    let (fds, state) = tx.into_parts().unwrap();
    let mut tx = FifoSender::from_parts(fds, &state).unwrap();
    tx.send(b"three").unwrap();
    assert_eq!(rx.recv().unwrap(), b"three");
    let name = format!("{rx:?}{tx:?}");
    assert_eq!(name.matches(path.to_str().unwrap()).count(), 2, "{name}");
}

fn foreign_parts_are_refused() {
    let parts = || {
        let (tx, _rx) = ipc_fifo::channel().unwrap();
        let (mut fds, state) = tx.into_parts().unwrap();
        (fds.remove(0), state)
    };
    let refused = |fds: Vec<OwnedFd>, state: &[u8]| {
        let error = FifoReceiver::from_parts(fds, state).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        error.to_string()
    };
    let (tx, mut state) = parts();
    assert!(refused(vec![tx], &state).contains("private FIFO: the descriptor handed over"));
    let file: OwnedFd = File::open("/dev/null").unwrap().into();
    refused(vec![file], &state);
    refused(vec![], &state);
    state.push(0);
    refused(vec![parts().0], &state);
    refused(vec![parts().0], b"");
}

ipc_core::cases! {
    first {
        if let Ok(role) = env::var(ROLE) {
            play(&role);
            return ExitCode::SUCCESS;
        }
    }
    an_unrelated_sender_comes_first,
    an_unrelated_sender_comes_second,
    an_unrelated_receiver_comes_first_or_second,
    unrelated_programs_have_an_endpoint_each,
    a_killed_maker_leaves_a_path_that_says_so,
    a_private_fifo_leaves_nothing_in_any_directory,
    an_echo_in_a_child,
    an_exec_closes_every_end,
    parts_carry_the_name_and_what_was_read,
    foreign_parts_are_refused,
}
