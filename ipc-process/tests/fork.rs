//! What a forked child has, does, and leaves alone.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipc_core::Inherit;
use ipc_pipe::{Raw, Receiver, Sender};
use ipc_process::{Error, fork};
use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::wait::waitpid;

const LONG: Duration = Duration::from_secs(100);

fn echo() {
    let (child, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        let (tx, rx) = end.halves();
        tx.send(rx.recv()?)
    })
    .unwrap();
    end.send(b"hello").unwrap();
    assert_eq!(end.recv().unwrap(), b"hello");
    child.join().unwrap();
}

fn several_ends_cross_at_once() {
    let (ours, theirs) = (0..3).map(|_| ipc_pipe::pair().unwrap()).unzip();
    let (child, ends): (_, Vec<_>) = fork((ours, theirs), |ends: Vec<ipc_pipe::End>| {
        for (number, mut end) in (0..).zip(ends) {
            end.send(&[number])?;
        }
        ipc_core::Result::Ok(())
    })
    .unwrap();
    for (number, mut end) in (0..).zip(ends) {
        assert_eq!(end.recv().unwrap(), [number]);
    }
    child.join().unwrap();
}

fn what_f_returns_is_the_exit_status() {
    assert_eq!(code(|| ()), Some(0));
    assert_eq!(code(|| ExitCode::from(7)), Some(7));
    assert_eq!(code(|| ExitCode::from(255)), Some(255));
    assert_eq!(code(|| Err::<(), _>("no")), Some(1));
    assert_eq!(code(|| Ok::<_, String>(ExitCode::from(3))), Some(3));
}

fn a_panic_is_status_101() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the payload's destructor");
        }
    }
    let (mut told, tell) = ipc_pipe::raw();
    let on_the_stack = Telltale(tell);
    assert_eq!(code(|| panic!("expected")), Some(101));
    assert_eq!(code(|| std::panic::panic_any(Bomb)), Some(101));
    drop(on_the_stack);
    let mut text = String::new();
    told.read_to_string(&mut text).unwrap();
    assert_eq!(text, "d", "it unwound into the parent's frames");
}

fn code<R: std::process::Termination>(f: impl FnOnce() -> R) -> Option<i32> {
    let (mut child, ()) = fork(((), ()), |()| f()).unwrap();
    child.wait().unwrap().code()
}

/// An end that tells when it is dropped.
struct Telltale(File);

impl Drop for Telltale {
    fn drop(&mut self) {
        self.0.write_all(b"d").unwrap();
    }
}

