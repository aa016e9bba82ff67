//! Whatever packets come to a seqpacket receiver, it finds the messages of those that are frames, up to the first
//! that is none.
#![no_main]

use std::os::fd::{AsRawFd, OwnedFd};

use ipc_socket::{Error, Inherit, Kind, Receiver, SocketOptions, SocketReceiver};
use nix::sys::socket::{MsgFlags, send};

const MAX_LEN: usize = 1000;

libfuzzer_sys::fuzz_target!(|script: &[u8]| play(script));

fn play(mut script: &[u8]) {
    let options = SocketOptions::new().kind(Kind::Seqpacket).max_len(MAX_LEN);
    let (tx, mut rx) = options.channel().unwrap();
    let (fds, _) = tx.into_parts().unwrap();
    let [peer] = <[OwnedFd; 1]>::try_from(fds).unwrap();
    let mut gone = Some(peer);
    while let Some((&what, rest)) = script.split_first() {
        let Some(peer) = &gone else { break };
        let (body, rest) = rest.split_at(rest.len().min(usize::from(what & 0x3f)));
        script = rest;
        let packet = match what >> 6 {
            0 => body.to_vec(),
            1 => [&(body.len() as u32).to_be_bytes(), body].concat(),
            // Round about the longest.
            2 => {
                let len = MAX_LEN + body.len() - 2.min(body.len());
                [&(len as u32).to_be_bytes()[..], &vec![what; len]].concat()
            }
            _ => {
                gone = None;
                break;
            }
        };
        send(peer.as_raw_fd(), &packet, MsgFlags::MSG_NOSIGNAL).unwrap();
        let message = message(&packet);
        match (rx.try_recv(), message) {
            (Ok(got), Some(message)) => assert_eq!(got, message),
            (Err(Error::Malformed { .. }), None) => {
                assert!(matches!(rx.try_recv(), Err(Error::Malformed { .. })));
                return parts(rx, script);
            }
            (got, message) => panic!("{got:?} of {message:?}"),
        }
    }
    match (rx.try_recv().map(<[u8]>::len), gone) {
        (Err(Error::WouldBlock), Some(_)) | (Err(Error::Disconnected), None) => {}
        (got, gone) => panic!("{got:?}, {gone:?}"),
    }
    parts(rx, script);
}

fn message(packet: &[u8]) -> Option<&[u8]> {
    let (header, body) = packet.split_first_chunk()?;
    let right = u32::from_be_bytes(*header) as usize == body.len() && body.len() <= MAX_LEN;
    right.then_some(body)
}

/// The state of an end that crossed an exec may come from a stranger.
fn parts(rx: SocketReceiver, script: &[u8]) {
    let (fds, mut state) = rx.into_parts().unwrap();
    for change in script.chunks_exact(2) {
        let at = usize::from(change[0]) % state.len();
        state[at] = change[1];
    }
    let _ = SocketReceiver::from_parts(fds, &state);
}
