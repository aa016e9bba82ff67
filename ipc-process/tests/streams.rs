//! A child's standard streams as pipes.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use ipc_core::{Select, Wait};
use ipc_process::{Child, ProcessOptions, fork, run};

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

fn input_that_nobody_reads_raises_no_signal() {
    sys::default_sigpipe();
    input_that_nobody_reads_is_no_error();
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

ipc_core::cases! {
    first {
        ipc_process::entries! { upper }
    }
    stdin_closes_and_stdout_and_stderr_stay_apart,
    waiting_closes_stdin,
    much_goes_both_ways_at_once,
    input_that_nobody_reads_is_no_error,
    input_that_nobody_reads_raises_no_signal,
    no_input_is_the_end_of_it,
    a_child_that_is_no_shell_communicates,
    a_spawned_child_communicates,
    streams_are_selected,
    a_child_forked_later_does_not_hold_stdin,
    a_child_that_is_dropped_in_another_is_left_alone,
    nothing_is_left_open_here,
}
