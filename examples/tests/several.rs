//! Five mechanisms at once in one thread: [`Select`], and `select!` in one task.

use std::time::Duration;

use ipc_core::{Async, Error, Ready, Receiver, Result, Select, Sender};
use ipc_fifo::{FifoReceiver, FifoSender};
use ipc_msgqueue::{QueueReceiver, QueueSender};
use ipc_pipe::{PipeReceiver, PipeSender};
use ipc_process::Child;
use ipc_shm::{ShmReceiver, ShmSender};
use ipc_socket::{SocketReceiver, SocketSender};
use tokio::time::timeout;

/// Messages of each.
const COUNT: u32 = 2000;
const SOON: Duration = Duration::from_millis(50);

type Senders = (
    (PipeSender, FifoSender, SocketSender),
    (ShmSender, QueueSender, PipeReceiver),
);
type Receivers = (
    (PipeReceiver, FifoReceiver, SocketReceiver),
    (ShmReceiver, QueueReceiver, PipeSender),
);

/// A child that sends over all of them, in an order that repeats itself only late, and keeps them
/// open until it is told to go.
fn sender() -> (Child, Receivers) {
    let (pipe, fifo) = (ipc_pipe::channel().unwrap(), ipc_fifo::channel().unwrap());
    let (socket, shm) = (ipc_socket::channel().unwrap(), ipc_shm::channel().unwrap());
    let (queue, go) = (
        ipc_msgqueue::channel().unwrap(),
        ipc_pipe::channel().unwrap(),
    );
    let senders = ((pipe.0, fifo.0, socket.0), (shm.0, queue.0, go.1));
    let receivers = ((pipe.1, fifo.1, socket.1), (shm.1, queue.1, go.0));
    ipc_process::fork((receivers, senders), |senders: Senders| -> Result<()> {
        let ((mut pipe, mut fifo, mut socket), (mut shm, mut queue, mut go)) = senders;
        let all: [&mut dyn Sender; 5] = [&mut pipe, &mut fifo, &mut socket, &mut shm, &mut queue];
        let (mut sent, mut random) = ([0; 5], 1_u32);
        while sent.iter().any(|&sent| sent < COUNT) {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 16) as usize % 5;
            if sent[at] < COUNT {
                all[at].send(&message(at, sent[at]))?;
                sent[at] += 1;
            }
            if random >> 24 == 0 {
                std::thread::sleep(Duration::from_micros(300)); // let them sleep
            }
        }
        go.recv().map(drop)
    })
    .unwrap()
}

fn message(at: usize, seq: u32) -> Vec<u8> {
    let mut message = seq.to_le_bytes().to_vec();
    let len = message.len() + seq as usize * (at + 1) % 3000;
    message.resize(len, b"abcde"[at]);
    message
}

/// The message at `at` that comes next.
fn check(received: &mut [u32; 5], at: usize, message: &[u8]) {
    assert_eq!(
        message,
        self::message(at, received[at]),
        "of mechanism {at}"
    );
    received[at] += 1;
}

/// What [`Select`] needs to know of a receiver, and what is done once it is ready.
trait Member: Ready + Receiver {}
impl<T: Ready + Receiver> Member for T {}

fn select_in_one_thread() {
    let (child, ((mut pipe, mut fifo, mut socket), (mut shm, queue, mut go))) = sender();
    let mut queue = queue.bridge().unwrap();
    let mut members: [&mut dyn Member; 5] =
        [&mut pipe, &mut fifo, &mut socket, &mut shm, &mut queue];
    let (mut select, mut received) = (Select::new(), [0; 5]);
    while received != [COUNT; 5] {
        let at = wait(&mut select, &mut members, Duration::from_secs(20)).unwrap();
        match members[at].try_recv() {
            Err(Error::WouldBlock) => {} // a part of one
            message => check(&mut received, at, message.unwrap()),
        }
    }
    // Nothing is ready any more, until the ends come: of all but the queue, which has none.
    let late = wait(&mut select, &mut members, SOON);
    assert!(matches!(late, Err(Error::TimedOut)), "{late:?}");
    go.send(b"go").unwrap();
    child.join().unwrap();
    let mut ended: Vec<_> = (0..4)
        .map(|_| {
            let at = wait(&mut select, &mut members, Duration::from_secs(20)).unwrap();
            assert!(matches!(members[at].try_recv(), Err(Error::Disconnected)));
            at
        })
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3], "each has its turn");
}

fn wait(select: &mut Select, members: &mut [&mut dyn Member; 5], limit: Duration) -> Result<usize> {
    let mut members = members.each_mut().map(|member| member as &mut dyn Ready);
    select.wait(&mut members, limit.into())
}

fn select_in_one_task() {
    let (child, ((pipe, fifo, socket), (shm, queue, mut go))) = sender();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let (mut pipe, mut fifo) = (Async::new(pipe).unwrap(), Async::new(fifo).unwrap());
        let (mut socket, mut shm) = (Async::new(socket).unwrap(), Async::new(shm).unwrap());
        let mut queue = Async::new(queue.bridge().unwrap()).unwrap();
        let mut received = [0; 5];
        let mut next = async || {
            // All but one are dropped every time.
            let (at, message) = tokio::select! {
                message = pipe.recv() => (0, message),
                message = fifo.recv() => (1, message),
                message = socket.recv() => (2, message),
                message = shm.recv() => (3, message),
                message = queue.recv() => (4, message),
            };
            message.map(|message| check(&mut received, at, message))
        };
        for _ in 0..5 * COUNT {
            let next = timeout(Duration::from_secs(20), next()).await;
            next.expect("it hangs").unwrap();
        }
        timeout(SOON, next()).await.unwrap_err();
        go.send(b"go").unwrap();
        assert!(matches!(next().await, Err(Error::Disconnected)));
        assert_eq!(received, [COUNT; 5]);
    });
    child.join().unwrap();
}

ipc_core::cases! { select_in_one_thread, select_in_one_task }
