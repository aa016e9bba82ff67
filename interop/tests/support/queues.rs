//! Queues with either language at the other end.

use std::fs::{DirBuilder, read_dir};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use interop::{Language, Peer};
use ipc_msgqueue::{
    Error, Key, Kind, Queue, QueueOptions, Receiver, Selection, Sender, Wait, limits,
};

pub(crate) const REQUEST: Kind = Kind::of::<1>();
pub(crate) const ANSWER: Kind = Kind::of::<2>();

/// A queue, and the file that both sides know it by.
pub(crate) struct Meeting {
    pub(crate) queue: Queue,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Meeting {
    pub(crate) fn new() -> Self {
        Meeting::with(&QueueOptions::new())
    }

    pub(crate) fn with(options: &QueueOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        loop {
            // Another file if the key is taken.
            let (_, file) = tempfile::NamedTempFile::new_in(&directory)
                .unwrap()
                .keep()
                .unwrap();
            match options.create(Key::ftok(&file, b'q').unwrap()) {
                Ok(queue) => {
                    return Meeting {
                        queue,
                        file,
                        _directory: directory,
                    };
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists),
            }
        }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn answers(&self) -> ipc_msgqueue::QueueReceiver {
        self.queue.receiver(Selection::Exactly(ANSWER)).unwrap()
    }
}

/// Every byte and lengths up to the kernel's.
pub(crate) fn bytes_come_back(language: Language) {
    let meeting = Meeting::new();
    let peer = Peer::start(language.script("queue_raw"), &[&meeting.file()]);
    let mut tx = meeting.queue.sender(REQUEST).unwrap();
    let mut rx = meeting.answers();
    let all: Vec<u8> = (0..8192_u32).map(|i| i.to_le_bytes()[0]).collect();
    for len in [0, 1, 2, 255, 4096, 8191, 8192] {
        tx.send(&all[..len]).unwrap();
        assert_eq!(rx.recv().unwrap(), &all[..len]);
        assert_eq!(rx.kind(), Some(ANSWER));
    }
    tx.send(b"bye").unwrap();
    assert_eq!(rx.recv().unwrap(), b"bye");
    peer.join();
}

/// Kinds 3, 2, 5, 1, 4 go there, and are taken by 0, 2, -4, all but 3; what it prints are the kinds.
pub(crate) fn it_selects(language: Language, code: &str) {
    let meeting = Meeting::new();
    fill(&meeting.queue);
    let peer = Peer::start(language.code(code), &[&meeting.file()]);
    assert_eq!(peer.join(), "3 2 1 5 4");
}

/// And here they are taken from what it sends.
pub(crate) fn we_select(language: Language, code: &str) {
    let meeting = Meeting::new();
    Peer::start(language.code(code), &[&meeting.file()]).join();
    let mut rx = meeting.queue.receiver(Selection::Any).unwrap();
    let kind = |number| Kind::new(number).unwrap();
    for (selection, wanted) in [
        (Selection::Any, 3),
        (Selection::Exactly(kind(2)), 2),
        (Selection::UpTo(kind(4)), 1),
        (Selection::Except(kind(4)), 5),
        (Selection::Any, 4),
    ] {
        let message = rx.recv_selected(selection, Wait::Never).unwrap();
        assert_eq!(message, format!("kind {wanted}").as_bytes());
        assert_eq!(rx.kind(), Some(kind(wanted)));
    }
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
}

/// Keys of several projects, one of them negative.
pub(crate) fn keys_agree(language: Language, code: &str) {
    for path in [Path::new("/"), Path::new(env!("CARGO_MANIFEST_DIR"))] {
        for project in [1, b'q', 0x7f, 0x80, 0xff] {
            let hex = format!("{project:02x}");
            let peer = Peer::start(language.code(code), &[&path, &hex]);
            let ours = Key::ftok(path, project).unwrap();
            assert_eq!(peer.join(), ours.get().to_string(), "{project}");
        }
    }
}

/// It fills the queue and prints how many it got in and the errno; here it is full too, and empties.
pub(crate) fn it_fills(language: Language, code: &str) {
    let meeting = Meeting::new();
    let printed = Peer::start(language.code(code), &[&meeting.file()]).join();
    let full = meeting.queue.stat().unwrap();
    assert_eq!(printed, format!("{} 11", full.messages)); // EAGAIN
    let mut tx = meeting.queue.sender(REQUEST).unwrap();
    assert!(matches!(tx.try_send(&[0; 1000]), Err(Error::WouldBlock)));
    let mut rx = meeting.queue.receiver(Selection::Any).unwrap();
    for _ in 0..full.messages {
        assert_eq!(rx.try_recv().unwrap(), [b'x'; 1000]);
    }
    tx.try_send(&[0; 1000]).unwrap();
}

/// It waits for room until a message is taken here.
pub(crate) fn it_waits_for_room(language: Language, code: &str) {
    let meeting = Meeting::new();
    let mut tx = meeting.queue.sender(REQUEST).unwrap();
    while tx.try_send(&[0; 1000]).is_ok() {}
    let count = meeting.queue.stat().unwrap().messages;
    let mut peer = Peer::start(language.code(code), &[&meeting.file()]);
    assert_eq!(peer.line(), "sending");
    let mut rx = meeting.queue.receiver(Selection::Any).unwrap();
    for _ in 0..count {
        assert_eq!(rx.recv().unwrap(), [0; 1000]);
    }
    assert_eq!(rx.recv().unwrap(), [b'y'; 1000]);
    assert_eq!(peer.join(), "sent");
}

/// Errors 7 and 7 of a buffer that is too small: the message stays, whole, and is taken here.
pub(crate) fn too_small_a_buffer_harms_nobody(language: Language, code: &str) {
    let meeting = Meeting::new();
    meeting
        .queue
        .sender(REQUEST)
        .unwrap()
        .send(b"12345678")
        .unwrap();
    let peer = Peer::start(language.code(code), &[&meeting.file()]);
    assert_eq!(peer.join(), "7 7"); // E2BIG
    let mut rx = meeting.queue.receiver(Selection::Any).unwrap();
    assert_eq!(rx.try_recv().unwrap(), b"12345678");
}

/// Kind 0, one byte too many, and a hundred times too many: the errno of each.
pub(crate) fn what_the_kernel_refuses(language: Language, code: &str) {
    let meeting = Meeting::new();
    let peer = Peer::start(language.code(code), &[&meeting.file()]);
    assert_eq!(peer.join(), "22 22 22"); // EINVAL
    assert_eq!(meeting.queue.stat().unwrap().messages, 0);
    let mut tx = meeting.queue.sender(REQUEST).unwrap();
    let msgmax = limits().unwrap().msgmax;
    let error = tx.send(&vec![0; msgmax + 1]).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { max, .. } if max == msgmax),
        "{error}"
    );
}

