//! What a sender that waits for room takes in for the receiver of its endpoint: nothing of it is lost, and
//! it has a limit.

use ipc_core::{Error, Inherit, Ready, Receiver, Sender, Wait, poll};
use ipc_pipe::{PipeDuplex, PipeOptions};

/// What a pipe holds, and the longest message.
const LEN: usize = 64 << 10;

/// Two ends, the first of which waits for room.
fn pair() -> (PipeDuplex, PipeDuplex) {
    let (mut ours, theirs) = PipeOptions::new().max_len(LEN).pair().unwrap();
    ours.try_send(&vec![b'o'; LEN]).unwrap();
    assert!(ours.tail().is_some(), "there is still room");
    (ours, theirs)
}

/// What it does before it sleeps.
fn take_in(end: &mut PipeDuplex) {
    end.sending().unwrap().arm().unwrap();
}

#[test]
fn what_was_taken_in_is_handed_on_with_the_end() {
    let (mut ours, mut theirs) = pair();
    theirs.send_many(&[b"a", b"b"], Wait::Never).unwrap();
    take_in(&mut ours);
    let (fd, interest) = ours.fd();
    assert!(!poll(fd, interest, Wait::Never).unwrap(), "it was not");
    let (fds, state) = ours.into_parts().unwrap();
    let mut ours = PipeDuplex::from_parts(fds, &state).unwrap();
    assert_eq!(ours.try_recv().unwrap(), b"a");
    assert_eq!(ours.try_recv().unwrap(), b"b");
    assert!(matches!(ours.try_recv(), Err(Error::WouldBlock)));
}

#[test]
fn a_peer_that_goes_on_sending_fills_no_memory() {
    let (mut ours, mut theirs) = pair();
    let (mut sent, message) = (0, [b't'; LEN / 16]);
    for _ in 0..16 {
        while theirs.try_send(&message).is_ok() {
            sent += 1;
        }
        take_in(&mut ours);
    }
    // A pipe, one message of the largest size, and the read that reached it.
    assert!(sent * message.len() <= 3 * LEN, "{sent}");
    assert!(sent * message.len() > LEN, "nothing was taken in");
    for _ in 0..sent {
        let _ = theirs.flush(Wait::Never); // the tail of its last, once there is room
        assert_eq!(ours.try_recv().unwrap(), message);
    }
}
