//! Clients that are none, and what they cost: nothing to anybody but themselves.

use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::thread;

use ipc_shm::{Address, Error, Inherit, Receiver, Sender, ShmListener, Spin};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::socket::{MsgFlags, UnixAddr, sendmsg};

use super::ends::{LONG, SOON, abstract_name, attached, kind_of, tiers, trusted};
use super::request::{Fake, Request, answer, request};

pub(crate) const OFFER: u64 = 0;
const TERMS: u64 = 1;
pub(crate) const UNFIT: u64 = 3;
const SHORTAGE: u64 = 4;

fn count() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The listener gets nobody from this request, and says `word`.
pub(crate) fn refused(
    listener: &ShmListener,
    request: &Request,
    socket: &OwnedFd,
    word: Option<u64>,
) {
    request.send(listener.address());
    let before = count();
    assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
    assert_eq!(answer(socket), word);
    assert_eq!(count(), before, "descriptors were kept");
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

pub(crate) fn rubbish_costs_nobody_anything() {
    for (_, options) in tiers() {
        let listener = options.listen(abstract_name()).unwrap();
        let refuse = |change: &dyn Fn(Request) -> Request, word| {
            let (request, socket) = request(&options);
            refused(&listener, &change(request), &socket, word);
        };
        let (good, socket) = request(&options);
        good.send(listener.address());
        let mut end = listener.try_accept().unwrap();
        assert_eq!(answer(&socket), Some(OFFER));
        drop((good, socket));
        assert!(matches!(end.recv(), Err(Error::Disconnected)));

        for len in [0, 1, 39] {
            let cut = |mut request: Request| {
                request.greeting.truncate(len);
                request
            };
            refuse(&cut, Some(UNFIT));
        }
        for extra in [1, 60_000] {
            let long = |mut request: Request| {
                request.greeting.resize(40 + extra, 0);
                request
            };
            refuse(&long, Some(UNFIT));
        }
        // Magic, version, word, tier, capacity.
        for (field, value, word) in [
            (0, 7, UNFIT),
            (1, 2, UNFIT),
            (2, 9, UNFIT),
            (2, 1, UNFIT),
            (3, 7, UNFIT),
            (4, 0, TERMS),
            (4, 4096, TERMS),
            (4, u64::MAX, TERMS),
        ] {
            let wrong = |mut request: Request| {
                request.greeting[field * 8..][..8].copy_from_slice(&u64::to_le_bytes(value));
                request
            };
            refuse(&wrong, Some(word));
        }
        for count in 0..5 {
            let few = |mut request: Request| {
                request.fds.truncate(count);
                request
            };
            refuse(&few, (count > 0).then_some(UNFIT));
        }
        for extra in [1, 200] {
            let many = |mut request: Request| {
                request.fds.extend((0..extra).map(|_| null()));
                request
            };
            refuse(&many, Some(UNFIT));
        }
        for (one, other) in [(1, 2), (1, 3), (2, 4)] {
            let swapped = |mut request: Request| {
                request.fds.swap(one, other);
                request
            };
            refuse(&swapped, Some(UNFIT));
        }
        for at in 0..5 {
            let word = (at > 0).then_some(UNFIT);
            refuse(&|request| request.with(at, null()), word);
            refuse(&|request| request.with(at, File::open("/").unwrap()), word);
            let writable = || File::options().write(true).open("/dev/null").unwrap();
            refuse(&|request| request.with(at, writable()), word);
            let datagram = || UnixDatagram::unbound().unwrap();
            refuse(&|request| request.with(at, datagram()), word);
            let (ear, _bell) = nix::unistd::pipe().unwrap();
            refuse(&|request| request.with(at, ear.try_clone().unwrap()), word);
        }
        // An answer goes where answers go, and into nobody's other socket.
        let (elsewhere, end) = UnixDatagram::pair().unwrap();
        let (request, _) = request(&options);
        refused(&listener, &request.with(0, end), &elsewhere.into(), None);
        attached(&options, &listener); // and it goes on
    }
}

pub(crate) fn a_flood_of_rubbish_ends_at_the_deadline() {
    let options = trusted();
    let listener = options.listen(abstract_name()).unwrap();
    let address = listener.address().clone();
    let flood = move || {
        let Address::Abstract(name) = &address else {
            panic!()
        };
        let name = UnixAddr::new_abstract(name).unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        let bytes = [IoSlice::new(b"rubbish")];
        let flags = MsgFlags::empty();
        while sendmsg(socket.as_raw_fd(), &bytes, &[], flags, Some(&name)).is_ok() {}
    };
    let flooders: Vec<_> = (0..4).map(|_| thread::spawn(flood.clone())).collect();
    for _ in 0..10 {
        assert!(matches!(listener.try_accept(), Err(Error::WouldBlock)));
        assert!(matches!(
            listener.accept_timeout(SOON),
            Err(Error::TimedOut)
        ));
    }
    attached(&options, &listener);
    drop(listener);
    for flooder in flooders {
        flooder.join().unwrap();
    }
}

/// A client that keeps the descriptions of what it gave clears their flags and fills the pipes: to
/// ring must not wait for it.
pub(crate) fn a_bell_never_blocks() {
    for (_, options) in tiers() {
        let options = options.spin(Spin::Never);
        let listener = options.listen(abstract_name()).unwrap();
        let fake = Fake::new();
        thread::scope(|scope| {
            let client = scope.spawn(|| options.connect(&fake.address).unwrap());
            let request = fake.receive();
            request.send(listener.address());
            let mut server = listener.accept_timeout(LONG).unwrap();
            let mut client = client.join().unwrap();
            request.fds[3..].iter().for_each(fill);
            // It asks to be woken, and its doorbell is full; nothing else may be.
            assert!(!ipc_shm::Ready::arm(client.receiver()).unwrap());
            server.send(b"for whom the bell tolls").unwrap();
            assert_eq!(client.recv().unwrap(), b"for whom the bell tolls");
            while client.try_send(&[0; 1000]).is_ok() {}
            request.fds[3..].iter().for_each(fill);
            while server.try_recv().is_ok() {}
        });
    }
}

/// Fills a pipe, and has whoever shares the description wait for room.
fn fill(bell: &OwnedFd) {
    fcntl(bell, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut pipe = File::from(bell.try_clone().unwrap());
    while pipe.write(&[1]).is_ok() {}
    fcntl(bell, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
}

/// Wherever they end: an error on one side, an error on the other, and no more.
pub(crate) fn no_descriptors_is_an_error_and_leaks_none() {
    for (_, options) in tiers() {
        let listener = options.listen(abstract_name()).unwrap();
        let (mut refused, before) = (0, count());
        for left in 0.. {
            let (request, socket) = request(&options);
            request.send(listener.address());
            let used = count() - 1; // less the one that counts
            setrlimit(Resource::RLIMIT_NOFILE, (used + left) as u64, 4096).unwrap();
            let accepted = listener.try_accept();
            setrlimit(Resource::RLIMIT_NOFILE, 1024, 4096).unwrap();
            match accepted {
                Ok(_) => break,
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("Too many open files"), "{text}");
                    // With none for the answer's socket there is no answer.
                    assert!(matches!(answer(&socket), None | Some(SHORTAGE)));
                    refused += 1;
                }
            }
            drop((request, socket));
            assert_eq!(count(), before);
        }
        assert!(refused >= 5, "{refused}");
        attached(&options, &listener);
    }
}

/// What each gave the other can be neither resized nor, without trust, mapped writable.
pub(crate) fn what_is_attached_is_sealed() {
    for (tier, options) in tiers() {
        let listener = options.listen(abstract_name()).unwrap();
        let (client, server) = attached(&options, &listener);
        for mut end in [client, server] {
            let mut files = Vec::new();
            let mut each = |fd: std::os::fd::BorrowedFd<'_>| {
                files.push(File::from(fd.try_clone_to_owned().unwrap()));
            };
            end.sender().fds(&mut each);
            end.receiver().fds(&mut each);
            for at in [0, 1, 4, 5] {
                let memory = &mut files[at];
                let refused = memory.set_len(0).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
                let written = memory.write(&[0]).is_ok();
                assert_eq!(written, tier == "trusted");
                let seals = fcntl(memory.as_fd(), FcntlArg::F_GET_SEALS).unwrap();
                assert_eq!(seals & 0x10 != 0, tier == "untrusted");
            }
            let told = end.into_parts();
            if tier == "untrusted" {
                let (kind, told) = kind_of(told.map(drop));
                assert_eq!(kind, ErrorKind::Unsupported, "{told}");
            } else {
                told.unwrap();
            }
        }
    }
}
