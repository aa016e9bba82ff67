//! [`QueueBridge`]: a half of a queue that can be waited for together with others.

use std::fmt;
use std::os::fd::BorrowedFd;

use libc::IPC_NOWAIT;

use crate::watcher::{Seen, Watcher};
use crate::{
    Error, Interest, Kind, QueueReceiver, QueueSender, Ready, Receiver, Result, Selection, Sender,
    Wait, sys,
};

/// A half of a queue that is [`Ready`], for `Async` and [`Select`](crate::Select).
///
/// A queue has no descriptor, so a thread looks at it while somebody waits, and rings an eventfd. It hands
/// nothing over: the message stays in the queue until the bridge's own `recv` takes it, and a
/// bridge that is dropped loses nothing, with one exception: an *empty* message may have been taken by looking,
/// and is gone then.
///
/// ```
/// use ipc_msgqueue::{Ready, Receiver, Select, Sender, Wait};
///
/// let (mut tx, rx) = ipc_msgqueue::channel()?;
/// let mut rx = rx.bridge()?;
/// tx.send(b"hello")?;
/// let mut select = Select::new();
/// assert_eq!(select.wait(&mut [&mut rx], Wait::Forever)?, 0);
/// assert_eq!(rx.try_recv()?, b"hello");
/// # Ok::<(), ipc_msgqueue::Error>(())
/// ```
///
/// # Cost
///
/// While there is traffic a message costs what it costs without a bridge, and a lock that nobody else wants. While
/// somebody waits the thread polls as [`Spin`](crate::Spin) says, then looks after naps of 50 µs, doubled up
/// to 1 ms, for as long as the wait lasts: a message after a long silence is noticed 1 ms late at most, and a
/// silence costs about a thousand looks a second. While nobody waits it sleeps. See
/// [the manual](crate#asynchronous) for figures.
pub struct QueueBridge<H> {
    half: H,
    watcher: Watcher,
    /// Bytes that the last send had no room for.
    wanted: usize,
}

impl QueueReceiver {
    /// This half with a thread that looks for messages while somebody waits.
    ///
    /// # Errors
    ///
    /// [`Os`](Error::Os) when there are no descriptors or threads left.
    pub fn bridge(self) -> Result<QueueBridge<QueueReceiver>> {
        let (id, (msgtyp, except)) = (self.queue.id, self.selection.msgtyp());
        // Into a buffer of no bytes every message is too long, and stays, unless it is empty.
        let look = move |_| {
            let mut mtype = [0; sys::MTYPE];
            match sys::msgrcv(id, &mut mtype, msgtyp, IPC_NOWAIT | except) {
                Ok(_) => Seen::Empty(i64::from_ne_bytes(mtype)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOMSG | libc::EINTR) => Seen::Nothing,
                    _ => Seen::Something,
                },
            }
        };
        Ok(QueueBridge {
            watcher: Watcher::new(self.spin(), &self.queue, look)?,
            half: self,
            wanted: 0,
        })
    }
}

impl QueueSender {
    /// This half with a thread that looks for room while somebody waits.
    ///
    /// # Errors
    ///
    /// As [`QueueReceiver::bridge`].
    pub fn bridge(self) -> Result<QueueBridge<QueueSender>> {
        let id = self.queue.id;
        // Who may send need not be allowed to receive, which IPC_STAT asks for.
        let look = move |wanted| match sys::stat_any(id) {
            Ok(ds) if ds.msg_qnum >= ds.msg_qbytes => Seen::Nothing,
            Ok(ds) if ds.__msg_cbytes.saturating_add(wanted as _) > ds.msg_qbytes => Seen::Nothing,
            _ => Seen::Something,
        };
        Ok(QueueBridge {
            watcher: Watcher::new(self.spin(), &self.queue, look)?,
            half: self,
            wanted: 0,
        })
    }
}

impl QueueBridge<QueueReceiver> {
    /// As [`QueueReceiver::kind`].
    pub fn kind(&self) -> Option<Kind> {
        self.half.kind()
    }

    /// As [`QueueReceiver::selection`].
    pub fn selection(&self) -> Selection {
        self.half.selection()
    }
}

impl QueueBridge<QueueSender> {
    /// As [`QueueSender::send_kind`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_kind(&mut self, msg: &[u8], kind: Kind, wait: Wait) -> Result<()> {
        self.watcher.disarm();
        let sent = self.half.send_kind(msg, kind, wait);
        if let Err(Error::WouldBlock) = sent {
            self.wanted = self.half.on_queue(msg.len());
        }
        sent
    }

    /// As [`QueueSender::kind`].
    pub fn kind(&self) -> Kind {
        self.half.kind()
    }
}

impl Receiver for QueueBridge<QueueReceiver> {
    fn recv_wait(&mut self, wait: Wait) -> Result<()> {
        match self.watcher.disarm() {
            Some(mtype) => {
                self.half.received_empty(mtype);
                Ok(())
            }
            None => self.half.recv_wait(wait),
        }
    }

    fn message(&self) -> &[u8] {
        self.half.message()
    }
}

impl Sender for QueueBridge<QueueSender> {
    fn send_wait(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_kind(msg, self.half.kind, wait)
    }

    fn max_len(&self) -> usize {
        self.half.max_len()
    }
}

impl Ready for QueueBridge<QueueReceiver> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.watcher.bell(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        // What is owed is in no queue any more.
        Ok(self.half.owes() || self.watcher.arm(0))
    }
}

impl Ready for QueueBridge<QueueSender> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        (self.watcher.bell(), Interest::Read)
    }

    fn arm(&mut self) -> Result<bool> {
        Ok(self.watcher.arm(self.wanted))
    }
}

impl<H: fmt::Debug> fmt::Debug for QueueBridge<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueBridge").field(&self.half).finish()
    }
}
