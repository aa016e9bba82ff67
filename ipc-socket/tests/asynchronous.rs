//! A listener driven by tokio.

use std::process;
use std::time::Duration;

use ipc_socket::{
    Address, Async, Error, Interest, Kind, Listener, Receiver, Result, SocketDuplex, SocketOptions,
};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_millis(20);

fn name() -> Address {
    Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes())
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

async fn accept(listener: &mut Async<Listener>) -> Result<SocketDuplex> {
    let accept = |listener: &mut Listener| listener.try_accept();
    listener.async_io(Interest::Read, accept).await
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
                let mut end = Async::new(accept(&mut listener).await.unwrap()).unwrap();
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
            timeout(SOON, accept(&mut listener)).await.unwrap_err();
        }
        let mut ours = ipc_socket::connect(name()).unwrap();
        // Ready, but dropped before it was polled.
        drop(accept(&mut listener));
        let theirs = accept(&mut listener).await.unwrap();
        timeout(SOON, accept(&mut listener)).await.unwrap_err();
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
        let first = accept(&mut listener).await.unwrap();
        let mut refused: Vec<_> = (0..300).map(|_| connect()).collect();
        timeout(SOON, accept(&mut listener)).await.unwrap_err();
        for end in &mut refused {
            assert!(matches!(end.try_recv(), Err(Error::Disconnected)));
        }
        drop(first);
        let _second = connect();
        accept(&mut listener).await.unwrap();
    });
}

/// A peer that begins a header and stalls is given up though nothing turns ready.
fn a_stalled_header_is_given_up() {
    run(async {
        let options = SocketOptions::new().header_deadline(SOON);
        let mut listener = Async::new(options.listen(name()).unwrap()).unwrap();
        let _stalls = options.connect(name()).unwrap();
        let mut peer = Async::new(accept(&mut listener).await.unwrap()).unwrap();
        // Given up in the middle, it goes on where it was.
        timeout(SOON / 4, peer.recv()).await.unwrap_err();
        let error = peer.recv().await.unwrap_err();
        assert!(error.to_string().contains("of a frame header"), "{error}");
        assert!(peer.recv().await.is_err());
    });
}

ipc_core::cases! {
    a_stalled_header_is_given_up,
    connections_are_accepted_as_they_come,
    a_cancelled_accept_loses_no_connection,
    refusals_do_not_hide_a_connection,
}
