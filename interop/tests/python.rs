//! Python at the other end.

mod support;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};

use interop::{Language, Peer};
use ipc_socket::{Address, Error, Kind, Receiver, Sender, SocketOptions, Wait};
use support::{queues, streams};

const PYTHON: Language = Language::Python;

/// How Python opens the queue of the file that it is given.
macro_rules! on_queue {
    ($code:literal) => {
        concat!(
            "import sys, time\n",
            "sys.path.insert(0, '",
            env!("CARGO_MANIFEST_DIR"),
            "/python')\n",
            "import sysv\n",
            "def errno(call, *arguments):\n",
            "    try:\n",
            "        call(*arguments)\n",
            "    except OSError as error:\n",
            "        return error.errno\n",
            "q = sysv.get(sysv.ftok(sys.argv[1], 'q'))\n",
            $code
        )
    };
}

fn bytes_come_back() {
    queues::bytes_come_back(PYTHON);
}

/// Takes five, each by another selection.
const IT_TAKES: &str = on_queue!(
    "which = [(0, 0), (2, 0), (-4, 0), (4, sysv.MSG_EXCEPT), (0, 0)]\n\
     print(*[sysv.recv(q, number, flags)[0] for number, flags in which])"
);
const IT_SENDS: &str =
    on_queue!("for kind in [3, 2, 5, 1, 4]: sysv.send(q, kind, b'kind %d' % kind)");

fn it_selects() {
    queues::it_selects(PYTHON, IT_TAKES);
}

fn we_select() {
    queues::we_select(PYTHON, IT_SENDS);
}

fn we_peek() {
    queues::we_peek(PYTHON, IT_SENDS, IT_TAKES);
}

fn spilled_bodies_pass_through() {
    queues::spilled_bodies_pass_through(PYTHON);
}

fn keys_agree() {
    queues::keys_agree(
        PYTHON,
        "import ctypes, sys; print(ctypes.CDLL(None).ftok(sys.argv[1].encode(), int(sys.argv[2], 16)))",
    );
}

fn it_fills_the_queue() {
    queues::it_fills(
        PYTHON,
        on_queue!(
            "n = 0\n\
             while not (e := errno(sysv.send, q, 1, b'x' * 1000, sysv.IPC_NOWAIT)): n += 1\n\
             print(n, e)"
        ),
    );
}

fn it_waits_for_room() {
    queues::it_waits_for_room(
        PYTHON,
        on_queue!("print('sending', flush=True); sysv.send(q, 1, b'y' * 1000); print('sent')"),
    );
}

fn too_small_a_buffer_harms_nobody() {
    queues::too_small_a_buffer_harms_nobody(
        PYTHON,
        on_queue!("sysv.MSGMAX = 4; print(errno(sysv.recv, q), errno(sysv.recv, q))"),
    );
}

fn what_the_kernel_refuses() {
    queues::what_the_kernel_refuses(
        PYTHON,
        on_queue!(
            "long = [b'x' * (sysv.MSGMAX + 1), b'x' * 100 * sysv.MSGMAX]\n\
             print(errno(sysv.send, q, 0, b'x'), *[errno(sysv.send, q, 1, text) for text in long])"
        ),
    );
}

fn removal_is_told() {
    queues::removal(
        PYTHON,
        on_queue!("time.sleep(0.05); sysv.check(sysv.libc.msgctl(q, 0, None))"),
        on_queue!("print('waiting', flush=True); print(errno(sysv.recv, q))"),
    );
}

fn a_client_on_unix() {
    streams::a_client(PYTHON, Kind::Unix);
}

fn a_client_on_tcp() {
    streams::a_client(PYTHON, Kind::Tcp);
}

fn a_client_by_an_abstract_name() {
    streams::a_client_by_an_abstract_name(PYTHON);
}

fn a_server_on_unix() {
    streams::a_server(PYTHON, Kind::Unix);
}

