//! Where listeners are, what they offer, and both ends of what came of it.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::Duration;

use ipc_shm::{Address, Result, ShmDuplex, ShmListener, ShmOptions};

pub(crate) const SOON: Duration = Duration::from_millis(30);
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A directory of one's own, which others may look into; gone with this.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = env::temp_dir().join(format!("ipc-shm-{}", process::id()));
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn abstract_name() -> Address {
    Address::Abstract(format!("ipc-shm-{}", process::id()).into_bytes())
}

pub(crate) fn trusted() -> ShmOptions {
    ShmOptions::new().capacity(64 << 10)
}

pub(crate) fn tiers() -> [(&'static str, ShmOptions); 2] {
    [("trusted", trusted()), ("untrusted", trusted().untrusted())]
}

pub(crate) fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind(), error.to_string())
}

/// Once somebody listens there.
pub(crate) fn connected(options: &ShmOptions, address: &Address) -> ShmDuplex {
    loop {
        match options.connect_timeout(address, LONG) {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused
                ) =>
            {
                thread::sleep(Duration::from_millis(1));
            }
            end => return end.unwrap(),
        }
    }
}

/// An endpoint each of a client and the listener, in this process.
pub(crate) fn attached(options: &ShmOptions, listener: &ShmListener) -> (ShmDuplex, ShmDuplex) {
    thread::scope(|scope| {
        let client = scope.spawn(|| options.connect(listener.address()).unwrap());
        let server = listener.accept_timeout(LONG).unwrap();
        (client.join().unwrap(), server)
    })
}
