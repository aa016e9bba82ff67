//! A peer that is stopped and continued: the survivor's deadlines hold, and nothing is lost.
//!
//! Seen to fail: a wait that ends 20 ms after its deadline.

use nix::sys::signal::Signal;

use super::kill::{SHORT, Suite, echo, given};
use super::overrun::Overrun;
use crate::{Channel, Error, Inherit};

/// How often, where the environment says nothing.
const STOPS: u32 = 20;

impl<C: Channel + Inherit + 'static> Suite<C> {
    /// An echo is stopped and continued: deadlines hold, and every message comes back, in order.
    pub(super) fn stop_and_continue(self) {
        let (a, b) = (self.pair)();
        let (peer, mut a) = self.fork(vec![a], b, |mut end| echo(&mut end));
        let end = &mut a[0];
        let mut late = Overrun::new();
        let stops = given("STOPS").unwrap_or(STOPS);
        for _ in 0..stops {
            end.send(b"hello").unwrap();
            assert_eq!(end.recv().unwrap(), b"hello");
            peer.signal(Signal::SIGSTOP);
            peer.until('T');
            let received = late.of(SHORT, || end.recv_timeout(SHORT).map(<[u8]>::len));
            assert!(matches!(received, Err(Error::TimedOut)), "{received:?}");
            let mut sent = 0;
            let full = loop {
                match late.of(SHORT, || end.send_timeout(&numbered(sent), SHORT)) {
                    Ok(()) => sent += 1,
                    Err(error) => break error,
                }
            };
            assert!(matches!(full, Error::TimedOut), "{full}");
            peer.signal(Signal::SIGCONT);
            for number in 0..sent {
                assert_eq!(end.recv().unwrap(), numbered(number));
            }
            let more = end.try_recv().map(<[u8]>::len);
            assert!(matches!(more, Err(Error::WouldBlock)), "{more:?}");
        }
        println!("{stops} stops, {late}");
        late.check("STOPS");
        if self.silent {
            drop(peer); // kills it: nothing else ends it
        }
    }
}

fn numbered(number: u32) -> [u8; 1000] {
    let mut message = [0; 1000];
    message[..4].copy_from_slice(&number.to_ne_bytes());
    message
}
