//! A peer that claims 4 GiB, or connects a thousand times costs its slot and nothing else.

mod support;

use std::fs::File;
use std::thread;
use std::time::Duration;

use ipc_core::conformance::{CountingAllocator, take_largest_allocation};
use ipc_socket::{Error, Kind, Ready, Receiver, Select, Sender, SocketDuplex, SocketOptions, Wait};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use support::{abstract_name, loopback, stranger};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const EMFILE: i32 = Errno::EMFILE as i32;
const SOON: Duration = Duration::from_millis(20);

fn a_claim_of_4_gib_allocates_little() {
    let options = SocketOptions::new().max_len(usize::MAX);
    let listener = options.listen(abstract_name()).unwrap();
    let _claims = stranger(listener.address(), b"\xff\xff\xff\xffand no more");
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
            Kind::Tcp => options.listen(loopback()),
            Kind::Unix | Kind::Seqpacket => options.listen(abstract_name()),
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
    let mut listener = options.listen(abstract_name()).unwrap();
    let mut honest = options.connect(abstract_name()).unwrap();
    let mut peer = listener.accept().unwrap();
    let mut hostile = Vec::new();
    let mut held = Vec::new();
    let mut select = Select::new();
    for round in 0..1000 {
        hostile.push(options.connect(abstract_name()).unwrap());
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
    let listener = ipc_socket::listen(abstract_name()).unwrap();
    let mut ours = ipc_socket::connect(abstract_name()).unwrap();
    let mut theirs = listener.accept().unwrap();
    let mut waits = ipc_socket::connect(abstract_name()).unwrap();
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
    a_claim_of_4_gib_allocates_little,
    peers_are_counted_until_they_are_dropped,
    a_thousand_connections_take_two_slots,
    without_descriptors_accepting_backs_off,
}
