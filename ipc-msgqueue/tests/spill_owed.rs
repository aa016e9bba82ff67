//! Long messages that were taken from the queue while there was no descriptor free to read them.

mod support;

use ipc_msgqueue::{
    Error, Inherit, Key, Kind, QueueReceiver, Ready, Receiver, Selection, Sender, Wait,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::spill::{Dir, KIND, LONG, message};

const OTHER: Kind = Kind::of::<9>();

/// No more descriptors than there are; or as many as one likes.
fn descriptors(free: bool) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, if free { most } else { 3 }, most).unwrap();
}

#[track_caller]
fn is_out_of_descriptors<T>(result: ipc_msgqueue::Result<T>) {
    match result.err() {
        Some(Error::Os { source, .. }) if source.raw_os_error() == Some(libc::EMFILE) => {}
        other => panic!("{other:?}"),
    }
}

fn the_next_receive_gives_it() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    tx.send_kind(&message(LONG), KIND, Wait::Never).unwrap();
    tx.send(b"after it").unwrap();
    descriptors(false);
    for _ in 0..3 {
        is_out_of_descriptors(rx.try_recv());
        assert_eq!((rx.message(), rx.kind()), (&b""[..], None));
    }
    descriptors(true);
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(rx.kind(), Some(KIND));
    assert_eq!(rx.recv().unwrap(), b"after it");
    assert_eq!(dir.files().len(), 0);
}

/// One of another kind is received meanwhile, and one that is not selected is not given.
fn it_keeps_its_kind() {
    let dir = Dir::new();
    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap();
    let of = |kind: Kind| message(LONG + usize::try_from(kind.get()).unwrap());
    tx.send(&of(KIND)).unwrap();
    tx.send_kind(b"short", OTHER, Wait::Never).unwrap();
    tx.send_kind(&of(OTHER), OTHER, Wait::Never).unwrap();
    descriptors(false);
    is_out_of_descriptors(rx.recv_selected(Selection::UpTo(KIND), Wait::Never));
    let others = Selection::Except(KIND);
    assert_eq!(rx.recv_selected(others, Wait::Never).unwrap(), b"short");
    is_out_of_descriptors(rx.recv_selected(others, Wait::Never));
    is_out_of_descriptors(rx.recv_selected(Selection::Exactly(KIND), Wait::Never));
    descriptors(true);
    for none in [
        Selection::Exactly(Kind::of::<5>()),
        Selection::UpTo(Kind::of::<2>()),
    ] {
        let found = rx.recv_selected(none, Wait::Never);
        assert!(matches!(found, Err(Error::WouldBlock)));
    }
    let other = Selection::Exactly(OTHER);
    assert_eq!(rx.recv_selected(other, Wait::Never).unwrap(), of(OTHER));
    assert_eq!(rx.kind(), Some(OTHER));
    let low = Selection::UpTo(Kind::of::<5>());
    assert_eq!(rx.recv_selected(low, Wait::Never).unwrap(), of(KIND));
    assert_eq!(rx.kind(), Some(KIND));
    assert!(rx.try_recv().is_err());
}

/// What a bridge owes does not ring: it is ready without.
fn a_bridge_is_ready() {
    let dir = Dir::new();
    let (mut tx, rx) = dir.options().channel().unwrap();
    let mut rx = rx.bridge().unwrap();
    tx.send(&message(LONG)).unwrap();
    descriptors(false);
    is_out_of_descriptors(rx.try_recv());
    descriptors(true);
    assert!(rx.arm().unwrap());
    assert_eq!(rx.try_recv().unwrap(), message(LONG));
    assert!(!rx.arm().unwrap());
}

fn it_crosses_with_the_end() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    tx.send_kind(&message(LONG), KIND, Wait::Never).unwrap();
    descriptors(false);
    is_out_of_descriptors(rx.try_recv());
    descriptors(true);
    let (fds, state) = rx.into_parts().unwrap();
    // No token; and one of a queue without a directory.
    let token = state.windows(5).rposition(|bytes| bytes == b"spill");
    let token = token.unwrap();
    let mut no_token = state.clone();
    no_token[token] ^= 1;
    let selection = &state[token - 2 - 8 - 24..];
    let no_directory = [&state[..16], &[0; 8], selection].concat();
    for strange in [no_token, no_directory] {
        let error = QueueReceiver::from_parts(Vec::new(), &strange).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    let mut rx = QueueReceiver::from_parts(fds, &state).unwrap();
    assert_eq!(rx.try_recv().unwrap(), message(LONG));
    assert_eq!(rx.kind(), Some(KIND));
    assert!(rx.try_recv().is_err());
}

ipc_core::cases! {
    the_next_receive_gives_it,
    it_keeps_its_kind,
    a_bridge_is_ready,
    it_crosses_with_the_end,
}
