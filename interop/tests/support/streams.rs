//! Frames over every kind of stream, with either language at the other end.

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use interop::{Language, Peer};
use ipc_core::{Channel, Receiver, Sender};
use ipc_fifo::{Fifo, FifoReceiver};
use ipc_socket::{Address, Error, Kind, Listener, SocketOptions, Wait};

const SOON: Wait = Wait::Forever; // the runner's watchdog is the deadline

/// A listener of ours, and its address as PHP writes it.
fn listen(kind: Kind, directory: &tempfile::TempDir) -> (Listener, String) {
    let path = directory.path().join("socket");
    let address: Address = match kind {
        Kind::Tcp => "127.0.0.1:0".parse().unwrap(),
        _ => path.to_str().unwrap().parse().unwrap(),
    };
    let listener = SocketOptions::new().kind(kind).listen(&address).unwrap();
    let url = match kind {
        Kind::Tcp => format!("tcp://{}", listener.address()),
        _ => format!("unix://{}", path.display()),
    };
    (listener, url)
}

/// A hundred requests under way at once; the client half-closes, and every answer comes.
pub(crate) fn a_client(language: Language, kind: Kind) {
    let directory = tempfile::tempdir().unwrap();
    let (listener, url) = listen(kind, &directory);
    serve(
        &listener,
        Peer::start(language.script("client"), &[&url]),
        10_004,
    );
}

/// The same by a name that is no file's.
pub(crate) fn a_client_by_an_abstract_name(language: Language) {
    let name = abstract_name();
    let listener = ipc_socket::listen(name.parse::<Address>().unwrap()).unwrap();
    let url = format!("unix://{name}");
    serve(
        &listener,
        Peer::start(language.script("client"), &[&url]),
        10_004,
    );
}

pub(crate) fn abstract_name() -> String {
    format!("@interop-{}", std::process::id())
}

pub(crate) fn serve(listener: &Listener, client: Peer, requests: usize) {
    let mut end = listener.accept().unwrap();
    let mut count = 0;
    loop {
        let (tx, rx) = end.halves();
        match rx.recv() {
            Ok(message) => tx.send(message).unwrap(),
            Err(Error::Disconnected) => break,
            Err(error) => panic!("{error}"),
        }
        count += 1;
    }
    assert_eq!(count, requests);
    drop(end);
    assert_eq!(client.join(), "all answered");
}

pub(crate) fn a_server(language: Language, kind: Kind) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let url = match kind {
        Kind::Tcp => "tcp://127.0.0.1:0".to_owned(),
        _ => format!("unix://{}", path.display()),
    };
    let mut server = Peer::start(language.script("server"), &[&url]);
    let address: Address = server.line().parse().unwrap();
    let options = SocketOptions::new().kind(kind);
    let mut end = options.connect(&address).unwrap();
    exchange(&mut end);
    drop(end);
    assert_eq!(server.join(), "505 messages");
}

/// Who sends all requests and only then reads the answers waits for a server that waits for it.
pub(crate) fn a_client_of_its_own_server(language: Language) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("unix://{}", directory.path().join("socket").display());
    let mut server = Peer::start(language.script("server"), &[&url]);
    server.line(); // it listens
    let client = Peer::start(language.script("client"), &[&url]);
    assert_eq!(client.join(), "all answered");
    assert_eq!(server.join(), "10004 messages");
}

pub(crate) fn a_fifo(language: Language) {
    let directory = tempfile::tempdir().unwrap();
    let there = Fifo::create(directory.path().join("there")).unwrap();
    let back = Fifo::create(directory.path().join("back")).unwrap();
    let rx = FifoReceiver::open(back.path()).unwrap();
    let peer = Peer::start(language.script("fifo"), &[&there.path(), &back.path()]);
    let tx = there.sender(SOON).unwrap();
    let mut end = ipc_fifo::Duplex::new(tx, rx);
    exchange(&mut end);
    let (tx, mut rx) = end.split();
    drop(tx);
    assert!(matches!(rx.recv(), Err(ipc_fifo::Error::Disconnected)));
    assert_eq!(peer.join(), "505 messages");
}

