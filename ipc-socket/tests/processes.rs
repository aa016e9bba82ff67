//! Ends in other processes: across a fork, in unrelated programs, in parts, and closed by an exec.

use std::env;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{self, Command, ExitCode};

use ipc_process::fork;
use ipc_socket::{
    Address, Channel, Error, Inherit, Kind, Receiver, Result, Sender, SocketDuplex, SocketOptions,
    SocketReceiver, SocketSender, Wait,
};

const ALL: [Kind; 3] = [Kind::Unix, Kind::Seqpacket, Kind::Tcp];
const LARGE: usize = 1 << 20;
/// Makes this program a server that echoes: where and how it is to be found.
const ECHO: &str = "IPC_SOCKET_ECHO";

fn options(kind: Kind) -> SocketOptions {
    SocketOptions::new().kind(kind)
}

fn echo(end: &mut impl Channel) -> Result<()> {
    let (tx, rx) = end.halves();
    loop {
        match rx.recv() {
            Ok(message) => tx.send(message)?,
            Err(Error::Disconnected) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn expect_echo(end: &mut impl Channel) {
    for len in [0, 1, 4092, 4093, 65_536, LARGE] {
        let message = vec![b'x'; len.min(end.max_len())];
        end.send(&message).unwrap();
        assert_eq!(end.recv().unwrap(), message);
    }
}

fn an_echo_in_a_child() {
    for kind in ALL {
        let (child, mut end) =
            fork(options(kind).pair().unwrap(), |mut end| echo(&mut end)).unwrap();
        expect_echo(&mut end);
        drop(end);
        child.join().unwrap();
    }
}

fn children_share_a_listener() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = ipc_socket::listen(any).unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| {
            let accept = |()| echo(&mut listener.accept()?);
            fork(((), ()), accept).unwrap().0
        })
        .collect();
    let connect = || ipc_socket::connect(listener.address()).unwrap();
    let ends = [connect(), connect(), connect()];
    for mut end in ends {
        expect_echo(&mut end);
    }
    for child in children {
        child.join().unwrap();
    }
}

/// This program again, not as a fork: it listens, says so on its output, and serves one connection.
fn serve(kind: &str, address: &str) -> Result<()> {
    let kind = ALL.into_iter().find(|one| one.to_string() == kind).unwrap();
    let listener = options(kind).listen(address.parse::<Address>()?)?;
    println!("{}", listener.address());
    echo(&mut listener.accept()?)
}

fn unrelated_processes_meet() {
    use std::io::{BufRead, BufReader};
    let unique = format!("ipc-socket-{}", process::id());
    let path = env::temp_dir().join(&unique);
    let (path, name) = (path.to_str().unwrap(), format!("@{unique}"));
    for (kind, address) in [
        (Kind::Unix, path),
        (Kind::Unix, &name),
        (Kind::Seqpacket, path),
        (Kind::Seqpacket, &name),
        (Kind::Tcp, "127.0.0.1:0"),
    ] {
        let mut server = Command::new(env::current_exe().unwrap())
            .env(ECHO, format!("{kind} {address}"))
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(server.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address: Address = line.trim_end().parse().unwrap();
        let mut end = options(kind).connect(address).unwrap();
        expect_echo(&mut end);
        end.sender().shutdown(Wait::Forever).unwrap();
        assert!(matches!(end.recv(), Err(Error::Disconnected)));
        assert!(server.wait().unwrap().success());
        assert!(!Path::new(path).exists());
    }
}

fn an_exec_closes_every_end() {
    let before = inherited();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let name = Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes());
    let listeners = [
        ipc_socket::listen(any).unwrap(),
        ipc_socket::listen(name).unwrap(),
    ];
    let connect = |at| ipc_socket::connect(at).unwrap();
    let _connected = listeners
        .each_ref()
        .map(|listener| connect(listener.address()));
    let _accepted = listeners
        .each_ref()
        .map(|listener| listener.accept().unwrap());
    let _ends = ALL.map(|kind| {
        (
            options(kind).channel().unwrap(),
            options(kind).pair().unwrap(),
        )
    });
    assert_eq!(inherited(), before);
}

/// The descriptors of a program that is started now.
fn inherited() -> String {
    let listed = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

fn parts_carry_what_was_read_and_what_was_not_sent() {
    for kind in ALL {
        let (mut tx, mut rx) = options(kind).max_len(2 * LARGE).channel().unwrap();
        let large = vec![3; LARGE.min(tx.max_len())];
        tx.send_many(&[b"one", b"two"], Wait::Never).unwrap();
        assert_eq!(rx.recv().unwrap(), b"one"); // and a stream reads ahead
        tx.try_send(&large).unwrap();
        let ((tx_fds, tx_state), (rx_fds, rx_state)) =
            (tx.into_parts().unwrap(), rx.into_parts().unwrap());
        let mut tx = SocketSender::from_parts(tx_fds, &tx_state).unwrap();
        let mut rx = SocketReceiver::from_parts(rx_fds, &rx_state).unwrap();
        assert_eq!(
            (tx.kind(), rx.kind(), rx.max_len()),
            (kind, kind, 2 * LARGE)
        );
        assert_eq!(rx.recv().unwrap(), b"two");
        loop {
            let _ = tx.flush(Wait::Never);
            match rx.try_recv() {
                Err(Error::WouldBlock) => {}
                received => break assert!(received.unwrap() == large),
            }
        }
        drop(tx);
        assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    }
}

fn an_endpoint_is_made_of_its_parts() {
    for kind in ALL {
        let (a, mut b) = options(kind).pair().unwrap();
        let (fds, state) = a.into_parts().unwrap();
        let mut a = SocketDuplex::from_parts(fds, &state).unwrap();
        a.send(b"there").unwrap();
        assert_eq!(b.recv().unwrap(), b"there");
        b.send(b"back").unwrap();
        assert_eq!(a.recv().unwrap(), b"back");
        drop(a);
        assert!(matches!(b.recv(), Err(Error::Disconnected)));
    }
}

fn foreign_parts_are_refused() {
    fn refused<T: Inherit + std::fmt::Debug>(fds: Vec<OwnedFd>, state: &[u8]) {
        let error = T::from_parts(fds, state).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    for kind in ALL {
        let parts = || options(kind).channel().unwrap().0.into_parts().unwrap();
        let (fds, mut state) = parts();
        SocketSender::from_parts(fds, &state).unwrap();
        // Another kind of socket, and none.
        let other = ALL.into_iter().find(|&other| other != kind).unwrap();
        let (fds, _) = options(other).channel().unwrap().0.into_parts().unwrap();
        refused::<SocketSender>(fds, &state);
        let file: OwnedFd = File::open("/dev/null").unwrap().into();
        refused::<SocketReceiver>(vec![file], &state);
        refused::<SocketSender>(vec![], &state);
        let two = [parts().0, parts().0].into_iter().flatten().collect();
        refused::<SocketSender>(two, &state);
        refused::<SocketSender>(parts().0, &state[..state.len() - 1]);
        state.push(0);
        refused::<SocketSender>(parts().0, &state);
        refused::<SocketDuplex>(vec![], b"");
    }
}

ipc_core::cases! {
    first {
        if let Ok(role) = env::var(ECHO) {
            let (kind, address) = role.split_once(' ').unwrap();
            serve(kind, address).unwrap();
            return ExitCode::SUCCESS;
        }
    }
    an_echo_in_a_child,
    children_share_a_listener,
    unrelated_processes_meet,
    an_exec_closes_every_end,
    an_endpoint_is_made_of_its_parts,
    parts_carry_what_was_read_and_what_was_not_sent,
    foreign_parts_are_refused,
}
