//! Attachment by name, between programs that are no relatives.
//!
//! The other program is this one, too: see [`attach::program`].
//!
//! Seen to fail: with the bells used as they were given (`a_bell_never_blocks`), without the check of
//! users (`another_user_is_let_in_where_it_may`), of terms (`other_terms_are_refused_and_named`), of
//! access, seals, size, pages (`memory_is_checked`, `pages_behind_the_end_are_none`), of what a bell
//! or the answer's socket is (`rubbish_costs_nobody_anything`), with the answer's socket kept
//! (`a_client_is_not_kept_for_ever`).
//! Not seen to fail: without the bound on rubbish, since the listener is quicker than its flooders.

mod attach {
    pub(crate) mod ends;
    pub(crate) mod hostile;
    pub(crate) mod memory;
    pub(crate) mod names;
    pub(crate) mod program;
    pub(crate) mod request;
}

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use attach::ends::{
    Directory, LONG, SOON, abstract_name, attached, connected, kind_of, tiers, trusted,
};
use attach::program::{ROLE, command, converse, join, kill, play, start};
use attach::{hostile, memory, names};
use ipc_core::conformance::skip;
use ipc_shm::{Address, Error, Ready, Receiver, Select, Sender, Spin, Wait};

const NOBODY: u32 = 65_534;

fn programs_meet_by_name() {
    let directory = Directory::new();
    for (tier, options) in tiers() {
        for address in [directory.join("ring").into(), abstract_name()] {
            let listener = options.listen(&address).unwrap();
            let client = start("client", tier, &address);
            converse(listener.accept().unwrap());
            join(client);
            drop(listener);
            let server = start("server", tier, &address);
            converse(connected(&options, &address));
            join(server);
        }
    }
}

fn nothing_is_left() {
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    for (_, options) in tiers() {
        let before = count();
        let listener = options.listen(abstract_name()).unwrap();
        for _ in 0..100 {
            let (mut client, mut server) = attached(&options, &listener);
            client.send(b"hello").unwrap();
            assert_eq!(server.recv().unwrap(), b"hello");
            assert_eq!(count(), before + 1 + 16);
        }
        drop(listener);
        assert_eq!(count(), before);
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains("ipc-shm:"), "{maps}");
    }
}

fn a_peer_killed_is_gone() {
    for (tier, options) in tiers() {
        for spin in [Spin::Adaptive, Spin::Never] {
            let options = options.clone().spin(spin);
            let listener = options.listen(abstract_name()).unwrap();
            let peer = start("silent", tier, listener.address());
            let mut end = listener.accept().unwrap();
            let killer = thread::spawn(move || {
                thread::sleep(SOON);
                kill(peer);
            });
            assert!(matches!(end.recv(), Err(Error::Disconnected)));
            // The kernel closes its descriptors one by one.
            let error = loop {
                if let Err(error) = end.send(b"?") {
                    break error;
                }
            };
            assert!(matches!(error, Error::Disconnected), "{error}");
            killer.join().unwrap();
        }
    }
}

/// A listener that is killed, or stopped, before it has answered.
fn a_client_is_not_kept_for_ever() {
    let address = abstract_name();
    let listener = start("deaf", "trusted", &address);
    let options = trusted();
    let timed = loop {
        match options.connect_timeout(&address, SOON) {
            Err(Error::Os { .. }) => {} // not yet there
            end => break end,
        }
    };
    assert!(matches!(timed, Err(Error::TimedOut)), "{timed:?}");
    let killer = thread::spawn(move || {
        thread::sleep(SOON);
        kill(listener);
    });
    let (kind, told) = kind_of(options.connect(&address));
    assert_eq!(kind, ErrorKind::ConnectionReset);
    assert!(told.contains("the listener went away"), "{told}");
    killer.join().unwrap();
}

fn a_client_that_died_is_passed_over() {
    for (tier, options) in tiers() {
        let listener = options.listen(abstract_name()).unwrap();
        let client = start("asker", tier, listener.address());
        assert!(ipc_core::poll(listener.fd().0, listener.fd().1, LONG.into()).unwrap());
        kill(client);
        assert!(matches!(
            listener.accept_timeout(SOON),
            Err(Error::TimedOut)
        ));
        attached(&options, &listener);
    }
}

fn other_terms_are_refused_and_named() {
    let listener = trusted().listen(abstract_name()).unwrap();
    for (options, asked) in [
        (trusted().untrusted(), "untrusted rings of 65536 bytes"),
        (trusted().capacity(4096), "trusted rings of 4096 bytes"),
    ] {
        let address = listener.address().clone();
        let client = thread::spawn(move || kind_of(options.connect(address)));
        assert!(matches!(
            listener.accept_timeout(SOON),
            Err(Error::TimedOut)
        ));
        let (kind, told) = client.join().unwrap();
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(told.contains(asked), "{told}");
        assert!(
            told.contains("makes trusted rings of 65536 bytes"),
            "{told}"
        );
    }
    attached(&trusted(), &listener);
}

