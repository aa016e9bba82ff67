//! Long messages, and the directory of their files.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use ipc_msgqueue::{Inherit, Kind, QueueOptions, QueueReceiver};

pub(crate) const KIND: Kind = Kind::of::<3>();
pub(crate) const LONG: usize = 100_000;

/// A private directory, removed at the end.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ipc-msgqueue-spill-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Dir(path)
    }

    pub(crate) fn options(&self) -> QueueOptions {
        QueueOptions::new().spill(&self.0)
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    pub(crate) fn file(&self) -> PathBuf {
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

pub(crate) fn message(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at * 7 + at / 251).to_le_bytes()[0])
        .collect()
}

/// A receiver of that queue that has no directory.
pub(crate) fn plain(id: i32) -> QueueReceiver {
    let mut state = Vec::new();
    let fields: [u64; 8] = [id.unsigned_abs().into(), 0, 0, 0, 1, 0, u64::MAX, 0];
    for field in fields {
        state.extend_from_slice(&field.to_le_bytes());
    }
    QueueReceiver::from_parts(Vec::new(), &state).unwrap()
}
