//! A peer that stalls, claims 4 GiB, or connects a thousand times costs its slot and nothing else.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::conformance::{CountingAllocator, take_largest_allocation};
use ipc_socket::{
    Address, Error, Inherit, Kind, Listener, Ready, Receiver, Result, Select, Sender, SocketDuplex,
    SocketOptions, SocketReceiver, Wait,
};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const LIMIT: Duration = Duration::from_millis(400);
const EMFILE: i32 = Errno::EMFILE as i32;
const SOON: Duration = Duration::from_millis(20);

/// A path, gone with this: foreign programs speak to it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let name = format!("ipc-socket-hostile-{}", process::id());
        Place(std::env::temp_dir().join(name))
    }

    fn listen(&self, options: &SocketOptions) -> Listener {
        options.listen(self.0.as_path()).unwrap()
    }

    fn stranger(&self, says: &[u8]) -> UnixStream {
        let mut stranger = UnixStream::connect(&self.0).unwrap();
        stranger.write_all(says).unwrap();
        stranger
    }
}

fn name() -> Address {
    Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes())
}

fn is_late(received: Result<&[u8]>) -> bool {
    match received {
        Err(error @ Error::Malformed { .. }) => error.to_string().contains("of a frame header"),
        _ => false,
    }
}

fn a_stalled_header_is_given_up() {
    let place = Place::new();
    let listener = place.listen(&SocketOptions::new().header_deadline(LIMIT));
    for said in [&b""[..], b"\0", b"\0\0\0"] {
        let _stalls = place.stranger(said);
        let mut peer = listener.accept().unwrap();
        let begin = Instant::now();
        assert!(is_late(peer.recv()), "{said:?}");
        assert!(begin.elapsed() >= LIMIT / 2);
        assert!(is_late(peer.try_recv()), "it says so from then on");
    }
    // After a whole frame, from the first byte of the next.
    let mut stalls = place.stranger(b"\0\0\0\x01a");
    let mut peer = listener.accept().unwrap();
    assert_eq!(peer.recv().unwrap(), b"a");
    assert!(matches!(peer.recv_timeout(LIMIT * 2), Err(Error::TimedOut)));
    stalls.write_all(b"\0\0").unwrap();
    assert!(matches!(peer.recv_timeout(SOON), Err(Error::TimedOut)));
    assert!(is_late(peer.recv()));
}

/// Among others, too: nothing turns ready then.
fn a_select_finds_who_stalls() {
    let place = Place::new();
    let mut listener = place.listen(&SocketOptions::new().header_deadline(LIMIT));
    let _silent = place.stranger(b"");
    let mut silent = listener.accept().unwrap();
    let mut stalls = place.stranger(b"\0\0\0\x01a");
    let mut peer = listener.accept().unwrap();
    assert_eq!(peer.recv().unwrap(), b"a");
    let wait = |members: &mut [&mut dyn Ready]| Select::new().wait(members, Wait::from(LIMIT * 3));
    let begin = Instant::now();
    assert_eq!(wait(&mut [&mut listener, &mut silent]).unwrap(), 1);
    assert!(begin.elapsed() >= LIMIT / 2);
    assert!(is_late(silent.try_recv()));
    stalls.write_all(b"\0\0").unwrap();
    assert!(matches!(peer.try_recv(), Err(Error::WouldBlock)));
    assert_eq!(wait(&mut [&mut listener, &mut peer]).unwrap(), 1);
    assert!(is_late(peer.try_recv()));
    assert!(matches!(wait(&mut [&mut listener]), Err(Error::TimedOut)));
}

