//! Messages that are too long for the queue, in files beside it.
#![allow(unsafe_code)] // umask, mount and the like

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_msgqueue::{
    Error, Inherit, Key, Kind, Queue, QueueDuplex, QueueOptions, QueueReceiver, Receiver,
    Selection, Sender, Wait, limits,
};
use support::{exists, own_namespace, sleeps_in};

const KIND: Kind = Kind::of::<3>();
const LONG: usize = 100_000;
const SOON: Duration = Duration::from_millis(30);

/// A private directory, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-msgqueue-spill-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Dir(path)
    }

    fn options(&self) -> QueueOptions {
        QueueOptions::new().spill(&self.0)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn file(&self) -> PathBuf {
        let mut files = self.files();
        assert_eq!(files.len(), 1);
        files.pop().unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn message(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at * 7 + at / 251).to_le_bytes()[0])
        .collect()
}

fn long_and_short_arrive_in_order() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    let msgmax = limits().unwrap().msgmax;
    assert_eq!(tx.max_len(), 16 << 20);
    tx.send(&message(LONG)).unwrap();
    tx.send(&message(msgmax)).unwrap();
    tx.send(b"").unwrap();
    tx.send(&message(msgmax + 1)).unwrap();
    assert_eq!(dir.files().len(), 2, "what fits the queue lies in no file");
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(rx.kind(), Some(Kind::default()));
    assert_eq!(rx.recv().unwrap(), message(msgmax));
    assert_eq!(rx.recv().unwrap(), b"");
    assert_eq!(rx.recv().unwrap(), message(msgmax + 1));
    assert_eq!(dir.files().len(), 0, "the receiver removes");
    assert!(rx.try_recv().is_err());
    assert_eq!(rx.message(), b"");

    tx.send(&message(16 << 20)).unwrap();
    assert_eq!(rx.recv().unwrap(), message(16 << 20));
    let error = tx.send(&vec![0; (16 << 20) + 1]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                limit: "max_len",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(dir.files().len(), 0);
}

/// Whoever has no `spill` reads and sends short messages as ever.
fn short_messages_are_as_without_it() {
    let dir = Dir::new();
    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    let mut rx = queue.receiver(Selection::Any).unwrap();
    let (_, state) = plain(queue.id()).into_parts().unwrap();
    let mut plain = QueueReceiver::from_parts(Vec::new(), &state).unwrap();
    for len in [0, 1, 39, 40, 41, 8000] {
        tx.send(&message(len)).unwrap();
        assert_eq!(plain.recv().unwrap(), message(len));
        tx.send(&message(len)).unwrap();
        assert_eq!(rx.recv().unwrap(), message(len));
    }
    // What is said to be a token, and is none of ours, travels as a message does.
    tx.send(&message(LONG)).unwrap();
    let token = plain.recv().unwrap().to_vec();
    assert_eq!(token.len(), 40);
    tx.send(&token).unwrap();
    assert_eq!(dir.files().len(), 2);
    assert_eq!(rx.recv().unwrap(), token);
}

/// A receiver of that queue that has no directory.
fn plain(id: i32) -> QueueReceiver {
    let mut state = Vec::new();
    let fields: [u64; 7] = [id.unsigned_abs().into(), 0, 0, 0, 1, u64::MAX, 0];
    for field in fields {
        state.extend_from_slice(&field.to_le_bytes());
    }
    QueueReceiver::from_parts(Vec::new(), &state).unwrap()
}

