//! Whose end a child holds: its own, and none that its parent keeps for its siblings.

#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "support/mod.rs"]
mod ipc_pipe;
#[path = "support/sys.rs"]
mod sys;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use ipc_core::{Error, Inherit};
use ipc_pipe::{End, Raw, Receiver, Sender, pair};
use ipc_process::{Child, fork};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

/// Far more than it takes; less than the watchdog has.
const LONG: Duration = Duration::from_secs(20);

/// Echoes until its peer is gone.
fn echo(mut end: End) -> ipc_core::Result<()> {
    loop {
        let (tx, rx) = end.halves();
        match rx.recv() {
            Ok(message) => tx.send(message)?,
            Err(Error::Disconnected) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn echoing() -> (Child, End) {
    fork(pair().unwrap(), echo).unwrap()
}

fn answers(end: &mut End) -> bool {
    end.send(b"there?").unwrap();
    end.recv_timeout(LONG)
        .is_ok_and(|message| message == b"there?")
}

fn ends(child: &mut Child) -> bool {
    child
        .wait_timeout(LONG)
        .unwrap()
        .is_some_and(|status| status.success())
}

fn dropping_an_end_is_eof_for_its_child_and_no_other() {
    let mut children = [echoing(), echoing(), echoing()].map(|(child, end)| (child, Some(end)));
    for dropped in 0..3 {
        let (child, end) = &mut children[dropped];
        drop(end.take());
        assert!(ends(child), "child {dropped} has no end of file");
        for (child, end) in &mut children[dropped + 1..] {
            assert!(answers(end.as_mut().unwrap()));
            assert_eq!(child.try_wait().unwrap(), None);
        }
    }
}

fn a_number_that_is_used_again_is_another_object() {
    let (mut first, end) = echoing();
    let mut numbers = Vec::new();
    end.fds(&mut |fd| numbers.push(fd.as_raw_fd()));
    drop(end);
    assert!(ends(&mut first));
    let (reader, writer) = ipc_pipe::raw();
    assert!(
        numbers.contains(&writer.as_raw_fd()),
        "the number was not used again"
    );
    let (second, ()) = fork(((), ()), |()| (&writer).write_all(b"mine")).unwrap();
    drop(writer);
    assert_eq!(text_of(reader, second), "mine");
}

fn a_duplicate_is_the_same_object() {
    let (mut first, mut end) = echoing();
    let duplicate: OwnedFd = end.sender().as_fd().try_clone_to_owned().unwrap();
    let (_second, mut other) = echoing();
    assert!(answers(&mut other));
    drop((end, duplicate));
    assert!(ends(&mut first), "the second child holds the first's end");
}

fn an_end_is_handed_on() {
    let (mut first, end) = echoing();
    let (second, mut results) = {
        let (ours, theirs) = pair().unwrap();
        fork((ours, (end, theirs)), |(mut end, mut results)| {
            assert!(answers(&mut end));
            results.send(b"it answers")?;
            results.recv().map(|_| ())
        })
        .unwrap()
    };
    assert_eq!(results.recv().unwrap(), b"it answers");
    assert_eq!(first.try_wait().unwrap(), None);
    results.send(b"end").unwrap();
    second.join().unwrap();
    assert!(
        ends(&mut first),
        "somebody else holds the end that was handed on"
    );
}

fn a_grandchild_does_not_hold_its_parents_end() {
    let (tell, go) = (pair().unwrap(), pair().unwrap());
    let (child, (mut told, mut go)) = fork(
        ((tell.0, go.0), (tell.1, go.1)),
        |(tell, mut go): (End, End)| {
            let (grandchild, end) = echoing();
            drop(tell);
            go.recv().unwrap();
            drop(end);
            grandchild.join().unwrap();
        },
    )
    .unwrap();
    let received = told.recv_timeout(LONG).map(<[u8]>::to_vec);
    assert!(matches!(received, Err(Error::Disconnected)), "{received:?}");
    go.send(b"go").unwrap();
    child.join().unwrap();
}

/// What arrives until all writers are gone; the child is one.
fn text_of(mut reader: File, child: Child) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    child.join().unwrap();
    text
}

fn the_other_direction_is_another_end() {
    let (reader, writer) = ipc_pipe::raw();
    let kept = Raw::new(reader.try_clone().unwrap());
    let (first, _kept) = fork((kept, ()), |()| ()).unwrap();
    let (second, ()) = fork(((), ()), |()| (&writer).write_all(b"written")).unwrap();
    drop(writer);
    assert_eq!(text_of(reader, second), "written");
    first.join().unwrap();
}

fn an_end_that_was_dropped_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    let open = |flags: OFlag| File::from(nix::fcntl::open(&path, flags, Mode::empty()).unwrap());
    let reader = open(OFlag::O_RDONLY | OFlag::O_NONBLOCK);
    let (first, end) = fork((Raw::new(open(OFlag::O_WRONLY)), ()), |()| ()).unwrap();
    first.join().unwrap();
    drop(end);
    fork(((), ()), |()| ()).unwrap().0.join().unwrap();
    // The same object, and no end of a fork.
    let writer = open(OFlag::O_WRONLY);
    let (third, ()) = fork(((), ()), |()| (&writer).write_all(b"written")).unwrap();
    drop(writer);
    third.join().unwrap();
    let mut bytes = [0; 64];
    let len = (&reader).read(&mut bytes).unwrap();
    assert_eq!(&bytes[..len], b"written");
}

fn a_file_with_a_fifos_number_is_not_mistaken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("name");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let end = nix::fcntl::open(&path, flags, Mode::empty()).unwrap();
    let number = std::fs::metadata(&path).unwrap().ino();
    let (first, end) = fork((Raw::new(end), ()), |()| ()).unwrap();
    first.join().unwrap();
    std::fs::remove_file(&path).unwrap();
    drop(end);
    std::fs::write(&path, "mine").unwrap();
    let file = File::open(&path).unwrap();
    if file.metadata().unwrap().ino() != number {
        ipc_core::conformance::skip("this file system gives no inode number twice in a row");
    }
    let (second, ()) = fork(((), ()), |()| -> std::io::Result<()> {
        let mut text = String::new();
        (&file).read_to_string(&mut text)?;
        assert_eq!(text, "mine");
        Ok(())
    })
    .unwrap();
    second.join().unwrap();
}

