//! Signals, received.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{Async, Error, Interest, Select, Wait};
use ipc_pipe::Receiver;
use ipc_process::{Child, ProcessOptions, Signals, fork};
use libc::{SIGHUP, SIGTERM, SIGUSR1, SIGUSR2};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getppid};

const LONG: Duration = Duration::from_secs(20);

/// Sends this process a signal from a child.
fn send(signal: Signal) -> Child {
    fork(((), ()), |()| kill(getppid(), signal)).unwrap().0
}

/// What this process blocks and what it is owed, as the kernel has it.
fn mask_of(pid: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("SigBlk"));
    line.unwrap().to_owned()
}

fn a_signal_is_received_with_its_sender() {
    let mut signals = Signals::new([SIGTERM, SIGHUP]).unwrap();
    let child = send(Signal::SIGHUP);
    let signal = signals.recv().unwrap();
    assert_eq!(
        (signal.number(), signal.sender()),
        (SIGHUP, Some(child.pid()))
    );
    assert_eq!(
        signal.to_string(),
        format!("SIGHUP from process {}", child.pid())
    );
    child.join().unwrap();
}

fn the_forms_of_waiting() {
    let mut signals = Signals::new([SIGUSR1]).unwrap();
    assert!(matches!(signals.try_recv(), Err(Error::WouldBlock)));
    let (start, timeout) = (Instant::now(), Duration::from_millis(50));
    assert!(matches!(
        signals.recv_timeout(timeout),
        Err(Error::TimedOut)
    ));
    assert!(start.elapsed() >= timeout);
    assert!(matches!(
        signals.recv_wait(Wait::Never),
        Err(Error::WouldBlock)
    ));
    raise(Signal::SIGUSR1).unwrap();
    assert_eq!(signals.try_recv().unwrap().number(), SIGUSR1);
    raise(Signal::SIGUSR1).unwrap();
    assert_eq!(signals.recv_timeout(LONG).unwrap().number(), SIGUSR1);
}

fn a_deadline_holds_in_a_storm_of_other_signals() {
    let mut signals = Signals::new([SIGUSR1]).unwrap();
    sys::start_storm();
    let (start, timeout) = (Instant::now(), Duration::from_millis(200));
    assert!(matches!(
        signals.recv_timeout(timeout),
        Err(Error::TimedOut)
    ));
    assert!(start.elapsed() >= timeout && sys::alarms() > 0);
}

fn real_time_signals_are_counted_and_others_merged() {
    let real_time = libc::SIGRTMIN() + 3;
    let mut signals = Signals::new([SIGUSR1, real_time]).unwrap();
    for _ in 0..5 {
        raise(Signal::SIGUSR1).unwrap();
        sys::raise(real_time);
    }
    let mut counts = [0, 0];
    while let Ok(signal) = signals.try_recv() {
        counts[usize::from(signal.number() == real_time)] += 1;
        assert!(signal.number() == SIGUSR1 || signal.to_string().starts_with("SIGRTMIN+3 from"));
    }
    assert_eq!(counts, [1, 5]);
}

fn the_mask_is_as_before_afterwards() {
    let before = mask_of("self");
    let signals = Signals::new([SIGTERM, SIGUSR1]).unwrap();
    let other = Signals::new([SIGUSR2]).unwrap();
    assert_ne!(mask_of("self"), before);
    drop(signals);
    drop(other);
    assert_eq!(mask_of("self"), before);
    // What was blocked before stays so.
    sys::block(SIGUSR1);
    let before = mask_of("self");
    drop(Signals::new([SIGTERM, SIGUSR1]).unwrap());
    assert_eq!(mask_of("self"), before);
}

fn one_that_was_not_received_comes_after_all() {
    let (mut child, ()) = fork(((), ()), |()| {
        let signals = Signals::new([SIGTERM]).unwrap();
        raise(Signal::SIGTERM).unwrap();
        drop(signals);
    })
    .unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
}

