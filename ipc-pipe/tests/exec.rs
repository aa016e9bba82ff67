//! Ends that go to, or come from, programs that know nothing of this library.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use ipc_pipe::{Error, PipeOptions, PipeReceiver, PipeSender, Receiver, Sender, Wait};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::{Uid, setuid};

fn is_nonblocking(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).unwrap();
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

fn is_cloexec(fd: impl AsFd) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFD).unwrap();
    FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC)
}

/// `cat` knows no frames, and carries them all the same.
fn frames_pass_through_a_program() {
    let (mut tx, stdin) = ipc_pipe::channel().unwrap();
    let (stdout, mut rx) = ipc_pipe::channel().unwrap();
    let mut cat = Command::new("cat")
        .stdin(stdin.into_blocking().unwrap())
        .stdout(stdout.into_blocking().unwrap())
        .spawn()
        .unwrap();
    let sender = std::thread::spawn(move || {
        for len in [0, 1, 4092, 4093, 1 << 20] {
            tx.send(&vec![b'x'; len]).unwrap();
        }
        tx.close(Wait::Forever).unwrap();
    });
    for len in [0, 1, 4092, 4093, 1 << 20] {
        assert_eq!(rx.recv().unwrap(), vec![b'x'; len]);
    }
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    sender.join().unwrap();
    assert!(cat.wait().unwrap().success());
}

fn raw_bytes_come_from_a_program() {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    let mut echo = Command::new("echo")
        .arg("hello")
        .stdout(tx.into_blocking().unwrap())
        .spawn()
        .unwrap();
    let mut raw = String::new();
    let mut file = File::from(rx.into_blocking().unwrap());
    file.read_to_string(&mut raw).unwrap();
    assert_eq!(raw, "hello\n");
    echo.wait().unwrap();
}

/// More than a pipe holds, which `tr` is given while it writes.
fn raw_bytes_go_to_a_program_and_come_back() {
    let (ours, stdin) = ipc_pipe::channel().unwrap();
    let (stdout, theirs) = ipc_pipe::channel().unwrap();
    let mut upper = Command::new("tr")
        .args(["a-z", "A-Z"])
        .stdin(stdin.into_blocking().unwrap())
        .stdout(stdout.into_blocking().unwrap())
        .spawn()
        .unwrap();
    let mut input = File::from(ours.into_blocking().unwrap());
    let writer = std::thread::spawn(move || input.write_all(&vec![b'x'; 1 << 20]).unwrap());
    let mut output = Vec::new();
    let mut file = File::from(theirs.into_blocking().unwrap());
    file.read_to_end(&mut output).unwrap();
    assert!(output == vec![b'X'; 1 << 20]);
    writer.join().unwrap();
    assert!(upper.wait().unwrap().success());
}

/// The standard library's pipes to a child, with frames on them.
fn a_childs_streams_become_ends() {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = OwnedFd::from(cat.stdin.take().unwrap());
    let mut tx = PipeSender::try_from(stdin).unwrap();
    let stdout = OwnedFd::from(cat.stdout.take().unwrap());
    let mut rx = PipeReceiver::try_from(stdout).unwrap();
    tx.send(b"hello").unwrap();
    assert_eq!(rx.recv().unwrap(), b"hello");
    drop(tx);
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    assert!(cat.wait().unwrap().success());
}

/// With the option, for a pipe that several of a shell's commands write to.
fn an_adopted_end_has_options() {
    let (_tx, rx) = ipc_pipe::channel().unwrap();
    let (tx, _rx) = ipc_pipe::channel().unwrap();
    let options = PipeOptions::new().many_writers().max_len(10).capacity(4096);
    let tx = options.sender(tx.into_blocking().unwrap()).unwrap();
    assert_eq!(tx.try_clone().unwrap().max_len(), 10);
    assert_eq!(tx.capacity().unwrap(), 4096);
    let rx = options.receiver(rx.into_blocking().unwrap()).unwrap();
    assert_eq!(rx.max_len(), 10);
}