fn files_are_private_under_any_umask() {
    for umask in [0, 0o777] {
        let dir = Dir::new();
        let (mut tx, mut rx) = dir.options().channel().unwrap();
        // SAFETY: always safe.
        unsafe { libc::umask(umask) };
        tx.send(&message(LONG)).unwrap();
        assert_eq!(dir.file().metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(rx.recv().unwrap(), message(LONG));
        // SAFETY: always safe.
        unsafe { libc::umask(0o022) };
    }
}

fn directories_that_are_not_private_are_refused() {
    let dir = Dir::new();
    for mode in [0o710, 0o701, 0o777] {
        fs::set_permissions(&dir.0, fs::Permissions::from_mode(mode)).unwrap();
        let error = dir.options().channel().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(
            text.contains(&format!("mode {mode:04o}; it must be private")),
            "{text}"
        );
    }
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    // One that changes later, too.
    let (mut tx, _rx) = dir.options().channel().unwrap();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o777)).unwrap();
    let error = tx.send(&message(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(dir.files().len(), 0);

    let link = dir.0.join("link");
    symlink(&dir.0, &link).unwrap();
    assert!(QueueOptions::new().spill(&link).channel().is_err());
    let file = dir.0.join("file");
    fs::write(&file, "").unwrap();
    assert!(QueueOptions::new().spill(&file).channel().is_err());
    let error = QueueOptions::new()
        .spill(dir.0.join("none"))
        .channel()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    if is_root() {
        std::os::unix::fs::chown(&dir.0, Some(12345), None).unwrap();
        let error = dir.options().channel().unwrap_err();
        assert!(
            error.to_string().contains("belongs to uid 12345"),
            "{error}"
        );
    }
}

fn is_root() -> bool {
    // SAFETY: always safe.
    unsafe { libc::geteuid() == 0 }
}

/// What is put in a file's place is refused, and the queue goes on.
fn strange_files_are_refused() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    let secret = dir.0.join("secret");
    let mut meets = |what: &str, change: &dyn Fn(&Path)| {
        tx.send(&message(LONG)).unwrap();
        let file = dir.file();
        change(&file);
        let error = rx.recv().unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(rx.message(), b"");
        tx.send(b"and on").unwrap();
        assert_eq!(rx.recv().unwrap(), b"and on");
        let _ = fs::remove_file(&file);
        let _ = fs::remove_dir(&file);
        let _ = fs::remove_file(&secret);
    };
    meets("No such file", &|file| fs::remove_file(file).unwrap());
    meets("100001 bytes, the message says 100000", &|file| {
        fs::write(file, message(LONG + 1)).unwrap();
    });
    meets("99999 bytes, the message says 100000", &|file| {
        fs::write(file, message(LONG - 1)).unwrap();
    });
    meets("openat on spilled message", &|file| {
        fs::rename(file, &secret).unwrap();
        symlink(&secret, file).unwrap();
    });
    meets("no plain file with one name", &|file| {
        fs::rename(file, &secret).unwrap();
        fs::hard_link(&secret, file).unwrap();
    });
    meets("no plain file with one name", &|file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    });
    meets("no plain file with one name", &|file| {
        fs::remove_file(file).unwrap();
        let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
        // SAFETY: `path` is a C string.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    });
    if is_root() {
        meets("belongs to uid 12345", &|file| {
            std::os::unix::fs::chown(file, Some(12345), None).unwrap();
        });
    }
    assert_eq!(dir.files().len(), 0);
}

/// A token that claims much costs nothing.
fn a_receiver_has_a_limit_of_its_own() {
    let dir = Dir::new();
    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let (_, state) = queue
        .receiver(Selection::Any)
        .unwrap()
        .into_parts()
        .unwrap();
    let mut state = state;
    let at = state.len() - 16;
    state[at..at + 8].copy_from_slice(&50_000_u64.to_le_bytes());
    let mut strict = QueueReceiver::from_parts(Vec::new(), &state).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    tx.send(&message(LONG)).unwrap();
    let error = strict.recv().unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                len: LONG,
                max: 50_000,
                limit: "max_len"
            }
        ),
        "{error}"
    );
    assert_eq!(dir.files().len(), 0);

    let mut rx = queue.receiver(Selection::Any).unwrap();
    tx.send(&message(LONG)).unwrap();
    let mut token = plain(queue.id()).recv().unwrap().to_vec();
    token[32..].copy_from_slice(&u64::MAX.to_le_bytes());
    plain_sender(&queue, &token);
    assert!(matches!(rx.recv(), Err(Error::TooLarge { .. })));
}

