//! A `SysV` queue each way by bare calls.

use std::fs;
use std::io;
use std::os::raw::c_int;
use std::process;
use std::sync::Arc;

use ipc_core::{Error, Receiver, Sender, Wait};

use crate::Result;
use crate::cells::{Ends, Pair};
use crate::plan::Cell;
use crate::sys;

pub(crate) fn sysv(cell: &Cell) -> Result<Box<dyn Ends>> {
    let max = limit("msgmax")?.min(limit("msgmnb")?);
    let flags = if cell.polls() { libc::IPC_NOWAIT } else { 0 };
    // A type, then the message.
    let buffer = vec![1; 1 + cell.size.min(max).div_ceil(8)];
    let channel = || -> Result<_> {
        let queue = Arc::new(Queue::new()?);
        let sender = QueueSender {
            queue: Arc::clone(&queue),
            flags,
            max,
            buffer: buffer.clone(),
        };
        let receiver = QueueReceiver {
            queue,
            flags,
            len: 0,
            buffer: buffer.clone(),
        };
        Ok((sender, receiver))
    };
    Ok(Box::new(Pair::of_channels(channel()?, channel()?)))
}

fn limit(name: &str) -> Result<usize> {
    let path = format!("/proc/sys/kernel/{name}");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(text.trim().parse()?)
}

/// A queue, removed by the process that made it.
#[derive(Debug)]
struct Queue {
    id: c_int,
    maker: u32,
}

impl Queue {
    fn new() -> Result<Self> {
        let id = sys::msgget().map_err(|error| Error::os("msgget", "raw SysV queue", error))?;
        let maker = process::id();
        Ok(Queue { id, maker })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.maker == process::id() {
            let _ = sys::msgctl_remove(self.id);
        }
    }
}

#[derive(Debug)]
struct QueueSender {
    queue: Arc<Queue>,
    flags: c_int,
    max: usize,
    buffer: Vec<u64>,
}

impl Sender for QueueSender {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], _: Wait) -> ipc_core::Result<()> {
        let (len, max) = (msg.len(), self.max);
        if len > max {
            let limit = "msgmax";
            return Err(Error::TooLarge { len, max, limit });
        }
        sys::bytes_mut(&mut self.buffer[1..])[..len].copy_from_slice(msg);
        loop {
            match sys::msgsnd(self.queue.id, &self.buffer, len, self.flags) {
                Err(error) if again(&error) => {}
                result => return result.map_err(|error| self.queue.error("msgsnd", error)),
            }
        }
    }

    fn max_len(&self) -> usize {
        self.max
    }
}

#[derive(Debug)]
struct QueueReceiver {
    queue: Arc<Queue>,
    flags: c_int,
    len: usize,
    buffer: Vec<u64>,
}

impl Receiver for QueueReceiver {
    #[inline]
    fn recv_wait(&mut self, _: Wait) -> ipc_core::Result<()> {
        loop {
            match sys::msgrcv(self.queue.id, &mut self.buffer, self.flags) {
                Err(error) if again(&error) => {}
                Err(error) => return Err(self.queue.error("msgrcv", error)),
                Ok(len) => {
                    self.len = len;
                    return Ok(());
                }
            }
        }
    }

    fn message(&self) -> &[u8] {
        &sys::bytes(&self.buffer[1..])[..self.len]
    }
}

impl Queue {
    #[cold]
    fn error(&self, call: &'static str, source: io::Error) -> Error {
        Error::os(call, format!("raw SysV queue {}", self.id), source)
    }
}

fn again(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMSG | libc::EINTR)
    )
}