fn what_cannot_be_received_is_refused() {
    for number in [libc::SIGKILL, libc::SIGSTOP, 0, -1, 65, i32::MAX] {
        let error = Signals::new([SIGUSR1, number]).unwrap_err();
        assert!(error.to_string().contains(&number.to_string()), "{error}");
    }
    // What the C library keeps to itself.
    for number in 32..libc::SIGRTMIN() {
        let error = Signals::new([number]).unwrap_err();
        assert!(error.to_string().contains("C library"), "{error}");
    }
    let signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
    let error = Signals::new([SIGTERM, SIGUSR2]).unwrap_err();
    assert!(error.to_string().contains("another Signals"), "{error}");
    drop(signals);
    Signals::new([SIGUSR1, SIGUSR2]).unwrap();
}

fn mask((): ()) {
    print!("{}", mask_of("self"));
}

fn children_are_born_without_it() {
    let before = mask_of("self");
    let signals = Signals::new([SIGTERM, SIGUSR1]).unwrap();
    let options = ProcessOptions::new().redirect();
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf %s \"$(grep SigBlk /proc/self/status)\""]);
    for (kind, child) in [
        ("fork", options.fork(((), ()), mask)),
        ("spawn", options.spawn(((), ()), mask)),
        ("run", options.run(((), ()), &mut shell)),
    ] {
        let output = child.unwrap().0.communicate(b"").unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), before, "{kind}");
    }
    // A child has its own, and its parent's does nothing there.
    let mut signals = Some(signals);
    let (child, ()) = fork(((), ()), |()| {
        let mut own = Signals::new([SIGTERM]).unwrap();
        drop(signals.take());
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(own.recv().unwrap().number(), SIGTERM);
    })
    .unwrap();
    child.join().unwrap();
    raise(Signal::SIGUSR1).unwrap();
    assert_eq!(signals.unwrap().recv().unwrap().number(), SIGUSR1);
}

fn a_forked_child_dies_of_sigterm() {
    let _signals = Signals::new([SIGTERM]).unwrap();
    let (mut child, ()) = fork(((), ()), |()| thread::sleep(LONG * 2)).unwrap();
    child.signal(SIGTERM).unwrap();
    assert!(child.wait_timeout(LONG).unwrap().is_some());
}

fn signals_channels_and_children_are_waited_for_together() {
    let mut signals = Signals::new([SIGUSR1]).unwrap();
    let (_tx, mut rx) = ipc_pipe::channel().unwrap();
    let mut child = send(Signal::SIGUSR1);
    let mut select = Select::new();
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let mut members: [&mut dyn ipc_core::Ready; 3] = [&mut rx, &mut signals, &mut child];
        match select.wait(&mut members, LONG.into()).unwrap() {
            0 => panic!("{:?}", rx.try_recv().map(<[u8]>::to_vec)),
            1 => match signals.try_recv() {
                Ok(signal) => seen[0] = signal.number() == SIGUSR1,
                Err(error) => assert!(matches!(error, Error::WouldBlock)),
            },
            _ => seen[1] = child.try_wait().unwrap().is_some(),
        }
    }
}

fn a_program_with_threads_receives() {
    let mut signals = Signals::new([SIGUSR1]).unwrap();
    let threads: Vec<_> = (0..3)
        .map(|_| thread::spawn(|| thread::sleep(Duration::from_millis(50))))
        .collect();
    for _ in 0..100 {
        kill(Pid::this(), Signal::SIGUSR1).unwrap();
        assert_eq!(signals.recv_timeout(LONG).unwrap().number(), SIGUSR1);
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

fn tokio_receives() {
    let signals = Signals::new([SIGUSR1]).unwrap();
    send(Signal::SIGUSR1).join().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut signals = Async::new(signals).unwrap();
        for round in 0..3 {
            if round > 0 {
                raise(Signal::SIGUSR1).unwrap();
            }
            let signal = signals
                .async_io(Interest::Read, Signals::try_recv)
                .await
                .unwrap();
            assert_eq!(signal.number(), SIGUSR1);
        }
    });
}

ipc_core::cases! {
    first {
        ipc_process::entries! { mask }
    }
    a_signal_is_received_with_its_sender,
    the_forms_of_waiting,
    a_deadline_holds_in_a_storm_of_other_signals,
    real_time_signals_are_counted_and_others_merged,
    the_mask_is_as_before_afterwards,
    one_that_was_not_received_comes_after_all,
    what_cannot_be_received_is_refused,
    children_are_born_without_it,
    a_forked_child_dies_of_sigterm,
    signals_channels_and_children_are_waited_for_together,
    a_program_with_threads_receives,
    tokio_receives,
}
