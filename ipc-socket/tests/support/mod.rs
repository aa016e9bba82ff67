//! What several tests need.
#![allow(dead_code, reason = "each test needs a part")]

pub(crate) mod sys;

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fs, io, process};

use ipc_socket::{Address, Result};

/// A directory of one's own, gone with this.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-socket-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into())
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// What a killed server leaves.
pub(crate) fn leave(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
}

pub(crate) fn loopback() -> Address {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
}

pub(crate) fn abstract_name() -> Address {
    Address::Abstract(format!("ipc-socket-{}", process::id()).into_bytes())
}

/// A foreign program at the other end of a connection: its bytes go out as they stand.
pub(crate) fn stranger(address: &Address, says: &[u8]) -> File {
    let end = ipc_socket::connect(address).unwrap();
    let (tx, _rx) = end.split();
    let mut stranger = File::from(tx.as_fd().try_clone_to_owned().unwrap());
    stranger.write_all(says).unwrap();
    stranger
}

pub(crate) fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (io::ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}
