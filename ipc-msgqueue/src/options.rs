//! How queues are made and opened.

use std::io;
use std::path::PathBuf;

use libc::{IPC_CREAT, IPC_EXCL, c_int};
use nix::unistd::geteuid;

use crate::handle::Handle;
use crate::spill::Spill;
use crate::stat::explain;
use crate::{
    Duplex, Error, Key, Kind, Queue, QueueDuplex, QueueReceiver, QueueSender, QueueStat, Result,
    Selection, Spin, limits, sys,
};

/// How queues are made and opened.
///
/// ```
/// use ipc_msgqueue::{Key, Kind, QueueOptions, Receiver, Selection, Sender, Spin};
///
/// let queue = QueueOptions::new().capacity(4096).spin(Spin::Never).create(Key::PRIVATE)?;
/// queue.sender(Kind::of::<7>())?.send(b"hello")?;
/// assert_eq!(queue.receiver(Selection::Any)?.recv()?, b"hello");
/// # Ok::<(), ipc_msgqueue::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct QueueOptions {
    mode: Option<u16>,
    creator: Option<u32>,
    spill: Option<PathBuf>,
    capacity: Option<usize>,
    pub(crate) max_len: Option<usize>,
    pub(crate) spin: Spin,
}

impl QueueOptions {
    /// Mode 0600, the kernel's capacity, messages as long as the kernel allows, adaptive waiting.
    pub fn new() -> Self {
        QueueOptions {
            mode: None,
            creator: None,
            spill: None,
            capacity: None,
            max_len: None,
            spin: Spin::default(),
        }
    }

    /// Who may send (write) and receive (read), as for a file; the umask does not count. Without
    /// this only the user that makes the queue may. A queue that is [opened](QueueOptions::open)
    /// must have this mode; without this it may have any.  sysvipc(7)
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some((mode & 0o777) as u16);
        self
    }

    /// Which user must have made a queue that is [opened](QueueOptions::open). Without this it is this
    /// process's own user, or root: keys collide, and anybody can make a queue with a key that is
    /// known.
    pub fn creator(mut self, uid: u32) -> Self {
        self.creator = Some(uid);
        self
    }

    /// Carries messages that are too long for the queue in files in `directory`, up to
    /// [`max_len`](QueueOptions::max_len), 16 MiB without it. Both sides must be given the same
    /// directory, which must be this user's own with mode 0700.
    ///
    /// See [the manual](crate#long-messages) for what is left there, and when.
    pub fn spill(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spill = Some(directory.into());
        self
    }

    /// Asks for room for `bytes` of messages, and for as many messages, in a queue that is made
    /// (`msg_qbytes`). Without this a queue has `kernel.msgmnb`, 16,384.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// The longest message in bytes that senders accept. Without this, and at most, it is
    /// `kernel.msgmax`, 8,192, or the queue's capacity if that is less. With
    /// [`spill`](QueueOptions::spill) it is the longest in a file, which receivers hold to, too.
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = Some(bytes);
        self
    }

    /// How senders and receivers poll before they sleep.
    pub fn spin(mut self, spin: Spin) -> Self {
        self.spin = spin;
        self
    }

    /// Makes a queue that was not there. It is removed when the last handle of this process is
    /// dropped: the [`Queue`] and its senders and receivers.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os): `AlreadyExists` names the queue that has this key, its owner and how to
    /// remove it; `StorageFull` says that the machine is out of queues; `PermissionDenied` that the
    /// capacity asked for is above `kernel.msgmnb`.  msgget(2)
    pub fn create(&self, key: Key) -> Result<Queue> {
        let mode = c_int::from(self.mode.unwrap_or(0o600));
        let spill = self.spilling()?;
        let id = sys::msgget(key.get(), IPC_CREAT | IPC_EXCL | mode)
            .map_err(|error| not_created(key, error))?;
        let queue = Queue::new(Handle::owner(id, key, spill), self.clone());
        if let Some(bytes) = self.capacity {
            queue.set_capacity(bytes)?;
        }
        Ok(queue)
    }

    /// Opens the queue that somebody else made with this key. Dropping it removes nothing.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os): `NotFound` if no queue has the key, which [`Key::PRIVATE`] never names;
    /// `PermissionDenied` if the queue is not the one meant, as its [creator](QueueOptions::creator)
    /// or [mode](QueueOptions::mode) tell. Permission to send and receive is checked by what is then
    /// done.  msgget(2)
    pub fn open(&self, key: Key) -> Result<Queue> {
        let found = if key == Key::PRIVATE {
            Err(io::Error::from_raw_os_error(libc::ENOENT)) // with this key, msgget would make one
        } else {
            sys::msgget(key.get(), 0)
        };
        let id = found.map_err(|error| not_opened(key, error))?;
        let handle = Handle::guest(id, key, self.spilling()?);
        self.check(&handle)?;
        Ok(Queue::new(handle, self.clone()))
    }

    /// A private queue: what goes in at the sender comes out at the receiver.
    ///
    /// # Errors
    ///
    /// As [`create`](QueueOptions::create).
    pub fn channel(&self) -> Result<(QueueSender, QueueReceiver)> {
        let queue = self.create(Key::PRIVATE)?;
        let sender = queue.sender(Kind::default())?;
        Ok((sender, queue.receiver(Selection::Any)?))
    }

    /// Two equal endpoints over two private queues, one each way: no end can take back what it has
    /// sent, and a full queue stops one direction only.
    ///
    /// # Errors
    ///
    /// As [`create`](QueueOptions::create).
    pub fn pair(&self) -> Result<(QueueDuplex, QueueDuplex)> {
        let (there, back) = (self.channel()?, self.channel()?);
        Ok((Duplex::new(there.0, back.1), Duplex::new(back.0, there.1)))
    }

    fn spilling(&self) -> Result<Option<Spill>> {
        self.spill.as_deref().map(Spill::new).transpose()
    }

    /// Whether the queue that has the key is the one that is meant.
    fn check(&self, queue: &Handle) -> Result<()> {
        let found = sys::stat_any(queue.id).map_err(|error| queue.error("msgctl", error))?;
        let found = QueueStat::new(&found);
        let (creator, mode) = (found.creator_uid, found.mode);
        let known = match self.creator {
            Some(uid) => creator == uid,
            None => creator == 0 || creator == geteuid().as_raw(),
        };
        let advice = if !known {
            format!(
                "uid {creator} made it: another program's key may have collided with this one; if it \
                 is the queue that is meant, say so with QueueOptions::creator({creator})"
            )
        } else if self.mode.is_some_and(|asked| u32::from(asked) != mode) {
            format!("it has mode {mode:04o}, not the one asked for: is it another program's?")
        } else {
            return Ok(());
        };
        let error = io::Error::new(io::ErrorKind::PermissionDenied, advice);
        Err(Error::os("msgget", queue.to_string(), error))
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions::new()
    }
}