/// Sends bytes as they are, a token too.
fn plain_sender(queue: &Queue, bytes: &[u8]) {
    let mut state = Vec::new();
    let fields = [queue.id().unsigned_abs().into(), 0, 0, 3, u64::MAX, 0];
    for field in fields {
        state.extend_from_slice(&u64::to_le_bytes(field));
    }
    let mut tx = ipc_msgqueue::QueueSender::from_parts(Vec::new(), &state).unwrap();
    tx.send(bytes).unwrap();
}

fn a_send_that_gives_up_leaves_no_file() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().capacity(100).channel().unwrap();
    tx.send(&message(LONG)).unwrap();
    tx.send(&message(LONG)).unwrap(); // 80 bytes of 100
    assert!(matches!(
        tx.try_send(&message(LONG)),
        Err(Error::WouldBlock)
    ));
    assert!(matches!(
        tx.send_timeout(&message(LONG), SOON),
        Err(Error::TimedOut)
    ));
    assert_eq!(dir.files().len(), 2);
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(dir.files().len(), 0);
}

fn a_full_disk_sends_nothing() {
    let dir = Dir::new();
    // SAFETY: plain strings go in, and nothing is asked back.
    let mounted = unsafe {
        let path = std::ffi::CString::new(dir.0.to_str().unwrap()).unwrap();
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                c"tmpfs".as_ptr(),
                path.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=64k,mode=0700".as_ptr().cast(),
            ) == 0
    };
    if !mounted {
        ipc_core::conformance::skip("only root can mount a small file system");
    }
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    let error = tx.send(&message(LONG)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(
        error.to_string().starts_with("write on spilled message"),
        "{error}"
    );
    assert_eq!(dir.files().len(), 0);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    tx.send(&message(20_000)).unwrap();
    assert_eq!(rx.recv().unwrap(), message(20_000));
    drop((tx, rx));
    let path = std::ffi::CString::new(dir.0.to_str().unwrap()).unwrap();
    // SAFETY: `path` is a C string.
    assert_eq!(unsafe { libc::umount(path.as_ptr()) }, 0);
}

fn peeking_leaves_the_file() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    tx.send(&message(LONG)).unwrap();
    for _ in 0..2 {
        assert_eq!(rx.peek(0).unwrap(), message(LONG));
    }
    assert_eq!(rx.recv().unwrap(), message(LONG));
    assert_eq!(dir.files().len(), 0);
}

fn ends_cross_with_their_directory() {
    let dir = Dir::new();
    let (mut a, b) = dir.options().pair().unwrap();
    let (fds, state) = b.into_parts().unwrap();
    assert!(fds.is_empty());
    let mut b = QueueDuplex::from_parts(fds, &state).unwrap();
    a.send(&message(LONG)).unwrap();
    let received = b.recv().unwrap().to_vec();
    b.send(&received).unwrap();
    assert_eq!(a.recv().unwrap(), message(LONG));
    let (child, mut a) = ipc_process::fork((a, b), |mut b| {
        let received = b.recv().unwrap().to_vec();
        b.send(&received).unwrap();
    })
    .unwrap();
    a.send(&message(LONG)).unwrap();
    assert_eq!(a.recv().unwrap(), message(LONG));
    child.join().unwrap();
    drop(a);
    assert_eq!(dir.files().len(), 0);
}

