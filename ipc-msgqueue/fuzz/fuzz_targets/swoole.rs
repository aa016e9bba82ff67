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

libfuzzer_sys::fuzz_target!(|script: &[u8]| play(&message(script)));

fn play(message: &[u8]) {
    for (codec, len) in [(Swoole::v6(), 16..20), (Swoole::v2(), 4..6)] {
        if let Some(task) = decode(&codec, message) {
            let announced = message[len]
                .iter()
                .rev()
                .fold(0, |len, &byte| len << 8 | usize::from(byte));
            assert_eq!(announced, task.data.len());
            assert!(message.ends_with(&task.data));
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
}

/// Any bytes, or a task of either version that is right or nearly so.
fn message(script: &[u8]) -> Vec<u8> {
    let (&[what, off, flags], bytes) = match script.split_first_chunk() {
        Some((how, bytes)) if how[0] >= 64 => (how, bytes),
        _ => return script.to_vec(),
    };
    let v6 = what & 1 == 0;
    let (head, data) = bytes.split_at(bytes.len().min(if v6 { 40 } else { 12 }));
    let mut body = data.to_vec();
    if flags & 1 != 0 && what & 2 == 0 {
        // A length and a path.
        let len = if v6 { 8 } else { 4 };
        body = [
            &[data.len() as u8, 0, 0, 0, 0, 0, 0, 0][..len],
            b"/d/",
            data,
        ]
        .concat();
        body.resize(if v6 { 264 } else { 152 }, 0);
    }
    let len = (body.len() + usize::from(off % 8)).saturating_sub(4) as u32;
    let mut message = head.to_vec();
    message.resize(if v6 { 40 } else { 12 }, 0);
    if v6 {
        message[16..20].copy_from_slice(&len.to_le_bytes());
        message[22] = 8;
        message[26..28].copy_from_slice(&[flags, 0]);
    } else {
        message[4..6].copy_from_slice(&(len as u16).to_le_bytes());
        message[8] = 7;
        message[10..12].copy_from_slice(&[flags & 7, 0]);
    }
    message.extend_from_slice(&body);
    message
}

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
