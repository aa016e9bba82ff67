//! How queues are made and opened.

use std::io;

use libc::{IPC_CREAT, IPC_EXCL, c_int};

use crate::handle::Handle;
use crate::stat::explain;
use crate::{
    Duplex, Error, Key, Kind, Queue, QueueDuplex, QueueReceiver, QueueSender, Result, Selection,
    Spin, limits, sys,
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
    mode: u32,
    capacity: Option<usize>,
    pub(crate) max_len: Option<usize>,
    pub(crate) spin: Spin,
}

impl QueueOptions {
    /// Mode 0600, the kernel's capacity, messages as long as the kernel allows, adaptive waiting.
    pub fn new() -> Self {
        QueueOptions {
            mode: 0o600,
            capacity: None,
            max_len: None,
            spin: Spin::default(),
        }
    }

    /// Who may send (write) and receive (read), as for a file; the umask does not count. Without
    /// this only the user that makes the queue may.  sysvipc(7)
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Asks for room for `bytes` of messages, and for as many messages, in a queue that is made
    /// (`msg_qbytes`). Without this a queue has `kernel.msgmnb`, 16,384.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// The longest message in bytes that senders accept. Without this, and at most, it is
    /// `kernel.msgmax`, 8,192, or the queue's capacity if that is less.
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
        let flags = IPC_CREAT | IPC_EXCL | c_int::from((self.mode & 0o777) as u16);
        let id = sys::msgget(key.get(), flags).map_err(|error| not_created(key, error))?;
        let queue = Queue::new(Handle::owner(id, key), self.clone());
        if let Some(bytes) = self.capacity {
            queue.set_capacity(bytes)?;
        }
        Ok(queue)
    }

    /// Opens the queue that somebody else made with this key. Dropping it removes nothing.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os): `NotFound` if no queue has the key, which [`Key::PRIVATE`] never names.
    /// Permission is checked by what is then done.  msgget(2)
    pub fn open(&self, key: Key) -> Result<Queue> {
        let found = if key == Key::PRIVATE {
            Err(io::Error::from_raw_os_error(libc::ENOENT)) // with this key, msgget would make one
        } else {
            sys::msgget(key.get(), 0)
        };
        let id = found.map_err(|error| not_opened(key, error))?;
        Ok(Queue::new(Handle::guest(id, key), self.clone()))
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
    Some(match Handle::guest(id, key).stat() {
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