/// Whoever gets a peer from another process keeps an eye on it, too.
fn a_deadline_is_handed_on() {
    let place = Place::new();
    let listener = place.listen(&SocketOptions::new().header_deadline(LIMIT));
    for said in [&b""[..], b"\0\0\0\x01a\0"] {
        let _stalls = place.stranger(said);
        let (_tx, mut rx) = listener.accept().unwrap().split();
        if !said.is_empty() {
            assert_eq!(rx.recv().unwrap(), b"a");
        }
        let (fds, state) = rx.into_parts().unwrap();
        let mut rx = SocketReceiver::from_parts(fds, &state).unwrap();
        assert!(is_late(rx.recv()), "{said:?}");
    }
    // But not of one that had no more to say.
    let _done = place.stranger(b"\0\0\0\x01a");
    let (_tx, mut rx) = listener.accept().unwrap().split();
    rx.recv().unwrap();
    let (fds, state) = rx.into_parts().unwrap();
    let mut rx = SocketReceiver::from_parts(fds, &state).unwrap();
    assert!(matches!(rx.recv_timeout(LIMIT * 2), Err(Error::TimedOut)));
}

/// The deadline is the header's: a slow body and silence between messages are no faults.
fn who_is_slow_is_not_stalled() {
    let place = Place::new();
    let listener = place.listen(&SocketOptions::new().header_deadline(LIMIT));
    let mut slow = place.stranger(b"");
    let mut peer = listener.accept().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for part in [&b"\0\0"[..], b"\0\x02a"] {
                thread::sleep(LIMIT / 10);
                slow.write_all(part).unwrap();
            }
            thread::sleep(LIMIT * 2);
            slow.write_all(b"b").unwrap();
            thread::sleep(LIMIT * 2);
            slow.write_all(b"\0\0\0\x01c").unwrap();
        });
        assert_eq!(peer.recv().unwrap(), b"ab");
        assert_eq!(peer.recv().unwrap(), b"c");
    });
    // Nor is it the peer's fault if nobody looked.
    slow.write_all(b"\0\0\0\x01d").unwrap();
    thread::sleep(LIMIT * 2);
    assert_eq!(peer.recv().unwrap(), b"d");
}

/// Only what it accepts is suspected, and packets are whole.
fn others_have_no_header_deadline() {
    let options = SocketOptions::new().header_deadline(Duration::ZERO);
    let listener = options.listen(name()).unwrap();
    let mut ours = options.connect(name()).unwrap();
    assert!(matches!(ours.recv_timeout(SOON), Err(Error::TimedOut)));
    assert!(is_late(listener.accept().unwrap().recv()));
    drop(listener);
    let options = options.kind(Kind::Seqpacket);
    let listener = options.listen(name()).unwrap();
    let _ours = options.connect(name()).unwrap();
    let mut peer = listener.accept().unwrap();
    assert!(matches!(peer.recv_timeout(SOON), Err(Error::TimedOut)));
}

fn a_claim_of_4_gib_allocates_little() {
    let place = Place::new();
    let listener = place.listen(&SocketOptions::new().max_len(usize::MAX));
    let _claims = place.stranger(b"\xff\xff\xff\xffand no more");
    let mut peer = listener.accept().unwrap();
    take_largest_allocation();
    assert!(matches!(peer.recv_timeout(SOON), Err(Error::TimedOut)));
    let largest = take_largest_allocation();
    assert!(largest <= 64 << 10, "{largest}");
}

