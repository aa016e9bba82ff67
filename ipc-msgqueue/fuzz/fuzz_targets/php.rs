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

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
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
});

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
