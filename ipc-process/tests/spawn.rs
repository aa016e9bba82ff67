//! Spawned processes: this program anew, in one of its functions.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipc_pipe::{End, Raw, Receiver, Sender, Tx};
use ipc_process::{Error, ProcessOptions, fork, inherited, spawn};

const LONG: Duration = Duration::from_secs(20);

fn echo(mut end: End) -> ipc_core::Result<()> {
    loop {
        let (tx, rx) = end.halves();
        match rx.recv() {
            Err(ipc_core::Error::Disconnected) => return Ok(()),
            message => tx.send(message?)?,
        }
    }
}

fn seven(_: ()) -> ExitCode {
    ExitCode::from(7)
}

fn fails(_: ()) -> Result<(), &'static str> {
    Err("no")
}

fn panics(_: ()) {
    panic!("expected");
}

/// Tells what this process has open, and how it is called.
fn tell(mut tx: Tx) -> ipc_core::Result<()> {
    tx.send(descriptors().as_bytes())?;
    tx.send(&fs::read("/proc/self/cmdline").unwrap())?;
    tx.send(&fs::read("/proc/self/comm").unwrap())
}

/// What is open here.
fn descriptors() -> String {
    let mut links: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()))
        .filter_map(|link| Some(link.ok()?.display().to_string()))
        .filter(|link| !link.contains("/proc/"))
        .collect();
    links.sort();
    links.join(" ")
}

/// Starts another program, and a copy of this one, which must find nothing.
fn pass_on(mut tx: Tx) -> ipc_core::Result<()> {
    let mut program = Command::new("/proc/self/exe");
    let found = program.env("LOOK", "1").status().unwrap().code();
    let (child, ()) = fork(((), ()), |()| {
        ExitCode::from(u8::from(inherited::<()>().is_ok()))
    })
    .unwrap();
    child.join().unwrap();
    tx.send(format!("{found:?}").as_bytes())
}

fn sleeps(_raw: Raw) {
    thread::sleep(LONG);
}

/// Drops its first end while a child of its own lives on.
fn forks((first, mut second): (End, End)) {
    let (child, ()) = fork(((), ()), |()| thread::sleep(LONG)).unwrap();
    drop(first);
    second.recv().unwrap();
    drop(child);
}

fn takes_two((first, second): (Vec<End>, Tx)) -> ExitCode {
    drop(second);
    ExitCode::from(u8::try_from(first.len()).unwrap())
}

fn generic<T: ipc_core::Inherit>(_: T) -> ExitCode {
    ExitCode::from(u8::try_from(size_of::<T>()).unwrap())
}

fn not_named(_: ()) {}

fn an_echo_answers_from_a_program_of_its_own() {
    let (child, mut end) = spawn(ipc_pipe::pair().unwrap(), echo).unwrap();
    let long = vec![7; 100_000];
    for message in [&b"hello"[..], b"", &long] {
        end.send(message).unwrap();
        assert!(end.recv().unwrap() == message);
    }
    drop(end);
    child.join().unwrap();
}

fn what_the_function_returns_is_the_exit_status() {
    let code = |started: ipc_process::Result<(ipc_process::Child, ())>| {
        started.unwrap().0.wait().unwrap().code()
    };
    assert_eq!(code(spawn(((), ()), seven)), Some(7));
    assert_eq!(code(spawn(((), ()), fails)), Some(1));
    assert_eq!(code(spawn(((), ()), panics)), Some(101));
    assert_eq!(code(spawn(((), ()), generic::<()>)), Some(0));
    let ends = vec![ipc_pipe::pair().unwrap().0, ipc_pipe::pair().unwrap().0];
    let tx = ipc_pipe::channel().unwrap().0;
    assert_eq!(code(spawn(((), (ends, tx)), takes_two)), Some(2));
}

