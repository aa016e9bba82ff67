//! Who is at the other end, by the kernel's word.

use std::os::fd::{AsFd, AsRawFd};
use std::process;

use ipc_process::fork;
use ipc_socket::{Address, Error, Interest, Kind, Receiver, Sender, SocketOptions, Wait};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::{Gid, Uid, getegid, geteuid, setegid, seteuid};

const UNIX: [Kind; 2] = [Kind::Unix, Kind::Seqpacket];

fn name() -> Address {
    Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes())
}

fn both_ends_and_both_halves_know_each_other() {
    for kind in UNIX {
        let options = SocketOptions::new().kind(kind);
        let listener = options.listen(name()).unwrap();
        let address = listener.address();
        let (child, ()) = fork(((), ()), |()| {
            let mut server = options.connect(address).unwrap();
            let found = server.receiver().credentials().unwrap();
            assert_eq!(found.pid, Some(std::os::unix::process::parent_id()));
            server.recv().map(drop)
        })
        .unwrap();
        let mut client = listener.accept().unwrap();
        let found = client.receiver().credentials().unwrap();
        assert_eq!(found.pid, Some(child.pid()), "{kind}");
        assert_eq!(found.uid, geteuid().as_raw());
        assert_eq!(found.gid, getegid().as_raw());
        assert_eq!(client.sender().credentials().unwrap(), found);
        client.send(b"").unwrap();
        child.join().unwrap();
        // It was so when it connected, and stays so.
        assert_eq!(client.receiver().credentials().unwrap(), found);
    }
}

/// The effective ids count: those are what the kernel checks everywhere.
fn another_user_is_another_user() {
    if !geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let listener = ipc_socket::listen(name()).unwrap();
    let address = listener.address();
    let (child, ()) = fork(((), ()), |()| {
        setegid(Gid::from_raw(4242)).unwrap();
        seteuid(Uid::from_raw(4343)).unwrap();
        let mut server = ipc_socket::connect(address).unwrap();
        seteuid(Uid::from_raw(0)).unwrap(); // too late
        server.recv().map(drop)
    })
    .unwrap();
    let mut client = listener.accept().unwrap();
    let found = client.receiver().credentials().unwrap();
    assert_eq!((found.uid, found.gid), (4343, 4242));
    client.send(b"").unwrap();
    child.join().unwrap();
}

fn a_pidfd_is_the_peers_and_tells_its_end() {
    for kind in UNIX {
        let options = SocketOptions::new().kind(kind);
        let listener = options.listen(name()).unwrap();
        let address = listener.address();
        let (child, ()) = fork(((), ()), |()| {
            let mut server = options.connect(address).unwrap();
            server.recv().map(drop)
        })
        .unwrap();
        let mut client = listener.accept().unwrap();
        let pidfd = match client.receiver().pidfd() {
            Err(error) if error.to_string().contains("Protocol not available") => {
                eprintln!("skipped: Linux 6.5 has SO_PEERPIDFD");
                return;
            }
            pidfd => pidfd.unwrap(),
        };
        let flags = fcntl(&pidfd, FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
        let pid = format!("Pid:\t{}\n", child.pid());
        assert!(info.unwrap().contains(&pid));
        let ended = |wait| ipc_core::poll(pidfd.as_fd(), Interest::Read, wait).unwrap();
        assert!(!ended(Wait::Never));
        client.send(b"").unwrap();
        assert!(ended(Wait::Forever));
        child.join().unwrap();
    }
}

/// The kernel has an answer for TCP: process 0, user and group -1.
fn nobody_vouches_over_tcp() {
    let (mut ours, _theirs) = SocketOptions::new().kind(Kind::Tcp).pair().unwrap();
    let error = ours.receiver().credentials().unwrap_err();
    assert!(matches!(error, Error::Os { .. }), "{error}");
    assert!(error.to_string().contains("SO_PEERCRED"), "{error}");
    ours.sender().pidfd().unwrap_err();
}

ipc_core::cases! {
    both_ends_and_both_halves_know_each_other,
    another_user_is_another_user,
    a_pidfd_is_the_peers_and_tells_its_end,
    nobody_vouches_over_tcp,
}
