//! Files of long messages and their directory: private when they are made, refused when they are not.
#![allow(unsafe_code)] // umask and the like

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use ipc_msgqueue::{QueueOptions, Receiver, Sender};
use support::spill::{Dir, LONG, message};

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

ipc_core::cases! {
    files_are_private_under_any_umask,
    directories_that_are_not_private_are_refused,
    strange_files_are_refused,
}