fn another_user_is_let_in_where_it_may() {
    if !nix::unistd::geteuid().is_root() {
        skip("only root can be another user");
    }
    let directory = Directory::new();
    let other = |role, tier, address: &Address| {
        let mut command = command(role, tier, address);
        command.uid(NOBODY).gid(NOBODY);
        command.spawn()
    };
    let path: Address = directory.join("ring").into();
    for (tier, options) in tiers() {
        let closed = options.listen(&path).unwrap();
        join(other("denied", tier, &path).unwrap());
        drop(closed);
    }
    let open = trusted().mode(0o666).listen(&path).unwrap();
    let denied = other("denied", "trusted", &path).unwrap();
    assert!(matches!(
        open.accept_timeout(SOON * 10),
        Err(Error::TimedOut)
    ));
    join(denied);
    drop(open);
    let options = trusted().untrusted();
    let open = options.clone().mode(0o666).listen(&path).unwrap();
    let client = other("client", "untrusted", &path).unwrap();
    converse(open.accept().unwrap());
    join(client);
    // The other way round root is let in everywhere, and a trusting listener does not want it.
    let address = abstract_name();
    let server = other("server", "untrusted", &address).unwrap();
    converse(connected(&options, &address));
    join(server);
    let server = other("server", "trusted", &address).unwrap();
    let (kind, told) = loop {
        match kind_of(trusted().connect_timeout(&address, LONG)) {
            (ErrorKind::ConnectionRefused, _) => thread::sleep(Duration::from_millis(1)),
            other => break other,
        }
    };
    assert_eq!(kind, ErrorKind::PermissionDenied);
    assert!(told.contains("its own user alone"), "{told}");
    kill(server);
    // One that takes everybody is not trusted for that.
    let impostor = other("impostor", "trusted", &address).unwrap();
    let (kind, told) = loop {
        match kind_of(trusted().connect_timeout(&address, LONG)) {
            (ErrorKind::ConnectionRefused, _) => thread::sleep(Duration::from_millis(1)),
            other => break other,
        }
    };
    assert_eq!(kind, ErrorKind::PermissionDenied);
    assert!(told.contains("another user's"), "{told}");
    join(impostor);
}

fn accepting_keeps_its_deadline() {
    let options = trusted();
    let mut listener = options.listen(abstract_name()).unwrap();
    assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
    assert!(matches!(
        listener.accept_timeout(SOON),
        Err(Error::TimedOut)
    ));
    let mut select = Select::new();
    assert!(matches!(
        select.wait(&mut [&mut listener], SOON.into()),
        Err(Error::TimedOut)
    ));
    let address = listener.address().clone();
    let client = thread::spawn(move || options.connect(address).unwrap());
    assert_eq!(select.wait(&mut [&mut listener], Wait::Forever).unwrap(), 0);
    listener.try_accept().unwrap();
    client.join().unwrap();
}

/// A queue that is full makes clients wait, and each gets its turn.
fn a_full_queue_is_waited_for() {
    let options = trusted().capacity(1);
    let listener = options.listen(abstract_name()).unwrap();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let (options, address) = (options.clone(), listener.address().clone());
            thread::spawn(move || options.connect(address).unwrap().send(b"here").unwrap())
        })
        .collect();
    thread::sleep(SOON);
    assert!(matches!(
        options.connect_timeout(listener.address(), SOON),
        Err(Error::TimedOut)
    ));
    for _ in 0..40 {
        assert_eq!(listener.accept().unwrap().recv().unwrap(), b"here");
    }
    for client in clients {
        client.join().unwrap();
    }
}

ipc_core::cases! {
    first {
        if let Ok(role) = env::var(ROLE) {
            play(&role);
            return ExitCode::SUCCESS;
        }
    }
    programs_meet_by_name,
    nothing_is_left,
    a_peer_killed_is_gone,
    a_client_is_not_kept_for_ever,
    a_client_that_died_is_passed_over,
    other_terms_are_refused_and_named,
    another_user_is_let_in_where_it_may,
    accepting_keeps_its_deadline,
    a_full_queue_is_waited_for,
    names::a_socket_file_has_its_mode_under_any_umask,
    names::a_socket_file_is_removed_by_its_maker_only,
    names::a_name_that_is_taken_is_refused,
    names::nobody_there_is_said,
    names::names_that_cannot_be_are_refused,
    hostile::rubbish_costs_nobody_anything,
    memory::memory_is_checked,
    memory::pages_behind_the_end_are_none,
    hostile::a_flood_of_rubbish_ends_at_the_deadline,
    hostile::a_bell_never_blocks,
    hostile::no_descriptors_is_an_error_and_leaks_none,
    hostile::what_is_attached_is_sealed,
}
