//! Many messages under way in both directions, and the end of one direction at a time.

use std::thread;

use ipc_process::fork;
use ipc_socket::{Error, Kind, Receiver, Sender, SocketOptions, Wait};

const REQUESTS: u32 = 20_000;

/// A request, of a length of its own.
fn request(number: u32) -> Vec<u8> {
    let mut request = number.to_le_bytes().to_vec();
    request.resize(4 + number as usize % 300, 7);
    request
}

/// All requests are sent before any answer is waited for, then the direction is closed: the server
/// answers every one, and closes when it has found the end.
fn requests_are_pipelined_and_answered_past_the_end() {
    for kind in [Kind::Unix, Kind::Seqpacket, Kind::Tcp] {
        let pair = SocketOptions::new().kind(kind).pair().unwrap();
        let (child, client) = fork(pair, |mut server| {
            let (tx, rx) = server.halves();
            loop {
                match rx.recv() {
                    Ok(message) => tx.send(message)?,
                    Err(Error::Disconnected) => return tx.shutdown(Wait::Forever),
                    Err(error) => return Err(error),
                }
            }
        })
        .unwrap();
        let (mut tx, mut rx) = client.split();
        thread::scope(|scope| {
            scope.spawn(|| {
                let requests: Vec<_> = (0..REQUESTS).map(request).collect();
                for some in requests.chunks(1000) {
                    let some: Vec<&[u8]> = some.iter().map(|request| &request[..]).collect();
                    assert_eq!(tx.send_many(&some, Wait::Forever).unwrap(), some.len());
                }
                tx.shutdown(Wait::Forever).unwrap();
                assert!(matches!(tx.send(b""), Err(Error::Disconnected)));
            });
            for number in 0..REQUESTS {
                assert_eq!(rx.recv().unwrap(), request(number), "{kind}");
            }
            assert!(matches!(rx.recv(), Err(Error::Disconnected)));
        });
        child.join().unwrap();
    }
}

/// The same by one thread, on streams: what arrives while it sends is taken in.
fn one_thread_sends_all_first() {
    for kind in [Kind::Unix, Kind::Tcp] {
        let pair = SocketOptions::new().kind(kind).pair().unwrap();
        let (child, mut client) = fork(pair, |mut server| {
            let (tx, rx) = server.halves();
            while let Ok(message) = rx.recv() {
                tx.send(message)?;
            }
            Ok::<(), Error>(())
        })
        .unwrap();
        for number in 0..REQUESTS {
            client.send(&request(number)).unwrap();
        }
        client.sender().shutdown(Wait::Forever).unwrap();
        for number in 0..REQUESTS {
            assert_eq!(client.recv().unwrap(), request(number), "{kind}");
        }
        assert!(matches!(client.recv(), Err(Error::Disconnected)));
        child.join().unwrap();
    }
}

ipc_core::cases! {
    requests_are_pipelined_and_answered_past_the_end,
    one_thread_sends_all_first,
}
