//! No file outlives its message: sends that fail, handles that are dropped, processes that are killed.
#![allow(unsafe_code)] // mount and the like

mod support;

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use ipc_msgqueue::{Error, Key, Kind, Receiver, Selection, Sender};
use support::spill::{Dir, KIND, LONG, message, plain};
use support::{exists, sleeps_in};

const SOON: Duration = Duration::from_millis(30);

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
    ipcrm(id);
    assert!(!exists(id));
    drop(dir.options().channel().unwrap());
    assert_eq!(dir.files().len(), 0);
}

fn who_is_told_of_the_removal_sweeps() {
    let dir = Dir::new();
    let queue = dir.options().create(Key::PRIVATE).unwrap();
    let mut tx = queue.sender(KIND).unwrap();
    tx.send(&message(LONG)).unwrap();
    ipcrm(queue.id());
    assert_eq!(dir.files().len(), 1);
    assert!(matches!(tx.send(b""), Err(Error::Removed { .. })));
    assert_eq!(dir.files().len(), 0);
}

fn ipcrm(id: i32) {
    // SAFETY: IPC_RMID ignores its third argument.
    let removed = unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    assert_eq!(removed, 0);
}

ipc_core::cases! {
    a_send_that_gives_up_leaves_no_file,
    a_full_disk_sends_nothing,
    the_last_handle_removes_the_files,
    the_next_queue_sweeps,
    who_is_told_of_the_removal_sweeps,
}