fn what_has_no_inode_of_its_own_is_not_mistaken() {
    let (first, _kept) = fork((Raw::new(sys::eventfd()), ()), |()| ()).unwrap();
    first.join().unwrap();
    let other = sys::eventfd();
    let (second, ()) = fork(((), ()), |()| {
        nix::unistd::write(&other, &1_u64.to_ne_bytes()).unwrap();
    })
    .unwrap();
    second.join().unwrap();
}

fn the_standard_streams_are_left_alone() {
    let (reader, writer) = ipc_pipe::raw();
    let console = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    nix::unistd::dup2_stdout(&writer).unwrap();
    let (first, kept) = fork((Raw::new(writer), ()), |()| ()).unwrap();
    first.join().unwrap();
    let (second, ()) = fork(((), ()), |()| println!("still here")).unwrap();
    drop(kept);
    nix::unistd::dup2_stdout(console).unwrap();
    assert_eq!(text_of(reader, second), "still here\n");
}

ipc_core::cases! {
    dropping_an_end_is_eof_for_its_child_and_no_other,
    a_number_that_is_used_again_is_another_object,
    a_duplicate_is_the_same_object,
    an_end_is_handed_on,
    a_grandchild_does_not_hold_its_parents_end,
    the_other_direction_is_another_end,
    an_end_that_was_dropped_is_forgotten,
    a_file_with_a_fifos_number_is_not_mistaken,
    what_has_no_inode_of_its_own_is_not_mistaken,
    the_standard_streams_are_left_alone,
}