/// A child whose standard input and output are one unix socket.
pub(crate) fn a_child_on_a_socket(language: Language) {
    let (mut ours, theirs) = ipc_socket::pair().unwrap();
    let (mut fds, _) = ipc_core::Inherit::into_parts(theirs).unwrap();
    let theirs: OwnedFd = fds.pop().unwrap();
    drop(fds);
    let mut command = language.script("pipe");
    command.stdin(Stdio::from(theirs.try_clone().unwrap()));
    command.stdout(Stdio::from(theirs));
    let mut child = command.spawn().unwrap();
    drop(command); // it holds the child's end
    exchange(&mut ours);
    ours.sender().shutdown(SOON).unwrap();
    assert!(matches!(ours.recv(), Err(Error::Disconnected)));
    assert!(child.wait().unwrap().success());
}

/// A child whose standard input and output are a pipe each, as a shell would have it.
pub(crate) fn a_child_on_pipes(language: Language) {
    let (tx, stdin) = ipc_pipe::channel().unwrap();
    let (stdout, rx) = ipc_pipe::channel().unwrap();
    let mut command = language.script("pipe");
    command.stdin(stdin.into_blocking().unwrap());
    command.stdout(stdout.into_blocking().unwrap());
    let mut child = command.spawn().unwrap();
    drop(command); // it holds the child's ends
    let mut end = ipc_pipe::Duplex::new(tx, rx);
    exchange(&mut end);
    let (tx, mut rx) = end.split();
    drop(tx);
    assert!(matches!(rx.recv(), Err(ipc_pipe::Error::Disconnected)));
    assert!(child.wait().unwrap().success());
}

/// Whoever closes inside a frame is malformed, and the next client is served.
pub(crate) fn half_frames(language: Language, send: &str) {
    for kind in [Kind::Unix, Kind::Tcp] {
        let directory = tempfile::tempdir().unwrap();
        let (listener, url) = listen(kind, &directory);
        for (half, wanted) in [("0000", 0), ("0000000a616263", 0), ("00000001780000", 1)] {
            let client = Peer::start(language.code(send), &[&url, &half]);
            let mut end = listener.accept().unwrap();
            for _ in 0..wanted {
                assert_eq!(end.recv().unwrap(), b"x");
            }
            let found = end.recv().map(<[u8]>::to_vec);
            assert!(
                matches!(found, Err(Error::Malformed { .. })),
                "{half}: {found:?}"
            );
            client.join();
        }
        // 4 GiB are claimed: refused at the header, while the client still waits.
        let client = Peer::start(language.code(send), &[&url, &"fffffffe616263"]);
        let mut end = listener.accept().unwrap();
        assert!(matches!(end.recv(), Err(Error::Malformed { .. })));
        client.join();
        drop(end);
        honest(kind, &listener);
    }
}

fn honest(kind: Kind, listener: &Listener) {
    let address = listener.address().to_string();
    let mut client: Box<dyn Write> = match kind {
        Kind::Tcp => Box::new(TcpStream::connect(address).unwrap()),
        _ => Box::new(UnixStream::connect(address).unwrap()),
    };
    client.write_all(b"\0\0\0\x02hi").unwrap();
    let mut end = listener.accept().unwrap();
    let message = end.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(message, b"hi");
}

/// 505 messages: empty, of many lengths, many under way at once, one larger than all buffers.
pub(crate) fn exchange(end: &mut dyn Channel) {
    for len in [0, 1, 4096, 65_536] {
        let message = vec![b'x'; len];
        end.send(&message).unwrap();
        assert_eq!(end.recv().unwrap(), message);
    }
    for i in 0..500 {
        end.send(format!("message {i}").as_bytes()).unwrap();
    }
    for i in 0..500 {
        assert_eq!(end.recv().unwrap(), format!("message {i}").as_bytes());
    }
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    end.send(&large).unwrap();
    assert!(end.recv().unwrap() == large);
}
