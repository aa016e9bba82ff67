//! Under tokio: a listener, and receivers of what comes in parts.

mod support;

use std::fs::File;
use std::io::{IoSlice, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::time::Duration;

use ipc_core::conformance::cancel::a_receive_dropped_after_every_byte;
use ipc_socket::{
    Address, Async, Error, Kind, Receiver, Sender, SocketOptions, SocketReceiver, Wait,
};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, send, sendmsg};
use support::sys::{SO_PASSRIGHTS, forget};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_millis(20);
/// Two frames.
const A: &[u8] = b"\0\0\0\x01a";
const B: &[u8] = b"\0\0\0\x01b";
/// A hang is a failure.
const WATCHDOG: Duration = Duration::from_secs(10);

fn name() -> Address {
    Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes())
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

fn connections_are_accepted_as_they_come() {
    run(async {
        for kind in [Kind::Unix, Kind::Seqpacket] {
            let options = SocketOptions::new().kind(kind);
            let mut listener = Async::new(options.listen(name()).unwrap()).unwrap();
            let clients = tokio::spawn(async move {
                for client in 0..100u8 {
                    if client % 3 == 0 {
                        sleep(Duration::from_millis(1)).await;
                    }
                    let end = options.try_connect(name()).unwrap();
                    let mut end = Async::new(end).unwrap();
                    end.send(&[client]).await.unwrap();
                }
            });
            for client in 0..100u8 {
                let mut end = Async::new(listener.accept().await.unwrap()).unwrap();
                assert_eq!(end.recv().await.unwrap(), [client]);
            }
            clients.await.unwrap();
        }
    });
}

/// One that is given up has accepted nothing.
fn a_cancelled_accept_loses_no_connection() {
    run(async {
        let mut listener = Async::new(ipc_socket::listen(name()).unwrap()).unwrap();
        for _ in 0..3 {
            timeout(SOON, listener.accept()).await.unwrap_err();
        }
        let mut ours = ipc_socket::connect(name()).unwrap();
        // Ready, but dropped before it was polled.
        drop(listener.accept());
        let theirs = listener.accept().await.unwrap();
        timeout(SOON, listener.accept()).await.unwrap_err();
        drop(theirs);
        assert!(matches!(ours.recv(), Err(Error::Disconnected)));
    });
}

/// Many are refused in one go: those that come after them are noticed all the same.
fn refusals_do_not_hide_a_connection() {
    run(async {
        let options = SocketOptions::new().max_peers(1);
        let mut listener = Async::new(options.listen(name()).unwrap()).unwrap();
        let connect = || options.try_connect(name()).unwrap();
        let _first = connect();
        let first = listener.accept().await.unwrap();
        let mut refused: Vec<_> = (0..300).map(|_| connect()).collect();
        timeout(SOON, listener.accept()).await.unwrap_err();
        for end in &mut refused {
            assert!(matches!(end.try_recv(), Err(Error::Disconnected)));
        }
        drop(first);
        let _second = connect();
        listener.accept().await.unwrap();
    });
}

/// Receives two frames, of whose arrival the reactor has told before the first was read. Once that
/// is `received`, something may happen.
async fn both_are_received(rx: SocketReceiver, send: impl FnOnce(), received: impl FnOnce()) {
    let mut rx = Async::new(rx).unwrap();
    timeout(SOON, rx.recv()).await.unwrap_err();
    send();
    sleep(SOON).await;
    assert_eq!(rx.recv().await.unwrap(), b"a");
    received();
    let more = timeout(WATCHDOG, rx.recv()).await;
    assert_eq!(more.expect("it hangs").unwrap(), b"b");
}

/// A read ends behind descriptors, and short: what came after them is noticed all the same.
fn descriptors_hide_nothing_behind_them() {
    run(async {
        let (mut tx, rx) = SocketOptions::new().fds(1).channel().unwrap();
        let null = File::open("/dev/null").unwrap();
        let send = || {
            tx.send_fds(b"a", &[null.as_fd()], Wait::Never).unwrap();
            tx.try_send(b"b").unwrap();
        };
        both_are_received(rx, send, || {}).await;
    });
}

/// Nor do those that nobody asked for: another program was given an end of a pair.
fn nor_do_descriptors_that_nobody_takes() {
    run(async {
        let (tx, rx) = ipc_socket::channel().unwrap();
        let null = File::open("/dev/null").unwrap();
        let fds = [null.as_raw_fd()];
        let say = |frame: &[u8], fds: &[ControlMessage<'_>]| {
            let (raw, frame) = (tx.as_fd().as_raw_fd(), [IoSlice::new(frame)]);
            sendmsg::<()>(raw, &frame, fds, MsgFlags::empty(), None)
        };
        let send = || {
            let sent = match say(A, &[ControlMessage::ScmRights(&fds)]) {
                Err(Errno::EPERM) => say(A, &[]), // they are barred
                sent => sent,
            };
            sent.and_then(|_| say(B, &[])).unwrap();
        };
        both_are_received(rx, send, || {}).await;
    });
}

fn nor_do_they_before_linux_6_16() {
    forget(SO_PASSRIGHTS);
    nor_do_descriptors_that_nobody_takes();
}

/// A stranger's out-of-band bytes end a read, and no flag tells: what he sent behind them is noticed
/// with what he sends next, and with his end.
fn out_of_band_bytes_delay_their_own_sender_alone() {
    for ends in [true, false] {
        run(async {
            let (stranger, ours) = UnixStream::pair().unwrap();
            let say = |bytes, flags| send(stranger.as_raw_fd(), bytes, flags).unwrap();
            let say_all = || {
                say(A, MsgFlags::empty());
                say(b"!", MsgFlags::MSG_OOB);
                say(B, MsgFlags::empty());
            };
            let go_on = || {
                if ends {
                    stranger.shutdown(Shutdown::Both).unwrap();
                } else {
                    say(A, MsgFlags::empty());
                }
            };
            let rx = SocketOptions::new().receiver(ours).unwrap();
            both_are_received(rx, say_all, go_on).await;
        });
    }
}

fn a_receive_may_be_dropped_after_every_byte() {
    let (ours, mut unix) = UnixStream::pair().unwrap();
    let rx = SocketOptions::new().receiver(ours).unwrap();
    a_receive_dropped_after_every_byte(rx, |bytes| unix.write_all(bytes).unwrap());
    for kind in [Kind::Unix, Kind::Tcp] {
        let (tx, rx) = SocketOptions::new().kind(kind).channel().unwrap();
        let mut raw = File::from(tx.as_fd().try_clone_to_owned().unwrap());
        a_receive_dropped_after_every_byte(rx, |bytes| raw.write_all(bytes).unwrap());
    }
}

ipc_core::cases! {
    descriptors_hide_nothing_behind_them,
    nor_do_descriptors_that_nobody_takes,
    nor_do_they_before_linux_6_16,
    out_of_band_bytes_delay_their_own_sender_alone,
    a_receive_may_be_dropped_after_every_byte,
    connections_are_accepted_as_they_come,
    a_cancelled_accept_loses_no_connection,
    refusals_do_not_hide_a_connection,
}
