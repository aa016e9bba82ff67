//! [`SwooleTask`]: what a Swoole server's workers hand to its task workers.

use std::time::SystemTime;

/// A task of a Swoole server.
///
/// ```
/// use ipc_msgqueue::php::SwooleTask;
///
/// let task = SwooleTask::new(1, b"Hello from Rust!");
/// assert_eq!(task.flags, SwooleTask::NONBLOCK);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SwooleTask {
    /// The task's number, which its sender gave it. The layout of 2.1.2 has 32 bits for it.
    pub id: i64,
    /// The message's number; the layout of 2.1.2 has none.
    pub msg_id: u64,
    /// The worker that sent it, and that is told when it is finished.
    pub worker: i16,
    /// What is said about it: [`SERIALIZE`](SwooleTask::SERIALIZE) and the others.
    pub flags: u16,
    /// When it was sent, in seconds since 1970; the layout of 2.1.2 does not say.
    pub time: f64,
    /// What is to be done.
    pub data: Vec<u8>,
}

impl SwooleTask {
    /// The data lies in a file; [`Swoole`](super::Swoole) sets and clears it.
    pub const TMPFILE: u16 = 1;
    /// The data is the text of `serialize`: see [`PhpSerialize`](super::PhpSerialize).
    pub const SERIALIZE: u16 = 2;
    /// The sender does not wait.
    pub const NONBLOCK: u16 = 4;
    /// The sender has a callback for it. From here on, 6.2.2 alone.
    pub const CALLBACK: u16 = 8;
    /// It is one of several that the sender waits for.
    pub const WAITALL: u16 = 16;
    /// It belongs to a coroutine.
    pub const COROUTINE: u16 = 32;
    /// Whoever reads the file leaves it.
    pub const PEEK: u16 = 64;
    /// The sender wants no answer.
    pub const NOREPLY: u16 = 128;

    /// A task that nobody waits for, sent now by worker 0.
    pub fn new(id: i64, data: impl Into<Vec<u8>>) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        SwooleTask {
            id,
            msg_id: 0,
            worker: 0,
            flags: SwooleTask::NONBLOCK,
            time: now.map_or(0.0, |now| now.as_secs_f64()),
            data: data.into(),
        }
    }
}
