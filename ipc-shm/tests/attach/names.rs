//! The names by which a listener is found.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use ipc_process::fork;
use ipc_shm::{Address, connect, listen};
use nix::sys::stat::{Mode, umask};

use super::ends::{Directory, abstract_name, kind_of, trusted};

pub(crate) fn a_socket_file_has_its_mode_under_any_umask() {
    let directory = Directory::new();
    let path = directory.join("ring");
    for asked in [0o600, 0o660, 0o666] {
        for mask in [0, 0o22, 0o77, 0o200, 0o777] {
            let before = umask(Mode::from_bits(mask).unwrap());
            let listener = trusted().mode(asked).listen(path.as_path()).unwrap();
            let made = fs::symlink_metadata(&path).unwrap();
            assert!(made.file_type().is_socket());
            assert_eq!(made.permissions().mode() & 0o7777, asked, "umask {mask:o}");
            drop(listener);
            assert!(!path.exists());
            assert_eq!(umask(before).bits(), mask, "the umask was touched");
        }
    }
    let listener = listen(path.as_path()).unwrap();
    let made = fs::symlink_metadata(&path).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o600);
    drop(listener);
}

pub(crate) fn a_socket_file_is_removed_by_its_maker_only() {
    let directory = Directory::new();
    let path = directory.join("ring");
    let mut listener = Some(listen(path.as_path()).unwrap());
    let (child, ()) = fork(((), ()), |()| {
        drop(listener.take()); // the child's copy
        assert!(path.exists());
    })
    .unwrap();
    child.join().unwrap();
    assert!(path.exists());
    // Not by its name alone, either.
    fs::rename(&path, directory.join("moved")).unwrap();
    let second = listen(path.as_path()).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

pub(crate) fn a_name_that_is_taken_is_refused() {
    let directory = Directory::new();
    let (taken, file) = (directory.join("taken"), directory.join("file"));
    let _listener = listen(taken.as_path()).unwrap();
    fs::write(&file, "precious").unwrap();
    for path in [&taken, &file] {
        let (kind, told) = kind_of(listen(path.as_path()));
        assert_eq!(kind, ErrorKind::AddrInUse);
        let object = format!("bind on shared-memory listener {}", path.display());
        assert!(told.contains(&object), "{told}");
        // Nobody is told to remove what is precious.
        let advice = if *path == taken {
            format!("rm {}", path.display())
        } else {
            "no socket".into()
        };
        assert!(told.contains(&advice), "{told}");
    }
    let _listener = listen(abstract_name()).unwrap();
    assert_eq!(kind_of(listen(abstract_name())).0, ErrorKind::AddrInUse);
}

pub(crate) fn nobody_there_is_said() {
    let directory = Directory::new();
    let (missing, stale) = (directory.join("missing"), directory.join("stale"));
    drop(std::os::unix::net::UnixDatagram::bind(&stale).unwrap());
    let (kind, told) = kind_of(connect(missing.as_path()));
    assert_eq!(kind, ErrorKind::NotFound);
    assert!(told.contains("start the server first"), "{told}");
    let (kind, told) = kind_of(connect(stale.as_path()));
    assert_eq!(kind, ErrorKind::ConnectionRefused);
    assert!(told.contains("nobody listens there"), "{told}");
    let stream = directory.join("stream");
    let _stream = std::os::unix::net::UnixListener::bind(&stream).unwrap();
    let (_, told) = kind_of(connect(stream.as_path()));
    assert!(told.contains("does not share memory"), "{told}");
}

pub(crate) fn names_that_cannot_be_are_refused() {
    let long = format!("/tmp/{}", "x".repeat(103));
    let (_, told) = kind_of(listen(Path::new(&long)));
    assert!(told.contains("at most 107 bytes"), "{told}");
    kind_of(connect(Path::new(&long)));
    assert_eq!(kind_of(listen(Path::new(""))).0, ErrorKind::NotFound);
    for text in ["", "app.ring", "127.0.0.1:80"] {
        let (kind, told) = kind_of(text.parse::<Address>());
        assert_eq!(kind, ErrorKind::InvalidInput);
        assert!(told.contains(&format!("{text:?}")), "{told}");
    }
    for text in ["/run/x", "./x", "./@x", "@x", "@", "@/x"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
}
