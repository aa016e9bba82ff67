//! [`Swoole`]: the codec of tasks, in the layouts of two versions.

use std::path::{Component, Path, PathBuf};

use ipc_core::frame::DEFAULT_MAX_LEN;

use super::SwooleTask;
use super::head::Head;
use super::layout::{Layout, refused};
use crate::directory::Directory;
use crate::{Codec, Error, QueueSender, Result, Wait, sys};

/// Tasks on the queue of a Swoole server (`task_ipc_mode` 2 and 3), in the layout of one version.
///
/// Task worker *n* takes kind *n* + 1, its number counted over all workers; in mode 3 any takes any.
/// Both ends have to speak the same layout: type, lengths and flags are checked, and a task of the other
/// version is refused by name.
///
/// Data that is too long for the queue lies in a file, of which the task gives the path. No such path
/// is followed unless [`directory`](Swoole::directory) is given, and then only if the file lies right there,
/// is a plain one of this user, no link, and of the length that the task says. Reading removes it.
///
/// ```
/// use ipc_msgqueue::php::{Swoole, SwooleTask};
/// use ipc_msgqueue::{Codec, Typed};
///
/// let (tx, rx) = ipc_msgqueue::channel()?;
/// let mut tx = Typed::with_codec(tx, Swoole::v6());
/// let mut rx = Typed::<SwooleTask, _, _>::with_codec(rx, Swoole::v6());
/// tx.send(&SwooleTask::new(7, b"resize"))?;
/// let task = rx.recv()?;
/// assert_eq!((task.id, &task.data[..]), (7, &b"resize"[..]));
/// # Ok::<(), ipc_msgqueue::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Swoole {
    layout: Layout,
    directory: Option<PathBuf>,
}

impl Swoole {
    /// The layout of Swoole 6.2.2: a head of 40 bytes.
    pub fn v6() -> Self {
        Swoole {
            layout: Layout::V6,
            directory: None,
        }
    }

    /// The layout of Swoole 2.1.2, and of its `SwooleTask` class for PHP: a head of 12 bytes.
    pub fn v2() -> Self {
        Swoole {
            layout: Layout::V2,
            directory: None,
        }
    }

    /// Reads and writes long data in files in `directory`, which is the server's `task_tmpdir`: `/tmp`,
    /// unless it is set. Better is one of mode 0700.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sends a task, with data of any length if there is a [`directory`](Swoole::directory).
    ///
    /// # Errors
    ///
    /// Those of [`send_wait`](crate::Sender::send_wait); [`Codec`](Error::Codec) as for
    /// [`encode`](Codec::encode). If the task was not sent, there is no file.
    pub fn send(&self, task: &SwooleTask, queue: &mut QueueSender, wait: Wait) -> Result<()> {
        let mut message = Vec::new();
        let Some(path) = self.directory.as_deref().filter(|_| self.is_long(task)) else {
            self.encode(task, &mut message)?;
            return queue.send_kind(&message, queue.kind(), wait);
        };
        let mut random = [0; 16];
        sys::random(&mut random)
            .map_err(|error| Error::os("getrandom", "the name of a file for a task", error))?;
        let name = format!("swoole.task.{:032x}", u128::from_le_bytes(random));
        let body = self.layout.reference(task.data.len(), &path.join(&name))?;
        self.layout
            .write(task, SwooleTask::TMPFILE, &body, &mut message)?;
        let directory = Directory::open(path)?;
        directory.create(&name, &task.data)?;
        queue
            .send_kind(&message, queue.kind(), wait)
            .inspect_err(|_| directory.remove(&name))
    }

    fn is_long(&self, task: &SwooleTask) -> bool {
        task.data.len() >= self.layout.too_long()
    }

    /// Reads the file that a task refers to.
    fn follow(&self, head: &Head, body: &[u8]) -> Result<Vec<u8>> {
        let (len, path) = self
            .layout
            .referred(body)
            .ok_or_else(|| refused("it refers to a file, and no length and path stand there"))?;
        let shown = path.display();
        let Some(directory) = &self.directory else {
            return Err(refused(&format!(
                "its {len} bytes of data lie in the file {shown}; it is read if Swoole::directory is given"
            )));
        };
        let name = plain_name(directory, path).ok_or_else(|| {
            refused(&format!(
                "its data lies in the file {shown}, which is not right in {}",
                directory.display()
            ))
        })?;
        if len > DEFAULT_MAX_LEN as u64 {
            return Err(Error::TooLarge {
                len: usize::try_from(len).unwrap_or(usize::MAX),
                max: DEFAULT_MAX_LEN,
                limit: "task in a file",
            });
        }
        let mut data = Vec::new();
        let remove = head.flags & SwooleTask::PEEK == 0;
        Directory::open(directory)?.read(name, len, &mut data, remove)?;
        Ok(data)
    }
}

impl Codec<SwooleTask> for Swoole {
    /// # Errors
    ///
    /// [`Codec`](Error::Codec) for data of 8,152 bytes or more, of 8,180 in the layout of 2.1.2: that goes
    /// into a file, by [`Swoole::send`]; for flags that the version does not know, and a task id that it has
    /// no room for.
    fn encode(&self, task: &SwooleTask, out: &mut Vec<u8>) -> Result<()> {
        if self.is_long(task) {
            return Err(refused(&format!(
                "{} bytes of data are for a file: send it with Swoole::send, and give Swoole::directory",
                task.data.len()
            )));
        }
        self.layout.write(task, 0, &task.data, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<SwooleTask> {
        let (head, body) = self.layout.read(bytes).map_err(|what| {
            let other = self.layout.other();
            let hint = match other.read(bytes) {
                Ok(_) => format!("; it has the layout of Swoole {}", other.version()),
                Err(_) => String::new(),
            };
            refused(&format!("for {}, {what}{hint}", self.layout.version()))
        })?;
        let data = if head.flags & SwooleTask::TMPFILE == 0 {
            body.to_vec()
        } else {
            self.follow(&head, body)?
        };
        Ok(SwooleTask {
            id: head.id,
            msg_id: head.msg_id,
            worker: head.worker,
            flags: head.flags & !SwooleTask::TMPFILE,
            time: head.time,
            data,
        })
    }
}

/// The name of a file that lies right in `directory`.
fn plain_name<'a>(directory: &Path, path: &'a Path) -> Option<&'a str> {
    let mut components = path.strip_prefix(directory).ok()?.components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(name)), None) => name.to_str(),
        _ => None,
    }
}
