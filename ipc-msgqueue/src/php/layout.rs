//! [`Layout`]: how a task lies in a message, in two versions.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::SwooleTask;
use super::head::{Head, V2, V6};
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    V6,
    V2,
}

impl Layout {
    pub(super) fn other(self) -> Layout {
        match self {
            Layout::V6 => Layout::V2,
            Layout::V2 => Layout::V6,
        }
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Layout::V6 => "6.2.2",
            Layout::V2 => "2.1.2",
        }
    }

    /// What the type byte says of a task.
    pub(super) fn kind(self) -> u8 {
        match self {
            Layout::V6 => 8,
            Layout::V2 => 7,
        }
    }

    pub(super) fn flags(self) -> u16 {
        match self {
            Layout::V6 => 0xff,
            Layout::V2 => 0x07,
        }
    }

    /// Data of so many bytes lies in a file.
    pub(super) fn too_long(self) -> usize {
        8192 - match self {
            Layout::V6 => V6,
            Layout::V2 => V2,
        }
    }

    /// Bytes in a length and a path.
    pub(super) fn reference_len(self) -> usize {
        match self {
            Layout::V6 => 8 + 256,
            Layout::V2 => 128 + 24,
        }
    }

    pub(super) fn write(
        self,
        task: &SwooleTask,
        also: u16,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let flags = task.flags & !SwooleTask::TMPFILE | also;
        if flags & !self.flags() != 0 {
            return Err(refused(&format!(
                "{} knows no flags {:#x}",
                self.version(),
                flags & !self.flags()
            )));
        }
        let head = Head {
            id: task.id,
            msg_id: task.msg_id,
            len: u32::try_from(body.len()).unwrap_or(u32::MAX), // under 8,192
            worker: task.worker,
            kind: self.kind(),
            flags,
            time: task.time,
        };
        match self {
            Layout::V6 => out.extend_from_slice(&head.write_v6()),
            Layout::V2 => out.extend_from_slice(&head.write_v2().ok_or_else(|| {
                refused(&format!(
                    "2.1.2 has 32 bits for a task id, not enough for {}",
                    task.id
                ))
            })?),
        }
        out.extend_from_slice(body);
        Ok(())
    }

    pub(super) fn read(self, bytes: &[u8]) -> std::result::Result<(Head, &[u8]), String> {
        let parts = match self {
            Layout::V6 => bytes
                .split_first_chunk()
                .map(|(head, body)| (Head::read_v6(head), body)),
            Layout::V2 => bytes
                .split_first_chunk()
                .map(|(head, body)| (Head::read_v2(head), body)),
        };
        let (head, body) = parts.ok_or_else(|| format!("{} bytes are too few", bytes.len()))?;
        if head.kind != self.kind() {
            return Err(format!("type {} is no task", head.kind));
        }
        if head.flags & !self.flags() != 0 {
            return Err(format!("flags {:#x} are unknown", head.flags));
        }
        // The PHP class of 2.1.2 gives the length of the whole reference, and cuts it after the path.
        let cut = self == Layout::V2
            && head.flags & SwooleTask::TMPFILE != 0
            && head.len as usize == self.reference_len()
            && body.len() < self.reference_len();
        if head.len as usize != body.len() && !cut {
            return Err(format!(
                "{} bytes of data are announced, there are {}",
                head.len,
                body.len()
            ));
        }
        Ok((head, body))
    }

    /// A length and a path, as they stand in a task: `u64` and 256 bytes, `i32` and 148.
    pub(super) fn reference(self, len: usize, path: &Path) -> Result<Vec<u8>> {
        let mut body = match self {
            Layout::V6 => (len as u64).to_le_bytes().to_vec(),
            Layout::V2 => i32::try_from(len)
                .map_err(|_| refused("2.1.2 has 31 bits for the length of data"))?
                .to_le_bytes()
                .to_vec(),
        };
        body.extend_from_slice(path.as_os_str().as_bytes());
        if body.len() >= self.reference_len() {
            return Err(refused(&format!(
                "the path {} is too long for it",
                path.display()
            )));
        }
        body.resize(self.reference_len(), 0);
        Ok(body)
    }

    pub(super) fn referred(self, body: &[u8]) -> Option<(u64, &Path)> {
        let (len, path) = match self {
            Layout::V6 => {
                let (len, path) = body.split_first_chunk()?;
                (u64::from_le_bytes(*len), path)
            }
            Layout::V2 => {
                let (len, path) = body.split_first_chunk()?;
                (u64::try_from(i32::from_le_bytes(*len)).ok()?, path)
            }
        };
        let end = path.iter().position(|&byte| byte == 0)?;
        let right = body.len() == self.reference_len() || self == Layout::V2;
        (end > 0 && right).then(|| (len, Path::new(OsStr::from_bytes(&path[..end]))))
    }
}

pub(super) fn refused(what: &str) -> Error {
    Error::Codec(format!("Swoole task: {what}").into())
}