fn not_created(key: Key, error: io::Error) -> Error {
    let advice = match error.raw_os_error() {
        Some(libc::EEXIST) => occupant(key),
        Some(libc::ENOSPC) => Some(format!(
            "all {} queues of this machine are in use; `ipcs -q` lists them, `ipcrm -q ID` removes \
             one, kernel.msgmni allows more",
            limits().map_or_else(|_| "the".to_owned(), |limits| limits.msgmni.to_string())
        )),
        _ => None,
    };
    Error::os(
        "msgget",
        format!("SysV queue key {key}"),
        explain(error, advice),
    )
}

fn not_opened(key: Key, error: io::Error) -> Error {
    let advice = match error.raw_os_error() {
        Some(libc::ENOENT) if key == Key::PRIVATE => Some(
            "the private key names no queue; get an end from the process that made it".to_owned(),
        ),
        Some(libc::ENOENT) => Some(format!("no queue has key {key}: create it first")),
        _ => None,
    };
    Error::os(
        "msgget",
        format!("SysV queue key {key}"),
        explain(error, advice),
    )
}

/// Whose queue it is that has the key.
fn occupant(key: Key) -> Option<String> {
    let id = sys::msgget(key.get(), 0).ok()?;
    let advice = format!("open it, or remove it with `ipcrm -q {id}`");
    Some(match Handle::guest(id, key, None).stat() {
        Ok(stat) => {
            let users = [stat.last_send, stat.last_recv];
            let last = users.into_iter().flatten().max_by_key(|user| user.at);
            let last = last.map_or_else(
                || "never used".to_owned(),
                |user| format!("last used by process {}", user.pid),
            );
            let creator = stat.creator_uid;
            format!("queue {id} has it, made by uid {creator}, {last}; {advice}")
        }
        Err(_) => format!("queue {id} of another user has it; {advice}"),
    })
}
