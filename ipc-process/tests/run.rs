//! Other programs: their descriptors, and ends for those that know them.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode, Stdio};

use ipc_core::Inherit;
use ipc_pipe::{End, Receiver, Sender};
use ipc_process::{CommandExt, Error, inherited, run};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};

fn text(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

fn another_program_takes_an_end() {
    let mut command = Command::new("/proc/self/exe");
    command.env("LOOK", "echo");
    let (child, mut end) = run(ipc_pipe::pair().unwrap(), &mut command).unwrap();
    end.send(b"hello").unwrap();
    assert_eq!(end.recv().unwrap(), b"hello");
    drop(end);
    child.join().unwrap();
}

fn an_end_of_another_type_is_refused() {
    let mut command = Command::new("/proc/self/exe");
    command.env("LOOK", "echo").stderr(Stdio::null());
    let (_tx, rx) = ipc_pipe::channel().unwrap();
    let (mut child, ()) = run(((), rx), &mut command).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

fn a_program_without_ends_is_told() {
    assert!(matches!(inherited::<End>(), Err(Error::Nothing)));
    let error = inherited::<End>().unwrap_err().to_string();
    assert!(error.contains("ipc_process::run"), "{error}");
}

fn a_command_runs_again_without_what_was_handed_over() {
    let mut command = Command::new("/proc/self/exe");
    command.env("LOOK", "echo").stderr(Stdio::null());
    let (child, end) = run(ipc_pipe::pair().unwrap(), &mut command).unwrap();
    drop(end);
    child.join().unwrap();
    assert_eq!(command.status().unwrap().code(), Some(4));
    let (child, end) = run(ipc_pipe::pair().unwrap(), &mut command).unwrap();
    drop(end);
    child.join().unwrap();
}

fn a_program_further_down_finds_nothing() {
    let mut script = Command::new("sh");
    let own = std::env::current_exe().unwrap();
    script.args(["-c", "LOOK=echo \"$0\"; exit $?"]).arg(own);
    let (mut child, end) = run(ipc_pipe::pair().unwrap(), &mut script).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    drop(end);
}

fn what_is_no_program_is_an_error() {
    let error = run(((), ()), &mut Command::new("/no/such/program")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert_eq!(waitpid(None, None), Err(Errno::ECHILD));
}

fn a_program_that_nobody_would_know_is_ended() {
    sys::take_pidfd_open_away();
    let error = run(((), ()), Command::new("sleep").arg("100")).unwrap_err();
    assert!(error.to_string().contains("pidfd_open"), "{error}");
    assert_eq!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Err(Errno::ECHILD)
    );
}

fn descriptors_are_found_under_their_numbers() {
    let pipes = [(); 3].map(|()| ipc_pipe::raw());
    let [(mut a, to_a), (mut b, to_b), (mut c, to_c)] = pipes;
    let mut command = Command::new("sh");
    command.args(["-c", "echo a >&3; echo b >&4; echo c >&9; ls /proc/self/fd"]);
    command
        .fd(3, to_a)
        .unwrap()
        .fd(4, to_b)
        .unwrap()
        .fd(9, to_c)
        .unwrap();
    let (child, ()) = run(((), ()), command.stdout(Stdio::null())).unwrap();
    drop(command);
    for (reader, wanted) in [(&mut a, "a\n"), (&mut b, "b\n"), (&mut c, "c\n")] {
        assert_eq!(text(reader), wanted);
    }
    child.join().unwrap();
}

fn descriptors_change_places() {
    let ((mut a, to_a), (mut b, to_b)) = (ipc_pipe::raw(), ipc_pipe::raw());
    let (first, second) = (to_b.as_raw_fd(), to_a.as_raw_fd());
    let mut command = Command::new("sh");
    command.args(["-c", &format!("echo a >&{first}; echo b >&{second}")]);
    command.fd(first, to_a).unwrap().fd(second, to_b).unwrap();
    let (child, ()) = run(((), ()), &mut command).unwrap();
    drop(command);
    assert_eq!((text(&mut a), text(&mut b)), ("a\n".into(), "b\n".into()));
    child.join().unwrap();
}

fn an_error_is_told_whatever_numbers_are_taken() {
    for number in 3..12 {
        let (mut reader, writer) = ipc_pipe::raw();
        let mut command = Command::new("/no/such/program");
        command.fd(number, writer).unwrap();
        run(((), ()), &mut command).unwrap_err();
        drop(command);
        assert_eq!(text(&mut reader), "", "number {number}");
    }
}

fn an_ends_number_is_not_given_away() {
    let ends = ipc_pipe::pair().unwrap();
    let mut numbers = Vec::new();
    ends.1.fds(&mut |fd| numbers.push(fd.as_raw_fd()));
    let mut command = Command::new("true");
    command.fd(numbers[0], ipc_pipe::raw().1).unwrap();
    let error = run(ends, &mut command).unwrap_err();
    assert!(error.to_string().contains("take a higher"), "{error}");
}

fn the_standard_streams_are_no_numbers() {
    let (_reader, writer) = ipc_pipe::raw();
    let error = Command::new("sh").fd(1, writer).unwrap_err();
    assert!(error.to_string().contains("stdout"), "{error}");
}

ipc_core::cases! {
    first {
        if std::env::var_os("LOOK").is_some() {
            return ExitCode::from(match inherited::<End>() {
                Ok(mut end) => {
                    let (tx, rx) = end.halves();
                    while rx.recv().is_ok() {
                        tx.send(rx.message()).unwrap();
                    }
                    0
                }
                Err(Error::Ipc(_)) => 3,
                Err(_) => 4,
            });
        }
    }
    another_program_takes_an_end,
    an_end_of_another_type_is_refused,
    a_program_without_ends_is_told,
    a_command_runs_again_without_what_was_handed_over,
    a_program_further_down_finds_nothing,
    what_is_no_program_is_an_error,
    a_program_that_nobody_would_know_is_ended,
    descriptors_are_found_under_their_numbers,
    descriptors_change_places,
    an_error_is_told_whatever_numbers_are_taken,
    an_ends_number_is_not_given_away,
    the_standard_streams_are_no_numbers,
}
