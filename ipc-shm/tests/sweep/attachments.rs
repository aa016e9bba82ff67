//! One side of an attachment by name is killed after every instruction of it, and of the first
//! message: the other side gets that message, or is told that there is nobody.

use std::process::{self, ExitCode};

use ipc_core::conformance::Case;
use ipc_process::fork;
use ipc_shm::{Address, Error, Ready, Receiver, Sender, ShmDuplex, ShmOptions, Wait};

use crate::ends::{FORMS, Form, PATIENCE, tiny};
use crate::sweep::{Point, Progress, Stop, advance, sweep};
use crate::tracee::{Tracee, stay};

/// Stops where not all are asked for.
const SOME: usize = 16;

pub(crate) fn cases() -> [Case; 4] {
    let case = |name, options: fn() -> ShmOptions, trial: Trial| {
        Case::new(name, move || {
            stay();
            sweep(name, 0..=1, &FORMS, SOME, |point, form| {
                trial(&options(), point, form)
            });
        })
    };
    let untrusted = || tiny().untrusted();
    [
        case("a_client_that_connects", tiny, client),
        case("a_client_that_connects_to_the_untrusted", untrusted, client),
        case("a_listener_that_accepts", tiny, listener),
        case("a_listener_that_accepts_the_untrusted", untrusted, listener),
    ]
}

type Trial = fn(&ShmOptions, Point, Form) -> (Progress, usize);

/// The client is killed. The listener gets a whole endpoint or none, and the next client after that.
fn client(options: &ShmOptions, point: Point, form: Form) -> (Progress, usize) {
    let address = address();
    let listener = options.listen(&address).unwrap();
    let connect = |()| {
        let mut end = options.connect(&address).ok()?;
        let _ = end.send(b"hello");
        Some(end)
    };
    let (victim, ()) = Tracee::fork(((), ()), connect, |_| 0);
    let mut accepted = Vec::new();
    let mut accept = || match listener.try_accept() {
        Ok(end) => {
            accepted.push(end);
            true
        }
        Err(error) => {
            assert!(matches!(error, Error::WouldBlock), "{error}");
            false
        }
    };
    let progress = advance(&victim, point, &mut accept);
    victim.kill();
    assert_ne!(progress.stop, Stop::Stuck);
    while accept() {}
    assert!(accepted.len() < 2, "one client, two endpoints");
    let seen = accepted
        .first_mut()
        .map_or(0, |end| greetings(end, form).into());
    assert!(progress.stop != Stop::Over || seen == 1, "it was sent");

    let (next, ()) = fork(((), ()), |()| {
        let mut end = options.connect(&address)?;
        end.recv().map(drop)
    })
    .unwrap();
    let mut end = listener.accept_timeout(PATIENCE).unwrap();
    end.send(b"welcome").unwrap();
    next.join().unwrap();
    (progress, seen)
}

/// The process that accepts is killed. The client gets an endpoint or an error.
fn listener(options: &ShmOptions, point: Point, form: Form) -> (Progress, usize) {
    // Forked before there is a listener, which it would keep open.
    let (starts, start) = tiny().channel().unwrap();
    let address = address();
    let (mut client, mut starts) = fork((starts, start), |mut start| {
        start.recv().unwrap();
        let connected = match form {
            Form::Forever => options.connect(&address),
            Form::Deadline | Form::Readiness => options.connect_timeout(&address, PATIENCE),
        };
        match connected {
            Ok(mut end) => ExitCode::from(greetings(&mut end, form)),
            Err(error) => {
                let told = matches!(error, Error::Os { .. });
                assert!(told, "{error}");
                ExitCode::SUCCESS
            }
        }
    })
    .unwrap();
    let listener = options.listen(&address).unwrap();
    starts.send(b"").unwrap();
    let (fd, interest) = listener.fd();
    assert!(ipc_core::poll(fd, interest, PATIENCE.into()).unwrap());
    let accept = |()| {
        let mut end = listener.accept().ok()?;
        let _ = end.send(b"hello");
        Some(end)
    };
    let (victim, ()) = Tracee::fork(((), ()), accept, |_| 0);
    let progress = advance(&victim, point, || false);
    victim.kill();
    assert_ne!(progress.stop, Stop::Stuck);
    drop(listener);
    let ended = client.wait().unwrap();
    let seen = ended.code().and_then(|code| usize::try_from(code).ok());
    let seen = seen.filter(|&seen| seen < 2).expect("the client failed");
    assert!(progress.stop != Stop::Over || seen == 1, "it was sent");
    (progress, seen)
}

/// An abstract name, of which nothing is left behind.
fn address() -> Address {
    Address::Abstract(format!("ipc-sweep-{}", process::id()).into_bytes())
}

/// Receives the greeting, or none, then `Disconnected`.
fn greetings(end: &mut ShmDuplex, form: Form) -> u8 {
    let mut count = 0;
    loop {
        let received = match form {
            Form::Forever => end.recv_wait(Wait::Forever),
            Form::Deadline | Form::Readiness => end.recv_wait(PATIENCE.into()),
        };
        match received {
            Ok(()) => assert_eq!(end.message(), b"hello"),
            Err(error) => {
                assert!(matches!(error, Error::Disconnected), "{error}");
                return count;
            }
        }
        count += 1;
    }
}
