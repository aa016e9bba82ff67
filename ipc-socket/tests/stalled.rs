//! A peer that begins a header and stalls is given up, however it is waited for; one that is slow is not.

mod support;

use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use ipc_socket::{
    Async, Error, Inherit, Kind, Listener, Ready, Receiver, Result, Select, SocketDuplex,
    SocketOptions, SocketReceiver, Wait,
};
use support::{abstract_name, loopback, stranger};
use tokio::runtime::Builder;

const LIMIT: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_millis(20);
/// A frame, and the begin of another in one write.
const BEGUN: &[u8] = b"\0\0\0\x01a\0\0";

/// Listeners of both kinds of stream, that give up who stalls.
fn listeners() -> [Listener; 2] {
    let options = SocketOptions::new().header_deadline(LIMIT);
    [
        options.listen(abstract_name()).unwrap(),
        options.listen(loopback()).unwrap(),
    ]
}

fn is_late(received: Result<&[u8]>) -> bool {
    match received {
        Err(error @ Error::Malformed { .. }) => error.to_string().contains("of a frame header"),
        _ => false,
    }
}

fn a_receive_gives_up_who_stalls() {
    for listener in listeners() {
        for said in [&b""[..], b"\0", b"\0\0\0"] {
            let begin = Instant::now();
            let _stalls = stranger(listener.address(), said);
            let mut peer = listener.accept().unwrap();
            assert!(is_late(peer.recv()), "{said:?}");
            assert!(begin.elapsed() >= LIMIT);
            assert!(is_late(peer.try_recv()), "it says so from then on");
        }
        // After a whole frame, from the first byte of the next.
        let mut stalls = stranger(listener.address(), b"\0\0\0\x01a");
        let mut peer = listener.accept().unwrap();
        assert_eq!(peer.recv().unwrap(), b"a");
        assert!(matches!(peer.recv_timeout(LIMIT * 2), Err(Error::TimedOut)));
        let begin = Instant::now();
        stalls.write_all(b"\0\0").unwrap();
        assert!(is_late(peer.recv()));
        assert!(begin.elapsed() >= LIMIT);
    }
}

/// Among others, too: nothing turns ready then.
fn a_select_finds_who_stalls() {
    for mut listener in listeners() {
        let begin = Instant::now();
        let _silent = stranger(listener.address(), b"");
        let mut silent = listener.accept().unwrap();
        assert!(is_late(next(&mut listener, &mut silent)));
        assert!(begin.elapsed() >= LIMIT);
        let _stalls = stranger(listener.address(), BEGUN);
        let mut peer = listener.accept().unwrap();
        assert_eq!(next(&mut listener, &mut peer).unwrap(), b"a");
        assert!(is_late(next(&mut listener, &mut peer)));
        let others = Select::new().wait(&mut [&mut listener], SOON.into());
        assert!(matches!(others, Err(Error::TimedOut)));
    }
}

/// What `peer` brings by one try each time that it is ready.
fn next<'a>(listener: &mut Listener, peer: &'a mut SocketDuplex) -> Result<&'a [u8]> {
    let mut select = Select::new();
    loop {
        let members: &mut [&mut dyn Ready] = &mut [listener, peer];
        assert_eq!(select.wait(members, Wait::Forever).unwrap(), 1);
        match peer.recv_wait(Wait::Never) {
            Err(Error::WouldBlock) => {}
            received => {
                received?;
                return Ok(SocketDuplex::message(peer));
            }
        }
    }
}

fn an_async_receive_gives_up_who_stalls() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for listener in listeners() {
            for said in [b"", BEGUN] {
                let _stalls = stranger(listener.address(), said);
                let mut peer = Async::new(listener.accept().unwrap()).unwrap();
                if !said.is_empty() {
                    assert_eq!(peer.recv().await.unwrap(), b"a");
                }
                // Dropped in the middle, it goes on where it was.
                poll_fn(|cx| Poll::Ready(pin!(peer.recv()).poll(cx).is_ready())).await;
                assert!(is_late(peer.recv().await), "{said:?}");
                assert!(is_late(peer.recv().await), "it says so from then on");
            }
        }
    });
}

/// Whoever gets a peer from another process keeps an eye on it, too.
fn a_deadline_is_handed_on() {
    for listener in listeners() {
        for said in [b"", BEGUN] {
            let _stalls = stranger(listener.address(), said);
            let (_tx, mut rx) = listener.accept().unwrap().split();
            if !said.is_empty() {
                assert_eq!(rx.recv().unwrap(), b"a");
            }
            let (fds, state) = rx.into_parts().unwrap();
            let mut rx = SocketReceiver::from_parts(fds, &state).unwrap();
            assert!(is_late(rx.recv()), "{said:?}");
        }
        // But not of one that had no more to say.
        let _done = stranger(listener.address(), b"\0\0\0\x01a");
        let (_tx, mut rx) = listener.accept().unwrap().split();
        rx.recv().unwrap();
        let (fds, state) = rx.into_parts().unwrap();
        let mut rx = SocketReceiver::from_parts(fds, &state).unwrap();
        assert!(matches!(rx.recv_timeout(LIMIT * 2), Err(Error::TimedOut)));
    }
}

/// The deadline is the header's: a slow body and silence between messages are no faults.
fn who_is_slow_is_not_stalled() {
    for listener in listeners() {
        let mut slow = stranger(listener.address(), b"\0\0\0\x02a");
        let mut peer = listener.accept().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for rest in [&b"b"[..], b"\0\0\0\x01c"] {
                    thread::sleep(LIMIT * 2);
                    slow.write_all(rest).unwrap();
                }
            });
            assert_eq!(peer.recv().unwrap(), b"ab");
            assert_eq!(peer.recv().unwrap(), b"c");
        });
        // Nor is it the peer's fault if nobody looked.
        slow.write_all(b"\0\0").unwrap();
        assert!(matches!(peer.try_recv(), Err(Error::WouldBlock)));
        slow.write_all(b"\0\x01d").unwrap();
        thread::sleep(LIMIT * 2);
        assert_eq!(peer.recv().unwrap(), b"d");
    }
}

/// Only what it accepts is suspected, and packets are whole.
fn others_have_no_header_deadline() {
    let options = SocketOptions::new().header_deadline(Duration::ZERO);
    let listener = options.listen(abstract_name()).unwrap();
    let mut ours = options.connect(listener.address()).unwrap();
    assert!(matches!(ours.recv_timeout(SOON), Err(Error::TimedOut)));
    assert!(is_late(listener.accept().unwrap().recv()));
    drop(listener);
    let options = options.kind(Kind::Seqpacket);
    let listener = options.listen(abstract_name()).unwrap();
    let _ours = options.connect(listener.address()).unwrap();
    let mut peer = listener.accept().unwrap();
    assert!(matches!(peer.recv_timeout(SOON), Err(Error::TimedOut)));
}

ipc_core::cases! {
    a_receive_gives_up_who_stalls,
    a_select_finds_who_stalls,
    an_async_receive_gives_up_who_stalls,
    a_deadline_is_handed_on,
    who_is_slow_is_not_stalled,
    others_have_no_header_deadline,
}
