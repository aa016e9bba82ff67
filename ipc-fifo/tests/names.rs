//! The path: who may make it, what may be found there, who removes it, and with which mode.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use ipc_fifo::{Error, Fifo, FifoReceiver, FifoSender, Receiver, Result, Sender, Wait};
use ipc_process::fork;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, mkfifo, seteuid};
use tempfile::TempDir;

fn named(name: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    (directory, path)
}

/// What both ways of opening say; they say the same.
fn refused(path: &Path) -> String {
    let told = message(FifoReceiver::open(path));
    assert_eq!(told, message(FifoSender::open(path, Wait::Forever)));
    assert!(told.contains(path.to_str().unwrap()), "{told}");
    told
}

fn message<T>(result: Result<T>) -> String {
    result.map(drop).unwrap_err().to_string()
}

fn what_is_no_fifo_is_named() {
    let (directory, path) = named("it");
    fs::write(&path, "text").unwrap();
    assert!(refused(&path).contains("is a regular file, not a FIFO"));
    assert_eq!(fs::read(&path).unwrap(), b"text");
    assert!(refused(directory.path()).contains("is a directory, not a FIFO"));
    let link = directory.path().join("link");
    let _fifo = Fifo::create(directory.path().join("fifo")).unwrap();
    symlink("fifo", &link).unwrap();
    assert!(refused(&link).contains("is a symbolic link, not a FIFO"));
    let socket = directory.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert!(refused(&socket).contains("is a socket, not a FIFO"));
    assert!(refused(Path::new("/dev/null")).contains("is a device, not a FIFO"));
    assert!(refused(&directory.path().join("none")).contains("nobody made it"));
}

