//! What PHP programs put on queues: `msg_send`'s values, and Swoole's tasks.
//!
//! `msg_send` and `msg_receive` serialize unless they are told not to; [`PhpSerialize`] is the codec of
//! that, for scalars and strings. With `serialize: false` a message is its bytes, and wants no codec.
//!
//! ```
//! use ipc_msgqueue::php::PhpSerialize;
//! use ipc_msgqueue::{Key, Kind, Queue, Receiver, Selection, Typed};
//!
//! # let key = Key::PRIVATE;
//! // PHP: $queue = msg_get_queue($key, 0600);
//! let queue = Queue::create(key)?;
//! let mut replies = Typed::with_codec(queue.sender(Kind::of::<10>())?, PhpSerialize);
//! replies.send(&"two cups".to_owned())?; // PHP: msg_receive($queue, 10, $kind, 1024, $text);
//! # assert_eq!(queue.receiver(Selection::Any)?.recv()?, br#"s:8:"two cups";"#);
//!
//! // PHP: msg_send($queue, 11, 1234);
//! # queue.sender(Kind::of::<11>())?.send_kind(b"i:1234;", Kind::of::<11>(), ipc_msgqueue::Wait::Never)?;
//! let orders = queue.receiver(Selection::Exactly(Kind::of::<11>()))?;
//! let mut orders = Typed::<i64, _, _>::with_codec(orders, PhpSerialize);
//! assert_eq!(orders.recv()?, 1234);
//! # Ok::<(), ipc_msgqueue::Error>(())
//! ```

mod float;
mod head;
mod layout;
mod parse;
mod scalar;
mod swoole;
mod task;

pub use scalar::{PhpSerialize, PhpValue, Scalar};
pub use swoole::Swoole;
pub use task::SwooleTask;