fn a_server_on_tcp() {
    streams::a_server(PYTHON, Kind::Tcp);
}

fn a_client_of_its_own_server() {
    streams::a_client_of_its_own_server(PYTHON);
}

fn fifos() {
    streams::a_fifo(PYTHON);
}

fn a_child_on_a_socket() {
    streams::a_child_on_a_socket(PYTHON);
}

fn a_child_on_pipes() {
    streams::a_child_on_pipes(PYTHON);
}

/// Packets both ways, over a path and an abstract name.
fn packets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    for name in [path.to_str().unwrap(), &streams::abstract_name()] {
        let url = format!("unix://{name}");
        let address: Address = name.parse().unwrap();
        let options = SocketOptions::new().kind(Kind::Seqpacket);
        let listener = options.listen(&address).unwrap();
        let client = Peer::start(PYTHON.script("packets"), &[&"call", &url]);
        streams::serve(&listener, client, 1004);
        drop(listener);

        let mut server = Peer::start(PYTHON.script("packets"), &[&"serve", &url]);
        assert_eq!(server.line(), "listening");
        let mut end = options.connect(&address).unwrap();
        for len in [0, 1, 4096, 65_536, end.max_len()] {
            let message = vec![b'x'; len];
            end.send(&message).unwrap();
            assert!(end.recv().unwrap() == message);
        }
        drop(end);
        assert_eq!(server.join(), "5 messages");
        let _ = std::fs::remove_file(&path); // Python leaves it
    }
}

/// Descriptors with a message, both ways.
fn descriptors() {
    for kind in [Kind::Unix, Kind::Seqpacket] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let options = SocketOptions::new().kind(kind).fds(2);
        let listener = options.listen(&*path).unwrap();
        let url = format!("unix://{}", path.display());
        let peer = Peer::start(PYTHON.script("fds"), &[&url, &kind.to_string()]);
        let mut end = listener.accept().unwrap();
        let files = [file("one"), file("two")];
        let fds = [files[0].as_fd(), files[1].as_fd()];
        end.send(b"without").unwrap();
        end.sender().send_fds(b"with", &fds, Wait::Forever).unwrap();
        end.send(b"after").unwrap();
        for (wanted, text) in [
            (&b"without"[..], None),
            (b"with", Some("onetwo")),
            (b"", None),
        ] {
            assert_eq!(end.recv().unwrap(), wanted);
            let found: Vec<_> = end.receiver().take_fds().into_iter().map(read).collect();
            assert_eq!(found, Vec::from_iter(text));
        }
        assert!(matches!(end.recv(), Err(Error::Disconnected)));
        assert_eq!(peer.join(), "");
    }
}

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn read(fd: OwnedFd) -> String {
    let (mut file, mut text) = (File::from(fd), String::new());
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn half_frames() {
    streams::half_frames(
        PYTHON,
        concat!(
            "import sys; sys.path.insert(0, '",
            env!("CARGO_MANIFEST_DIR"),
            "/python')\n",
            "import socket; from frames import address\n",
            "family, name = address(sys.argv[1])\n",
            "s = socket.socket(family); s.connect(name)\n",
            "s.sendall(bytes.fromhex(sys.argv[2])); s.close()"
        ),
    );
}

interop::cases! { PYTHON =>
    bytes_come_back,
    it_selects,
    we_select,
    we_peek,
    spilled_bodies_pass_through,
    keys_agree,
    it_fills_the_queue,
    it_waits_for_room,
    too_small_a_buffer_harms_nobody,
    what_the_kernel_refuses,
    removal_is_told,
    a_client_on_unix,
    a_client_on_tcp,
    a_client_by_an_abstract_name,
    a_server_on_unix,
    a_server_on_tcp,
    a_client_of_its_own_server,
    fifos,
    a_child_on_a_socket,
    a_child_on_pipes,
    packets,
    descriptors,
    half_frames,
}
