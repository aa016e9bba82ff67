//! Whatever a queue brings, the codec of Swoole's tasks takes it as a task or refuses it, follows no path out of
//! its directory, and asks for no more memory than the message has bytes.
#![no_main]

use ipc_core::conformance::{CountingAllocator, take_largest_allocation};
use ipc_msgqueue::Codec;
use ipc_msgqueue::php::{Swoole, SwooleTask};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Enough for what an error says, and for the path in it three times over: what is no UTF-8 is replaced.
const SENTENCE: usize = 1024;

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    for codec in [Swoole::v6(), Swoole::v2()] {
        if let Some(task) = decode(&codec, message) {
            let mut again = Vec::new();
            codec.encode(&task, &mut again).unwrap();
            let same = codec.decode(&again).unwrap();
            assert_eq!(
                (same.id, same.flags, same.worker),
                (task.id, task.flags, task.worker)
            );
            assert_eq!(same.data, task.data);
        }
        // There is no such directory: what passes the checks is not found.
        let followed = decode(&codec.directory("/d"), message);
        assert!(followed.is_none_or(|task| message.ends_with(&task.data)));
    }
});

fn decode(codec: &Swoole, message: &[u8]) -> Option<SwooleTask> {
    take_largest_allocation();
    let decoded = codec.decode(message);
    let largest = take_largest_allocation();
    let allowed = match decoded {
        Ok(_) => message.len(),
        Err(_) => SENTENCE + 6 * message.len(),
    };
    assert!(largest <= allowed, "{largest} bytes for {}", message.len());
    decoded.ok()
}