impl Inherit for Telltale {
    fn fds(&self, _: &mut dyn FnMut(BorrowedFd<'_>)) {}

    fn into_parts(self) -> ipc_core::Result<(Vec<OwnedFd>, Vec<u8>)> {
        unimplemented!("this end only crosses a fork")
    }

    fn from_parts(_: Vec<OwnedFd>, _: &[u8]) -> ipc_core::Result<Self> {
        unimplemented!("this end only crosses a fork")
    }
}

fn the_child_runs_nothing_of_the_parents() {
    let (mut told, tell) = ipc_pipe::raw();
    let telltale = || Telltale(tell.try_clone().unwrap());
    sys::at_exit_write_to(tell.try_clone().unwrap().into());
    let on_the_stack = telltale();
    let (child, ours) = fork((telltale(), ()), |()| ()).unwrap();
    child.join().unwrap();
    nix::fcntl::fcntl(
        told.as_fd(),
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    let mut bytes = [0; 8];
    let said = told.read(&mut bytes);
    assert!(said.is_err(), "the child said {said:?}: {bytes:?}");
    drop((on_the_stack, ours));
    assert_eq!(told.read(&mut bytes).unwrap(), 2);
}

fn what_was_printed_before_is_printed_once() {
    let mut output = File::from(memfd_create(c"output", MFdFlags::empty()).unwrap());
    nix::unistd::dup2_stdout(&output).unwrap();
    print!("rust ");
    sys::c_print(c"c ");
    let (child, ()) = fork(((), ()), |()| {
        print!("rust-child ");
        sys::c_print(c"c-child ");
    })
    .unwrap();
    child.join().unwrap();
    print!("rust-parent ");
    std::io::stdout().flush().unwrap();
    sys::c_flush();
    output.rewind().unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "rust c rust-child c-child rust-parent ");
}

fn a_threaded_process_is_refused() {
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::spawn(move || stopped.recv());
    let error = fork(((), ()), |()| ()).unwrap_err();
    assert!(matches!(error, Error::Threaded { threads: 2 }), "{error}");
    assert!(error.to_string().contains("spawn"), "{error}");
    assert_eq!(waitpid(None, None), Err(Errno::ECHILD));
    drop(stop);
    thread.join().unwrap().unwrap_err();
}

fn a_joined_thread_is_no_thread() {
    for _ in 0..50 {
        thread::spawn(sys::take_long_to_die).join().unwrap();
        fork(((), ()), |()| ()).unwrap().0.join().unwrap();
    }
}

fn after_an_error_nothing_has_run() {
    sys::take_pidfd_open_away();
    let (mut ran, run) = ipc_pipe::raw();
    let error = fork(((), ()), |()| (&run).write_all(b"x")).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Os {
                call: "pidfd_open",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(waitpid(None, None), Err(Errno::ECHILD));
    drop(run);
    assert_eq!(ran.read(&mut [0]).unwrap(), 0);
}

fn a_child_forks_in_its_turn() {
    let (child, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| {
        let (grandchild, mut inner) = fork(ipc_pipe::pair().unwrap(), |mut end| {
            let (tx, rx) = end.halves();
            tx.send(rx.recv().unwrap()).unwrap();
        })
        .unwrap();
        inner.send(end.recv().unwrap()).unwrap();
        end.send(inner.recv().unwrap()).unwrap();
        grandchild.join().unwrap();
    })
    .unwrap();
    end.send(b"down and up").unwrap();
    assert_eq!(end.recv().unwrap(), b"down and up");
    child.join().unwrap();
}

fn a_tail_is_sent_once() {
    let message: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    let (mut tx, mut rx) = ipc_pipe::channel().unwrap();
    tx.send_timeout(&message, Duration::from_millis(1)).unwrap();
    assert!(tx.pending().is_some(), "there is no tail");
    // What has arrived is taken in, so that there is room for whoever writes first.
    rx.recv_timeout(Duration::from_millis(1)).unwrap_err();
    let (child, ()) = fork(((), tx), |mut tx| {
        tx.flush(LONG.into())?;
        tx.send(b"next")
    })
    .unwrap();
    assert!(rx.recv().unwrap() == message, "the message is damaged");
    assert_eq!(rx.recv().unwrap(), b"next");
    rx.recv().unwrap_err();
    child.join().unwrap();
}

fn a_descriptor_that_is_shared_stays() {
    let (mut reader, writer) = ipc_pipe::raw();
    let (kept, ours) = (Raw::new(writer.try_clone().unwrap()), Raw::new(writer));
    let say = |end: &Raw, text: &[u8]| assert_eq!(nix::unistd::write(end, text), Ok(1));
    let theirs = (kept.clone(), ours.clone());
    let (child, ours) = fork((ours, theirs), |(one, two)| {
        say(&one, b"a");
        say(&two, b"b");
    })
    .unwrap();
    child.join().unwrap();
    say(&kept, b"c");
    say(&ours, b"d");
    drop((kept, ours));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "abcd");
}

fn no_descriptor_is_left() {
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    for _ in 0..500 {
        let (child, mut end) = fork(ipc_pipe::pair().unwrap(), |mut end| end.send(b"x")).unwrap();
        end.recv().unwrap();
        child.join().unwrap();
    }
    assert_eq!(count(), before);
}

fn the_child_has_its_own_end_only() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let (child, _end) = fork(ipc_pipe::pair().unwrap(), |end| {
        let mut own = 0;
        end.fds(&mut |_| own += 1);
        assert_eq!(descriptors(), before + own);
    })
    .unwrap();
    child.join().unwrap();
}

ipc_core::cases! {
    echo,
    several_ends_cross_at_once,
    what_f_returns_is_the_exit_status,
    a_panic_is_status_101,
    the_child_runs_nothing_of_the_parents,
    what_was_printed_before_is_printed_once,
    a_threaded_process_is_refused,
    a_joined_thread_is_no_thread,
    after_an_error_nothing_has_run,
    a_child_forks_in_its_turn,
    a_tail_is_sent_once,
    a_descriptor_that_is_shared_stays,
    no_descriptor_is_left,
    the_child_has_its_own_end_only,
}