fn creating_is_exclusive() {
    let (_directory, path) = named("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let told = message(Fifo::create(&path));
    for part in [path.to_str().unwrap(), "File exists", "open_sender"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    drop(fifo);
    fs::write(&path, "text").unwrap();
    assert!(message(Fifo::create(&path)).contains("File exists"));
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

fn the_mode_is_0600_under_any_umask() {
    for mask in [0, 0o022, 0o077, 0o777] {
        let (_directory, path) = named("fifo");
        umask(Mode::from_bits_truncate(mask));
        let fifo = Fifo::create(&path).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600, "{mask:o}");
        let mut rx = fifo.receiver().unwrap();
        fifo.sender(Wait::Never).unwrap().send(b"hello").unwrap();
        assert_eq!(rx.recv().unwrap(), b"hello");
        umask(Mode::from_bits_truncate(0o022));
    }
}

fn a_fifo_that_others_may_open_is_refused() {
    let (_directory, path) = named("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    for mode in [0o644, 0o620, 0o602, 0o610] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(refused(&path).contains(&format!("mode {mode:o} lets other users in")));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    FifoReceiver::open(&path).unwrap();
}

fn another_users_fifo_is_refused() {
    if !Uid::effective().is_root() {
        ipc_core::conformance::skip("only root can become another user");
    }
    let (directory, path) = named("fifo");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    let fifo = Fifo::create(&path).unwrap();
    seteuid(Uid::from_raw(65534)).unwrap();
    assert!(refused(&path).contains("is user 0's, and this process is user 65534's"));
    // What another user made is no better, though root could open it.
    let theirs = Fifo::create(directory.path().join("theirs")).unwrap();
    seteuid(Uid::from_raw(0)).unwrap();
    assert!(refused(theirs.path()).contains("is user 65534's"));
    drop(fifo);
}

/// As an ordinary user, whom a directory of mode 0000 would keep out.
fn a_private_fifo_works_under_any_umask() {
    if Uid::effective().is_root() {
        nix::unistd::setuid(Uid::from_raw(65534)).unwrap();
    }
    for mask in [0, 0o077, 0o777] {
        umask(Mode::from_bits_truncate(mask));
        let (mut tx, mut rx) = ipc_fifo::channel().unwrap();
        tx.send(b"hello").unwrap();
        assert_eq!(rx.recv().unwrap(), b"hello");
    }
}

fn the_last_end_removes_the_path() {
    let (_directory, path) = named("fifo");
    let fifo = Fifo::create(&path).unwrap();
    let rx = fifo.receiver().unwrap();
    let tx = fifo.sender(Wait::Never).unwrap();
    let guest = FifoSender::open(&path, Wait::Never).unwrap();
    for end in [
        Box::new(fifo) as Box<dyn Send>,
        Box::new(rx),
        Box::new(guest),
    ] {
        drop(end);
        assert!(path.exists());
    }
    drop(tx);
    assert!(!path.exists());
}

fn only_the_maker_removes_the_path() {
    let (_directory, path) = named("fifo");
    let mut fifo = Some(Fifo::create(&path).unwrap());
    let end = fifo.as_ref().unwrap().receiver().unwrap();
    // The child drops its copies of all there is.
    let (child, ()) = fork(((), end), |end| drop((end, fifo.take()))).unwrap();
    child.join().unwrap();
    assert!(path.exists());
    drop(fifo);
    assert!(!path.exists());
}

fn a_path_that_names_another_is_left_alone() {
    let (_directory, path) = named("fifo");
    let first = Fifo::create(&path).unwrap(); // nobody opens it, and its inode stays taken
    fs::remove_file(&path).unwrap();
    assert!(matches!(first.receiver(), Err(Error::Removed { .. })));
    assert!(matches!(
        first.sender(Wait::Forever),
        Err(Error::Removed { .. })
    ));
    let second = Fifo::create(&path).unwrap();
    assert!(matches!(first.receiver(), Err(Error::Removed { .. })));
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

fn a_directory_where_others_could_replace_it_is_refused() {
    let (directory, path) = named("fifo");
    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
        let told = message(Fifo::create(&path));
        for part in [
            directory.path().to_str().unwrap(),
            &format!("mode {mode:o}"),
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!path.exists());
    }
    for mode in [0o700, 0o755, 0o1777] {
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
        Fifo::create(&path).unwrap();
    }
    if Uid::effective().is_root() {
        chown(directory.path(), Some(65534), None).unwrap();
        assert!(message(Fifo::create(&path)).contains("user 65534's"));
    }
}

fn a_fifo_is_removed_wherever_its_directory_is() {
    let (directory, _) = named("");
    let (before, after) = (
        directory.path().join("before"),
        directory.path().join("after"),
    );
    fs::create_dir(&before).unwrap();
    let fifo = Fifo::create(before.join("fifo")).unwrap();
    fs::rename(&before, &after).unwrap();
    fs::create_dir(&before).unwrap();
    let other = Fifo::create(before.join("fifo")).unwrap();
    assert!(matches!(fifo.receiver(), Err(Error::Removed { .. })));
    drop(fifo);
    assert!(!after.join("fifo").exists());
    assert!(before.join("fifo").exists());
    drop(other);
}

fn a_path_without_a_name_is_refused() {
    for path in ["/", ".", "..", "/tmp/.."] {
        assert!(
            message(Fifo::create(path)).contains("File exists"),
            "{path}"
        );
    }
}

fn a_relative_path_survives_a_change_of_directory() {
    let (directory, path) = named("fifo");
    env::set_current_dir(directory.path()).unwrap();
    let fifo = Fifo::create("fifo").unwrap();
    assert_eq!(fifo.path(), path);
    env::set_current_dir("/").unwrap();
    fifo.receiver().unwrap();
    drop(fifo);
    assert!(!path.exists());
}

ipc_core::cases! {
    what_is_no_fifo_is_named,
    creating_is_exclusive,
    the_mode_is_0600_under_any_umask,
    a_fifo_that_others_may_open_is_refused,
    another_users_fifo_is_refused,
    a_private_fifo_works_under_any_umask,
    the_last_end_removes_the_path,
    only_the_maker_removes_the_path,
    a_path_that_names_another_is_left_alone,
    a_directory_where_others_could_replace_it_is_refused,
    a_fifo_is_removed_wherever_its_directory_is,
    a_path_without_a_name_is_refused,
    a_relative_path_survives_a_change_of_directory,
}
