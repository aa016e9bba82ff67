//! Other programs: their streams, their descriptors, and ends for those that know them.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use ipc_core::conformance::Case;
use ipc_core::{Inherit, Select, Wait};
use ipc_pipe::{End, Receiver, Sender};
use ipc_process::{Child, CommandExt, Error, ProcessOptions, fork, inherited, run};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};

const LONG: Duration = Duration::from_secs(20);

/// A shell, its streams pipes.
fn shell(script: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let options = ProcessOptions::new().redirect();
    options.run(((), ()), &mut command).unwrap().0
}

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

fn stdin_closes_and_stdout_and_stderr_stay_apart() {
    let mut child = shell("cat; echo done >&2");
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"one\ntwo\n")
        .unwrap();
    drop(child.stdin.take());
    assert_eq!(text(child.stdout.take().unwrap()), "one\ntwo\n");
    assert_eq!(text(child.stderr.take().unwrap()), "done\n");
    child.join().unwrap();
}

fn waiting_closes_stdin() {
    let mut child = shell("cat > /dev/null");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn much_goes_both_ways_at_once() {
    let input: Vec<u8> = (0..=u8::MAX).cycle().take(3 << 20).collect();
    let output = shell("tee /dev/stderr").communicate(&input).unwrap();
    assert!(output.status.success());
    assert!(output.stdout == input);
    assert!(output.stderr == input);
}

fn input_that_nobody_reads_is_no_error() {
    let output = shell("exec <&-; echo out; exit 3")
        .communicate(&vec![0; 1 << 20])
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"out\n");
}

fn no_input_is_the_end_of_it() {
    assert_eq!(
        shell("cat; echo end").communicate(b"").unwrap().stdout,
        b"end\n"
    );
}

fn a_child_that_is_no_shell_communicates() {
    let options = ProcessOptions::new().redirect();
    let (child, ()) = options
        .fork(((), ()), |()| {
            let text = text(std::io::stdin());
            println!("{}", text.to_uppercase());
            eprint!("aside");
            ExitCode::from(9)
        })
        .unwrap();
    let output = child.communicate(b"hello").unwrap();
    assert_eq!(output.stdout, b"HELLO\n");
    assert_eq!(output.stderr, b"aside");
    assert_eq!(output.status.code(), Some(9));
}

fn a_spawned_child_communicates() {
    let options = ProcessOptions::new().redirect();
    let (child, ()) = options.spawn(((), ()), upper).unwrap();
    assert_eq!(child.communicate(b"hello").unwrap().stdout, b"HELLO");
}

fn upper((): ()) {
    print!("{}", text(std::io::stdin()).to_uppercase());
}

fn streams_are_selected() {
    let mut child = shell("echo e >&2; read line; echo $line");
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (mut select, limit) = (Select::new(), Wait::from(LONG));
    let ready = select.wait(&mut [&mut out, &mut err], limit).unwrap();
    assert_eq!(ready, 1);
    let mut piece = [0; 8];
    assert_eq!(err.read(&mut piece).unwrap(), 2);
    child.stdin.as_mut().unwrap().write_all(b"o\n").unwrap();
    let ready = select.wait(&mut [&mut out], limit).unwrap();
    assert_eq!((ready, out.read(&mut piece).unwrap()), (0, 2));
    child.join().unwrap();
}

fn a_child_forked_later_does_not_hold_stdin() {
    let mut child = shell("cat > /dev/null");
    let (sleeper, ()) = fork(((), ()), |()| thread::sleep(LONG * 2)).unwrap();
    drop(child.stdin.take());
    assert!(child.wait_timeout(LONG).unwrap().unwrap().success());
    drop(sleeper);
}

fn a_child_that_is_dropped_in_another_is_left_alone() {
    let mut slot = Some(shell("cat"));
    let (other, ()) = fork(((), ()), |()| drop(slot.take())).unwrap();
    other.join().unwrap();
    let output = slot.unwrap().communicate(b"still there").unwrap();
    assert_eq!(output.stdout, b"still there");
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

fn nothing_is_left_open_here() {
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    for _ in 0..20 {
        shell("cat").communicate(b"text").unwrap();
        drop(shell("exec sleep 100"));
        run(((), ()), &mut Command::new("/no/such/program")).unwrap_err();
    }
    assert_eq!(count(), before);
}

macro_rules! cases {
    ($($case:ident),+ $(,)?) => { vec![$(Case::new(stringify!($case), $case)),+] };
}

fn main() -> ExitCode {
    ipc_process::entries! { upper }
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
    ipc_core::conformance::run(cases! {
        another_program_takes_an_end,
        an_end_of_another_type_is_refused,
        a_program_without_ends_is_told,
        a_command_runs_again_without_what_was_handed_over,
        a_program_further_down_finds_nothing,
        what_is_no_program_is_an_error,
        a_program_that_nobody_would_know_is_ended,
        stdin_closes_and_stdout_and_stderr_stay_apart,
        waiting_closes_stdin,
        much_goes_both_ways_at_once,
        input_that_nobody_reads_is_no_error,
        no_input_is_the_end_of_it,
        a_child_that_is_no_shell_communicates,
        a_spawned_child_communicates,
        streams_are_selected,
        a_child_forked_later_does_not_hold_stdin,
        a_child_that_is_dropped_in_another_is_left_alone,
        descriptors_are_found_under_their_numbers,
        descriptors_change_places,
        an_error_is_told_whatever_numbers_are_taken,
        an_ends_number_is_not_given_away,
        the_standard_streams_are_no_numbers,
        nothing_is_left_open_here,
    })
}
