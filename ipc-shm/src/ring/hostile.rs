//! Each side of the ring against a peer that writes whatever it can, between any two steps. A script
//! of bytes, a fuzzer's or a generator's, says what the peer writes and what the side does next; what
//! the side may answer is worked out beside it, from the rules alone.

mod peer;
#[cfg(test)]
mod tests;

use peer::{Peer, Script};

use super::{HEADER, PUBLISHED, Producer, offset, record};

/// Plays a script against the receiving side; returns how many words the peer wrote.
pub fn attack_receiver(script: &[u8]) -> u64 {
    let mut script = Script(script);
    let mut peer = Peer::new(&mut script);
    let ring = peer.ring();
    let copies = script.byte().is_some_and(|byte| byte % 2 == 0);
    let mut rx = peer.receiver(script.position(), copies);
    let mut poisoned = false;
    let mut lent = Vec::new();
    while let Some(step) = script.byte() {
        let before = rx.position();
        let next = offset(before, ring.capacity);
        match step % 8 {
            // What is read next is worth most.
            0 | 1 => peer.record_word(next, script.header(ring.max_len())),
            2 => {
                let place = usize::from(script.short()) * 8 % ring.capacity;
                peer.record_word(place, script.header(ring.max_len()));
            }
            3 => peer.fill(script.header(ring.max_len())),
            4 => {
                let held = before != rx.released();
                assert_eq!(rx.release(), held);
            }
            5 => (rx, poisoned) = (peer.receiver(before, copies), false),
            _ => {
                let header = peer.header(next);
                let len = header ^ PUBLISHED;
                let valid = len <= ring.max_len() as u64;
                let expected = match header {
                    _ if poisoned => None,
                    0 => Some(false),
                    _ if valid => Some(true),
                    _ => None,
                };
                assert_eq!(rx.next().ok(), expected, "header {header:x}");
                poisoned = expected.is_none();
                if expected == Some(true) {
                    assert_eq!(rx.message().len() as u64, len);
                    assert_eq!(rx.position(), before + record(rx.message().len()) as u64);
                } else {
                    assert_eq!(rx.position(), before);
                }
            }
        }
        let found = rx.message().to_vec(); // every byte that is lent can be read
        if copies && matches!(step % 8, 0..=3) {
            assert!(
                found == lent,
                "what the peer writes is not what was received"
            );
        }
        lent = found;
    }
    peer.written()
}

/// Plays a script against the sending side; returns how many words the peer wrote.
pub fn attack_sender(script: &[u8]) -> u64 {
    let mut script = Script(script);
    let mut peer = Peer::new(&mut script);
    let ring = peer.ring();
    let capacity = ring.capacity as u64;
    let mut tx = Producer::new(ring, script.position());
    // The last index that was right; `None` once one was not.
    let mut head = Some(tx.tail().saturating_sub(capacity));
    while let Some(step) = script.byte() {
        let tail = tx.tail();
        match step % 8 {
            0 | 1 => peer.head(script.near(tail)),
            2 => peer.head(tail),
            3 => peer.asked(script.near(tail)),
            4 if tx.unpublished() == 0 => {
                tx = Producer::new(ring, tail);
                head = Some(tail.saturating_sub(capacity));
            }
            5 if tx.unpublished() != 0 => {
                let start = tail - tx.unpublished() as u64;
                assert_eq!(tx.publish(), start);
            }
            _ => {
                let len = usize::from(script.short()) % (ring.max_len() + 1);
                let end = tail + (record(len) + HEADER) as u64;
                let fits = |head: u64| end <= head + capacity;
                let expected = head.is_some_and(fits) || {
                    let found = peer.words().0;
                    head = head.filter(|head| (*head..=tail).contains(&found) && found % 8 == 0);
                    head = head.map(|_| found);
                    head.is_some_and(fits)
                };
                assert_eq!(tx.has_room(len).ok(), head.map(|_| expected));
                if expected {
                    push(&mut tx, &peer, &vec![step; len]);
                }
            }
        }
    }
    peer.written()
}

/// Pushes a message, and sees that nothing else is touched.
fn push(tx: &mut Producer, peer: &Peer, msg: &[u8]) {
    let capacity = peer.ring().capacity;
    let start = offset(tx.tail(), capacity);
    let mut expected = peer.bytes();
    tx.push(msg);
    let (found, next) = (peer.bytes(), offset(tx.tail(), capacity));
    expected[next..next + HEADER].fill(0);
    let (header, body) = expected[start..].split_at_mut(HEADER);
    header.copy_from_slice(&found[start..start + HEADER]); // published with the batch
    body[..msg.len()].copy_from_slice(msg);
    assert!(
        found == expected,
        "a push at {start} of {} bytes",
        msg.len()
    );
}