fn each_has_a_description_of_its_own() {
    let (tx, rx) = PipeOptions::new().many_writers().channel().unwrap();
    let company = tx.try_clone().unwrap();
    let given = tx.into_blocking().unwrap();
    assert!(!is_nonblocking(&given));
    assert!(is_nonblocking(&company), "others are left as they were");
    assert!(is_cloexec(&given) && is_cloexec(&company));
    let adopted = PipeSender::try_from(given.try_clone().unwrap()).unwrap();
    assert!(is_nonblocking(&adopted));
    assert!(!is_nonblocking(&given), "a stranger's is left as it was");
    let given = rx.into_blocking().unwrap();
    let adopted = PipeReceiver::try_from(given.try_clone().unwrap()).unwrap();
    assert!(is_nonblocking(&adopted) && is_cloexec(&adopted));
    assert!(!is_nonblocking(&given) && is_cloexec(&given));
}

fn what_is_no_end_of_that_direction_is_refused() {
    let (tx, rx) = ipc_pipe::channel().unwrap();
    let refused = |error: Error| {
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        error.to_string()
    };
    let told = refused(PipeReceiver::try_from(tx.into_blocking().unwrap()).unwrap_err());
    assert!(told.contains("no end of a pipe to Read"), "{told}");
    refused(PipeSender::try_from(rx.into_blocking().unwrap()).unwrap_err());
    let null = || OwnedFd::from(File::options().write(true).open("/dev/null").unwrap());
    refused(PipeSender::try_from(null()).unwrap_err());
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    refused(PipeReceiver::try_from(OwnedFd::from(socket)).unwrap_err());
}

fn nothing_is_lost_on_the_way() {
    let (mut tx, mut rx) = ipc_pipe::channel().unwrap();
    tx.send_many(&[b"one", b"two"], Wait::Never).unwrap();
    assert_eq!(rx.recv().unwrap(), b"one"); // and reads ahead
    let told = rx.into_blocking().unwrap_err().to_string();
    assert!(told.contains("receive it before"), "{told}");
    let (mut tx, _rx) = ipc_pipe::channel().unwrap();
    tx.try_send(&vec![3; 1 << 20]).unwrap();
    let told = tx.into_blocking().unwrap_err().to_string();
    assert!(told.contains("flush before"), "{told}");
    // What is in the kernel stays there.
    let (mut tx, rx) = ipc_pipe::channel().unwrap();
    tx.send(b"one").unwrap();
    let mut raw = File::from(tx.into_blocking().unwrap());
    raw.write_all(b"\0\0\0\x03two").unwrap();
    drop(raw);
    let mut rx = PipeReceiver::try_from(rx.into_blocking().unwrap()).unwrap();
    assert_eq!(rx.recv().unwrap(), b"one");
    assert_eq!(rx.recv().unwrap(), b"two");
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
}

fn another_users_pipe_is_refused() {
    if !Uid::effective().is_root() {
        ipc_core::conformance::skip("only root can become another user");
    }
    let (tx, rx) = ipc_pipe::channel().unwrap();
    let stranger = rx.as_fd().try_clone_to_owned().unwrap();
    setuid(Uid::from_raw(65534)).unwrap();
    for refused in [
        tx.into_blocking().map(drop),
        PipeReceiver::try_from(stranger).map(drop),
    ] {
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("another user made it"), "{told}");
    }
}

ipc_core::cases! {
    frames_pass_through_a_program,
    raw_bytes_come_from_a_program,
    raw_bytes_go_to_a_program_and_come_back,
    a_childs_streams_become_ends,
    an_adopted_end_has_options,
    each_has_a_description_of_its_own,
    what_is_no_end_of_that_direction_is_refused,
    nothing_is_lost_on_the_way,
    another_users_pipe_is_refused,
}
