//! Rings beside sockets in one event loop, without a thread.

use std::fs;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use ipc_core::Async;
use ipc_process::{Child, fork};
use ipc_shm::{Address, Error, Receiver, Sender, ShmDuplex, ShmOptions, Wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 2000;

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap()
}

fn tiers() -> [ShmOptions; 2] {
    let trusted = ShmOptions::new().capacity(1);
    [trusted.clone(), trusted.untrusted()]
}

fn echo(mut shm: ShmDuplex) {
    let (tx, rx) = shm.halves();
    while rx.recv_wait(Wait::Forever).is_ok() {
        let _ = tx.send(rx.message()); // the last answer finds nobody
    }
}

/// A child that echoes on a socket.
fn socket_echo() -> (Child, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut both = Some((ours, theirs));
    let (child, ()) = fork(((), ()), |()| {
        let (ours, mut theirs) = both.take().unwrap();
        drop(ours);
        let mut bytes = [0; 8];
        while theirs.read_exact(&mut bytes).is_ok() {
            let _ = theirs.write_all(&bytes); // the last answer finds nobody
        }
    })
    .unwrap();
    (child, both.unwrap().0)
}

/// Both are answered at their own pace, in one `select!`, until both have had all answers.
async fn beside(shm: ShmDuplex, socket: UnixStream) {
    let mut shm = Async::new(shm).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut socket = tokio::net::UnixStream::from_std(socket).unwrap();
    let (mut rings, mut reads) = (0_usize, 0_usize);
    let mut bytes = [0; 8];
    shm.send(&rings.to_le_bytes()).await.unwrap();
    socket.write_all(&reads.to_le_bytes()).await.unwrap();
    while rings < ROUNDS || reads < ROUNDS {
        tokio::select! {
            message = shm.recv(), if rings < ROUNDS => {
                assert_eq!(message.unwrap(), rings.to_le_bytes());
                rings += 1;
                shm.send(&rings.to_le_bytes()).await.unwrap();
            }
            read = socket.read_exact(&mut bytes), if reads < ROUNDS => {
                read.unwrap();
                assert_eq!(bytes, reads.to_le_bytes());
                reads += 1;
                socket.write_all(&reads.to_le_bytes()).await.unwrap();
            }
        }
    }
    let threads = fs::read_dir("/proc/self/task").unwrap().count();
    assert_eq!(threads, 1, "nothing waits in a thread");
}

fn a_ring_stands_beside_a_socket() {
    for options in tiers() {
        let (stream, socket) = socket_echo();
        let (ring, shm) = fork(options.pair().unwrap(), echo).unwrap();
        runtime().block_on(beside(shm, socket));
        ring.join().unwrap();
        stream.join().unwrap();
    }
}

fn a_ring_by_name_stands_beside_a_socket() {
    for options in tiers() {
        let name = format!("ipc-shm-async-{}", process::id());
        let listener = options.listen(Address::Abstract(name.into())).unwrap();
        let (stream, socket) = socket_echo();
        let (ring, ()) = fork(((), ()), |()| {
            echo(options.connect(listener.address()).unwrap());
        })
        .unwrap();
        let shm = listener.accept().unwrap();
        runtime().block_on(beside(shm, socket));
        ring.join().unwrap();
        stream.join().unwrap();
    }
}

/// A half that waits for room, and one that waits for messages, each in a task of its own.
fn halves_are_tasks() {
    for options in tiers() {
        let (ring, shm) = fork(options.pair().unwrap(), echo).unwrap();
        runtime().block_on(async {
            let (tx, rx) = shm.split();
            let (mut tx, mut rx) = (Async::new(tx).unwrap(), Async::new(rx).unwrap());
            let sending = tokio::spawn(async move {
                for number in 0..ROUNDS {
                    let msg = vec![number.to_le_bytes()[0]; number % 2000];
                    tx.send(&msg).await.unwrap();
                }
            });
            for number in 0..ROUNDS {
                let message = rx.recv().await.unwrap();
                assert_eq!(message, vec![number.to_le_bytes()[0]; number % 2000]);
            }
            sending.await.unwrap();
        });
        ring.join().unwrap();
    }
}

fn a_death_is_noticed() {
    for options in tiers() {
        let (child, shm) = fork(options.pair().unwrap(), |mut shm: ShmDuplex| {
            let _ = shm.recv_timeout(Duration::from_millis(20)); // the other sleeps
            process::abort();
        })
        .unwrap();
        runtime().block_on(async {
            let mut shm = Async::new(shm).unwrap();
            assert!(matches!(shm.recv().await, Err(Error::Disconnected)));
        });
        assert!(child.join().is_err());
    }
}

/// Whoever comes while nobody accepts waits, and one that is given up has accepted nobody.
fn clients_are_accepted_without_a_thread() {
    let name = format!("ipc-shm-async-{}", process::id());
    let address = Address::Abstract(name.into_bytes());
    for options in tiers() {
        let listener = options.listen(&address).unwrap();
        let (connecting, address) = (options.clone(), address.clone());
        runtime().block_on(async {
            let mut listener = Async::new(listener).unwrap();
            let mut once = |cx: &mut Context<'_>| pin!(listener.accept()).poll(cx).is_pending();
            assert!(poll_fn(|cx| Poll::Ready(once(cx))).await, "nobody is there");
            let client = thread::spawn(move || {
                let mut shm = connecting.connect(&address).unwrap();
                shm.send(b"hello").unwrap();
                assert_eq!(shm.recv().unwrap(), b"hello");
            });
            let mut shm = Async::new(listener.accept().await.unwrap()).unwrap();
            let hello = shm.recv().await.unwrap().to_vec();
            shm.send(&hello).await.unwrap();
            client.join().unwrap();
        });
    }
}

ipc_core::cases! {
    clients_are_accepted_without_a_thread,
    a_ring_stands_beside_a_socket,
    a_ring_by_name_stands_beside_a_socket,
    halves_are_tasks,
    a_death_is_noticed,
}
