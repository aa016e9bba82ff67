//! Python at the other end.

mod support;

use interop::Language;
use ipc_socket::Kind;
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

fn it_selects() {
    queues::it_selects(
        PYTHON,
        on_queue!(
            "which = [(0, 0), (2, 0), (-4, 0), (4, sysv.MSG_EXCEPT), (0, 0)]\n\
             print(*[sysv.recv(q, number, flags)[0] for number, flags in which])"
        ),
    );
}

fn we_select() {
    queues::we_select(
        PYTHON,
        on_queue!("for kind in [3, 2, 5, 1, 4]: sysv.send(q, kind, b'kind %d' % kind)"),
    );
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
            "m = sysv.ctypes.create_string_buffer(b'\\1', 9000)\n\
             long = lambda: sysv.check(sysv.libc.msgsnd(q, m, 8193, 0))\n\
             print(errno(sysv.send, q, 0, b'x'), errno(long))"
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

fn a_server_on_unix() {
    streams::a_server(PYTHON, Kind::Unix);
}

fn a_server_on_tcp() {
    streams::a_server(PYTHON, Kind::Tcp);
}

fn fifos() {
    streams::a_fifo(PYTHON);
}

fn a_child_on_a_socket() {
    streams::a_child_on_a_socket(PYTHON);
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

ipc_core::cases! {
    bytes_come_back,
    it_selects,
    we_select,
    keys_agree,
    it_fills_the_queue,
    it_waits_for_room,
    too_small_a_buffer_harms_nobody,
    what_the_kernel_refuses,
    removal_is_told,
    a_client_on_unix,
    a_client_on_tcp,
    a_server_on_unix,
    a_server_on_tcp,
    fifos,
    a_child_on_a_socket,
    half_frames,
}
