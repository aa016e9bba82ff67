//! Whatever a queue brings, the codec of PHP's `serialize` takes it as the one text of a value or refuses it,
//! and asks for no more memory than the text has bytes.
#![no_main]

use ipc_core::conformance::{CountingAllocator, take_largest_allocation};
use ipc_msgqueue::php::{PhpSerialize, PhpValue, Scalar};
use ipc_msgqueue::{Codec, Error};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Enough for what an error says.
const SENTENCE: usize = 512;

libfuzzer_sys::fuzz_target!(|script: &[u8]| play(&text(script)));

fn play(text: &[u8]) {
    decode::<bool>(text);
    decode::<i64>(text);
    decode::<f64>(text);
    decode::<String>(text);
    decode::<Vec<u8>>(text);
    decode::<Option<i64>>(text);
    match decode::<PhpValue>(text) {
        // A float may have more digits than it needs.
        None | Some(PhpValue::Float(_)) => {}
        Some(value) => {
            let mut again = Vec::new();
            PhpSerialize.encode(&value, &mut again).unwrap();
            assert_eq!(again, text);
        }
    }
}

/// Any bytes, a string that is right or nearly so, or what values are made of.
fn text(script: &[u8]) -> Vec<u8> {
    const PIECES: [&str; 16] = [
        "i:", "d:", "s:", "b:", "N", ";", "\"", ":", "-", "0", "1", "25", ".", "E", "INF", "NAN",
    ];
    match script {
        [0..64, bytes @ ..] => bytes.to_vec(),
        [off @ 64..128, body @ ..] => {
            let len = (body.len() + usize::from(off % 8)).saturating_sub(4);
            [format!("s:{len}:\"").as_bytes(), body, b"\";"].concat()
        }
        [_, picks @ ..] => {
            let pieces = picks.iter().map(|pick| PIECES[usize::from(pick % 16)]);
            pieces.collect::<String>().into_bytes()
        }
        [] => Vec::new(),
    }
}

fn decode<T: Scalar>(text: &[u8]) -> Option<T> {
    take_largest_allocation();
    let decoded = PhpSerialize.decode(text);
    let largest = take_largest_allocation();
    match decoded {
        Ok(value) => {
            assert!(largest <= text.len(), "{largest} bytes for {}", text.len());
            Some(value)
        }
        Err(Error::Codec(_)) => {
            assert!(
                largest <= SENTENCE,
                "{largest} bytes to refuse {}",
                text.len()
            );
            None
        }
        Err(error) => panic!("{error}"),
    }
}