/// It removes the queue while we wait, and we while it waits.
pub(crate) fn removal(language: Language, it_removes: &str, it_waits: &str) {
    let meeting = Meeting::new();
    let peer = Peer::start(language.code(it_removes), &[&meeting.file()]);
    let mut rx = meeting.queue.receiver(Selection::Any).unwrap();
    assert!(matches!(rx.recv(), Err(Error::Removed { .. })));
    peer.join();

    let meeting = Meeting::new();
    let mut peer = Peer::start(language.code(it_waits), &[&meeting.file()]);
    assert_eq!(peer.line(), "waiting");
    std::thread::sleep(std::time::Duration::from_millis(50)); // so that it likely sleeps: 43, else 22
    meeting.queue.remove().unwrap();
    let errno = peer.join();
    assert!(errno == "43" || errno == "22", "{errno}"); // EIDRM, EINVAL
}

/// Between two of ours that spill stands one that knows nothing of it: what is short it reads as ever, and
/// what is long it passes on, as a token.
pub(crate) fn spilled_bodies_pass_through(language: Language) {
    let directory = tempfile::tempdir().unwrap();
    let private = directory.path().join("spill");
    DirBuilder::new().mode(0o700).create(&private).unwrap();
    let files = || read_dir(&private).unwrap().count();
    let meeting = Meeting::with(&QueueOptions::new().spill(&private));
    let mut tx = meeting.queue.sender(REQUEST).unwrap();
    let mut rx = meeting.answers();
    let mut raw = Queue::open(Key::ftok(meeting.file(), b'q').unwrap())
        .unwrap()
        .receiver(Selection::Exactly(REQUEST))
        .unwrap();
    let long: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    tx.send(&long).unwrap();
    assert_eq!(raw.peek(0).unwrap().len(), 40);
    let peer = Peer::start(language.script("queue_raw"), &[&meeting.file()]);
    let msgmax = limits().unwrap().msgmax;
    let (spilled, plain) = (&long[..=msgmax], &long[..msgmax]);
    for message in [&long[..], b"short", b"", spilled, plain] {
        if message.len() < long.len() {
            tx.send(message).unwrap();
        }
        assert!(rx.recv().unwrap() == message);
        assert_eq!(files(), 0);
    }
    tx.send(b"bye").unwrap();
    peer.join();
}

/// What it has sent is looked at here, and still its to take.
pub(crate) fn we_peek(language: Language, it_sends: &str, it_takes: &str) {
    let meeting = Meeting::new();
    Peer::start(language.code(it_sends), &[&meeting.file()]).join();
    let mut rx = meeting.answers();
    for (at, wanted) in [3, 2, 5, 1, 4].into_iter().enumerate() {
        assert_eq!(rx.peek(at).unwrap(), format!("kind {wanted}").as_bytes());
        assert_eq!(rx.kind(), Kind::new(wanted).ok());
    }
    assert_eq!(meeting.queue.stat().unwrap().messages, 5);
    let peer = Peer::start(language.code(it_takes), &[&meeting.file()]);
    assert_eq!(peer.join(), "3 2 1 5 4");
    assert!(matches!(rx.peek(0), Err(Error::WouldBlock)));
}

fn fill(queue: &Queue) {
    let mut tx = queue.sender(REQUEST).unwrap();
    for number in [3, 2, 5, 1, 4] {
        let text = format!("kind {number}");
        let kind = Kind::new(number).unwrap();
        tx.send_kind(text.as_bytes(), kind, Wait::Never).unwrap();
    }
}
