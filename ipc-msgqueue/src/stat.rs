//! What the kernel tells of a queue, and of all queues.

use std::io;
use std::time::{Duration, SystemTime};

use libc::msqid_ds;

use crate::{Error, Result, sys};

/// What the kernel knows of a queue.  msgctl(2), `IPC_STAT`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueStat {
    /// Messages in it.
    pub messages: u64,
    /// Bytes in them, without their kinds.
    pub bytes: u64,
    /// The most bytes in it, and the most messages (`msg_qbytes`).
    pub capacity: u64,
    /// The owner's user: with the creator, who may remove it.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// The user that made it.
    pub creator_uid: u32,
    /// The group that made it.
    pub creator_gid: u32,
    /// Who may send and receive, as for a file.
    pub mode: u32,
    /// Who sent last, if anybody has.
    pub last_send: Option<LastUse>,
    /// Who received last, if anybody has.
    pub last_recv: Option<LastUse>,
    /// When it was made or last changed, to the second.
    pub changed: SystemTime,
}

/// The last use of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastUse {
    /// The process; 0 for one that this process's namespace does not see.
    pub pid: u32,
    /// When, to the second.
    pub at: SystemTime,
}

impl QueueStat {
    #[expect(clippy::useless_conversion)] // the C libraries' integers differ
    pub(crate) fn new(ds: &msqid_ds) -> Self {
        QueueStat {
            messages: ds.msg_qnum.into(),
            bytes: ds.__msg_cbytes.into(),
            capacity: ds.msg_qbytes.into(),
            uid: ds.msg_perm.uid,
            gid: ds.msg_perm.gid,
            creator_uid: ds.msg_perm.cuid,
            creator_gid: ds.msg_perm.cgid,
            mode: u32::from(ds.msg_perm.mode) & 0o777,
            last_send: last(ds.msg_lspid, ds.msg_stime),
            last_recv: last(ds.msg_lrpid, ds.msg_rtime),
            changed: at(ds.msg_ctime),
        }
    }
}

/// The limits on queues, of this machine or of this IPC namespace, in the kernel's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message in bytes (`kernel.msgmax`, 8,192 by default).
    pub msgmax: usize,
    /// The capacity of a new queue in bytes (`kernel.msgmnb`, 16,384 by default).
    pub msgmnb: usize,
    /// The most queues (`kernel.msgmni`, 32,000 by default).
    pub msgmni: usize,
}

/// The limits as they are now; the administrator may change them at any time.
///
/// ```
/// let limits = ipc_msgqueue::limits()?;
/// println!("messages up to {} bytes", limits.msgmax);
/// # Ok::<(), ipc_msgqueue::Error>(())
/// ```
///
/// # Errors
///
/// [`Os`](Error::Os) from a kernel without `SysV` queues.  msgctl(2), `MSG_INFO`
pub fn limits() -> Result<Limits> {
    let info = sys::info().map_err(|error| Error::os("msgctl", "SysV queue limits", error))?;
    let size = |limit| usize::try_from(limit).unwrap_or(0);
    Ok(Limits {
        msgmax: size(info.msgmax),
        msgmnb: size(info.msgmnb),
        msgmni: size(info.msgmni),
    })
}

/// What the kernel said, and what to do about it.
pub(crate) fn explain(error: io::Error, advice: Option<String>) -> io::Error {
    match advice {
        Some(advice) => io::Error::new(error.kind(), format!("{error}: {advice}")),
        None => error,
    }
}

fn last(pid: i32, seconds: i64) -> Option<LastUse> {
    (seconds > 0).then(|| LastUse {
        pid: pid.unsigned_abs(),
        at: at(seconds),
    })
}

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
}