fn peers_are_counted_until_they_are_dropped() {
    for kind in [Kind::Unix, Kind::Seqpacket, Kind::Tcp] {
        let options = SocketOptions::new().kind(kind).max_peers(2);
        let listener = match kind {
            Kind::Tcp => options.listen("127.0.0.1:0".parse::<Address>().unwrap()),
            Kind::Unix | Kind::Seqpacket => options.listen(name()),
        };
        let listener = listener.unwrap();
        let connect = || options.connect(listener.address()).unwrap();
        let mut clients: Vec<SocketDuplex> = (0..2).map(|_| connect()).collect();
        let mut peers: Vec<_> = (0..2).map(|_| listener.accept().unwrap()).collect();
        assert_eq!(listener.peers(), 2);
        let mut refused = connect();
        assert!(matches!(
            listener.accept_timeout(SOON),
            Err(Error::TimedOut)
        ));
        assert!(matches!(refused.recv(), Err(Error::Disconnected)), "{kind}");
        // The others are untouched.
        for (client, peer) in clients.iter_mut().zip(&mut peers) {
            client.send(b"hello").unwrap();
            assert_eq!(peer.recv().unwrap(), b"hello");
        }
        // A half alone keeps its place.
        let (sender, receiver) = peers.pop().unwrap().split();
        drop(sender);
        assert_eq!(listener.peers(), 2);
        drop(receiver);
        assert_eq!(listener.peers(), 1);
        let _client = connect();
        peers.push(listener.accept().unwrap());
        drop(peers);
        assert_eq!(listener.peers(), 0);
    }
}

/// One event loop, a thousand that knock, and one that is served.
fn a_thousand_connections_take_two_slots() {
    let options = SocketOptions::new().max_peers(3);
    let mut listener = options.listen(name()).unwrap();
    let mut honest = options.connect(name()).unwrap();
    let mut peer = listener.accept().unwrap();
    let mut hostile = Vec::new();
    let mut held = Vec::new();
    let mut select = Select::new();
    for round in 0..1000 {
        hostile.push(options.connect(name()).unwrap());
        honest.send(b"hello").unwrap();
        loop {
            let members: &mut [&mut dyn Ready] = &mut [&mut listener, &mut peer];
            match select.wait(members, Wait::Forever).unwrap() {
                0 => match listener.try_accept() {
                    Err(Error::WouldBlock) => {}
                    accepted => held.push(accepted.unwrap()),
                },
                _ => break assert_eq!(peer.try_recv().unwrap(), b"hello", "{round}"),
            }
        }
    }
    assert_eq!(held.len(), 2);
    assert!(listener.peers() == 3);
}

/// Accepting waits for descriptors, and what is accepted works on.
fn without_descriptors_accepting_backs_off() {
    let listener = ipc_socket::listen(name()).unwrap();
    let mut ours = ipc_socket::connect(name()).unwrap();
    let mut theirs = listener.accept().unwrap();
    let mut waits = ipc_socket::connect(name()).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let mut held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for wait in [Wait::Never, SOON.into()] {
        let error = listener.accept_wait(wait).unwrap_err();
        let Error::Os { call, source, .. } = &error else {
            panic!("{error}: nobody would be told of who is in the queue");
        };
        assert_eq!((*call, source.raw_os_error()), ("accept4", Some(EMFILE)));
        assert!(error.to_string().contains("raise RLIMIT_NOFILE"), "{error}");
        ours.send(b"still").unwrap();
        assert_eq!(theirs.recv().unwrap(), b"still");
    }
    // It costs next to nothing.
    let before = processor_time();
    let _ = listener.accept_timeout(Duration::from_millis(500));
    let spent = processor_time().saturating_sub(before);
    assert!(spent < Duration::from_millis(100), "{spent:?}");
    thread::scope(|scope| {
        let accepting = scope.spawn(|| listener.accept().unwrap());
        thread::sleep(SOON);
        held.pop();
        let mut peer = accepting.join().unwrap();
        waits.send(b"hello").unwrap();
        assert_eq!(peer.recv().unwrap(), b"hello");
    });
}

fn processor_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let spent = usage.user_time() + usage.system_time();
    Duration::from_micros(spent.num_microseconds().try_into().unwrap())
}

ipc_core::cases! {
    a_stalled_header_is_given_up,
    a_select_finds_who_stalls,
    a_deadline_is_handed_on,
    who_is_slow_is_not_stalled,
    others_have_no_header_deadline,
    a_claim_of_4_gib_allocates_little,
    peers_are_counted_until_they_are_dropped,
    a_thousand_connections_take_two_slots,
    without_descriptors_accepting_backs_off,
}