/// What is in a queue goes with it: its files too, and no others.
fn the_last_handle_removes_the_files() {
    let dir = Dir::new();
    let (mut tx, rx) = dir.options().channel().unwrap();
    let (mut other, _other_rx) = dir.options().channel().unwrap();
    tx.send(&message(LONG)).unwrap();
    other.send(&message(LONG)).unwrap();
    fs::write(dir.0.join("notes"), "not a message").unwrap();
    assert_eq!(dir.files().len(), 3);
    drop((tx, rx));
    assert_eq!(dir.files().len(), 2);

    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    tx.send(&message(LONG)).unwrap();
    tx.send(&message(LONG)).unwrap();
    plain(queue.id()).recv().unwrap(); // as one that is killed before it opens the file
    assert_eq!(dir.files().len(), 4);
    queue.remove().unwrap();
    assert_eq!(dir.files().len(), 2);
}

/// Killed anywhere: what is left goes with the queue, or, if that is removed by `ipcrm`, with the
/// next queue that is given the directory.
fn the_next_queue_sweeps() {
    let dir = Dir::new();
    let (mut tell, mut told) = ipc_msgqueue::channel().unwrap();
    let (mut child, ()) = ipc_process::fork(((), ()), |()| {
        let queue = dir.options().create(Key::PRIVATE).unwrap();
        queue.sender(KIND).unwrap().send(&message(LONG)).unwrap();
        tell.send(&queue.id().to_le_bytes()).unwrap();
        queue
            .receiver(Selection::Exactly(Kind::of::<9>()))
            .unwrap()
            .recv()
            .map(drop)
    })
    .unwrap();
    let id = i32::from_le_bytes(told.recv().unwrap().try_into().unwrap());
    sleeps_in(child.pid(), libc::SYS_msgrcv);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(dir.options().channel().unwrap());
    assert_eq!(
        dir.files().len(),
        1,
        "a queue that is there keeps its files"
    );
    // SAFETY: IPC_RMID ignores its third argument.
    let removed = unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    assert_eq!(removed, 0);
    assert!(!exists(id));
    drop(dir.options().channel().unwrap());
    assert_eq!(dir.files().len(), 0);
}

/// A queue too small for a token says what is the matter.
fn too_small_for_a_token() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().capacity(39).channel().unwrap();
    assert_eq!(tx.max_len(), 39);
    let error = tx.send(&[0; 40]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                max: 39,
                limit: "msgmnb",
                ..
            }
        ),
        "{error}"
    );
    tx.send(&[1; 39]).unwrap();
    assert_eq!(rx.recv().unwrap(), [1; 39]);
}

/// `max_len` holds below the kernel's limits as well.
fn max_len_is_the_longest() {
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().max_len(1000).channel().unwrap();
    assert!(matches!(
        tx.send(&[0; 1001]),
        Err(Error::TooLarge {
            max: 1000,
            limit: "max_len",
            ..
        })
    ));
    tx.send_wait(&[5; 1000], Wait::Never).unwrap();
    assert_eq!(rx.recv().unwrap(), [5; 1000]);
}

/// A limit that is lowered meanwhile makes spilling set in earlier.
fn limits_that_change_meanwhile() {
    own_namespace();
    let dir = Dir::new();
    let (mut tx, mut rx) = dir.options().channel().unwrap();
    fs::write("/proc/sys/kernel/msgmax", "500").unwrap();
    tx.send(&message(501)).unwrap();
    assert_eq!(dir.files().len(), 1);
    assert_eq!(rx.recv().unwrap(), message(501));
}

ipc_core::cases! {
    long_and_short_arrive_in_order,
    short_messages_are_as_without_it,
    files_are_private_under_any_umask,
    directories_that_are_not_private_are_refused,
    strange_files_are_refused,
    a_receiver_has_a_limit_of_its_own,
    a_send_that_gives_up_leaves_no_file,
    a_full_disk_sends_nothing,
    peeking_leaves_the_file,
    ends_cross_with_their_directory,
    the_last_handle_removes_the_files,
    the_next_queue_sweeps,
    too_small_for_a_token,
    max_len_is_the_longest,
    limits_that_change_meanwhile,
}