fn a_program_with_threads_may_spawn() {
    let threads: Vec<_> = (0..4)
        .map(|number: u8| {
            thread::spawn(move || {
                for round in 0..10 {
                    let (child, mut end) = spawn(ipc_pipe::pair().unwrap(), echo).unwrap();
                    end.send(&[number, round]).unwrap();
                    assert_eq!(end.recv().unwrap(), [number, round]);
                    drop(end);
                    child.join().unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn it_has_its_end_and_nothing_else() {
    let pipes = |list: &str| list.matches("pipe:").count();
    let before = descriptors(); // of whoever runs the tests
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    let _other = ipc_pipe::pair().unwrap();
    let (child, ()) = spawn(((), tx), tell).unwrap();
    let open = String::from_utf8(rx.recv().unwrap().to_vec()).unwrap();
    assert_eq!(pipes(&open), pipes(&before) + 1, "{before}\n{open}");
    assert!(!open.contains("memfd:ipc-process"), "{open}");
    child.join().unwrap();
}

fn it_is_called_as_its_program_and_its_function() {
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    let (child, ()) = spawn(((), tx), tell).unwrap();
    rx.recv().unwrap();
    let line = String::from_utf8(rx.recv().unwrap().to_vec()).unwrap();
    let own = std::env::args().next().unwrap();
    assert_eq!(line, format!("{own}\0spawn::tell\0"));
    assert!(rx.recv().unwrap().starts_with(b"spawn-"));
    child.join().unwrap();
}

fn it_is_called_as_it_was_named() {
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    let options = ProcessOptions::new().name("a worker with a long name");
    let (child, ()) = options.spawn(((), tx), tell).unwrap();
    rx.recv().unwrap();
    assert_eq!(rx.recv().unwrap(), b"a worker with a long name\0");
    assert_eq!(rx.recv().unwrap(), b"a worker with a\n");
    child.join().unwrap();
}

fn what_was_received_already_goes_with_the_end() {
    let (mut ours, mut theirs) = ipc_pipe::pair().unwrap();
    ours.send(b"first").unwrap();
    ours.send(b"second").unwrap();
    assert_eq!(theirs.recv().unwrap(), b"first"); // and the second lies in the buffer
    let (child, mut ours) = spawn((ours, theirs), echo).unwrap();
    assert_eq!(ours.recv().unwrap(), b"second");
    drop(ours);
    child.join().unwrap();
}

fn its_own_children_find_nothing() {
    let (tx, mut rx) = ipc_pipe::channel().unwrap();
    let (child, ()) = spawn(((), tx), pass_on).unwrap();
    assert_eq!(rx.recv().unwrap(), b"Some(44)");
    child.join().unwrap();
}

fn what_is_not_named_is_refused() {
    let error = spawn(((), ()), not_named).unwrap_err();
    assert!(matches!(error, Error::Unregistered { entry } if entry.ends_with("not_named")));
    assert!(error.to_string().contains("entries!"), "{error}");
    let closure = |()| ();
    assert!(matches!(
        spawn(((), ()), closure),
        Err(Error::Unregistered { .. })
    ));
}

fn a_child_forked_later_does_not_hold_its_end() {
    let (mut child, end) = spawn(ipc_pipe::pair().unwrap(), echo).unwrap();
    let (sleeper, ()) = fork(((), ()), |()| thread::sleep(LONG)).unwrap();
    drop(end);
    assert!(child.wait_timeout(LONG).unwrap().unwrap().success());
    drop(sleeper);
}

fn nor_does_its_own_child() {
    let (first, second) = (ipc_pipe::pair().unwrap(), ipc_pipe::pair().unwrap());
    let ends = ((first.0, second.0), (first.1, second.1));
    let (child, (mut first, mut second)) = spawn(ends, forks).unwrap();
    let gone = first.recv_timeout(LONG).map(<[u8]>::to_vec);
    assert!(
        matches!(gone, Err(ipc_core::Error::Disconnected)),
        "{gone:?}"
    );
    second.send(b"end").unwrap();
    child.join().unwrap();
}

fn without_descriptors_it_says_so() {
    let (tx, _rx) = ipc_pipe::channel().unwrap();
    let hoard = sys::take_all_descriptors();
    let error = spawn(((), tx), tell).unwrap_err();
    assert_eq!(
        error.kind(),
        std::io::Error::from_raw_os_error(libc::EMFILE).kind()
    );
    drop(hoard);
    assert!(nix::sys::wait::waitpid(None, None).is_err());
}

fn nothing_is_left_open_here() {
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    for _ in 0..20 {
        let (child, end) = spawn(ipc_pipe::pair().unwrap(), echo).unwrap();
        drop(end);
        child.join().unwrap();
        spawn(((), ipc_pipe::channel().unwrap().0), |_: Tx| ()).unwrap_err();
    }
    assert_eq!(count(), before);
}

fn a_thread_that_ends_takes_its_children_along() {
    let (alive, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let (_reader, writer) = ipc_pipe::raw();
        let options = ProcessOptions::new().parent_death(libc::SIGKILL);
        let (child, ()) = options.spawn(((), Raw::new(writer)), sleeps).unwrap();
        alive.send(child).unwrap();
        ended.recv().unwrap_err();
    });
    let mut child = told.recv().unwrap();
    assert_eq!(
        child.wait_timeout(Duration::from_millis(100)).unwrap(),
        None
    );
    drop(end);
    thread.join().unwrap();
    let status = child.wait_timeout(LONG).unwrap().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
}

ipc_core::cases! {
    first {
        ipc_process::entries! { forks, echo, seven, fails, panics, tell, pass_on, sleeps, takes_two, generic::<()> }
        if std::env::var_os("LOOK").is_some() {
            return ExitCode::from(if inherited::<()>().is_ok() { 45 } else { 44 });
        }
    }
    an_echo_answers_from_a_program_of_its_own,
    what_the_function_returns_is_the_exit_status,
    a_program_with_threads_may_spawn,
    it_has_its_end_and_nothing_else,
    it_is_called_as_its_program_and_its_function,
    it_is_called_as_it_was_named,
    what_was_received_already_goes_with_the_end,
    its_own_children_find_nothing,
    what_is_not_named_is_refused,
    a_child_forked_later_does_not_hold_its_end,
    nor_does_its_own_child,
    without_descriptors_it_says_so,
    nothing_is_left_open_here,
    a_thread_that_ends_takes_its_children_along,
}
