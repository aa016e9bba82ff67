//! The decoder of frames against a model, over whatever bytes may come.

use ipc_core::conformance::{CountingAllocator, take_largest_allocation};
use ipc_core::frame::{Decoder, HEADER_LEN, LARGEST_MAX_LEN, Oversize, header};
use proptest::collection::vec;
use proptest::prelude::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MAX_LEN: usize = 150_000;

/// What a stream of bytes holds: whole messages, then a part of one or an oversize header.
#[derive(Debug, PartialEq)]
struct Decoded {
    messages: Vec<Vec<u8>>,
    rest: Result<Vec<u8>, Oversize>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Messages come out as they went in, however the stream is cut.
    fn messages_come_out_whole(messages in vec(message(), 0..30), cuts in cuts()) {
        let frames = messages.iter().flat_map(|message| frame(message));
        let decoded = decode(&frames.collect::<Vec<u8>>(), &cuts);
        prop_assert_eq!(decoded, Decoded { messages, rest: Ok(Vec::new()) });
    }

    /// Whatever comes is decoded as the model does, and nothing panics.
    fn whatever_comes_is_decoded_as_by_the_model(stream in stream(), cuts in cuts()) {
        prop_assert_eq!(decode(&stream, &cuts), model(&stream));
    }

    /// Memory is taken for what arrives, never for what a header claims.
    fn the_buffer_grows_as_data_arrives(
        claimed in 1_000_000..=LARGEST_MAX_LEN,
        reads in vec(1..60_000_usize, 1..30),
    ) {
        let mut decoder = Decoder::new(LARGEST_MAX_LEN);
        decoder.extend(&header(claimed));
        let mut arrived = HEADER_LEN;
        for read in reads {
            take_largest_allocation();
            let space = decoder.space();
            let taken = take_largest_allocation();
            prop_assert!(taken <= 2 * arrived.max(WINDOW), "{} bytes for {}", taken, arrived);
            let len = read.min(space.len());
            space[..len].fill(7);
            decoder.filled(len);
            arrived += len;
            prop_assert_eq!(decoder.next(), Ok(false));
        }
    }
}

fn a_header_that_claims_4_gib_takes_64_kib() {
    take_largest_allocation();
    let mut decoder = Decoder::new(LARGEST_MAX_LEN);
    decoder.extend(&header(LARGEST_MAX_LEN));
    assert_eq!(decoder.next(), Ok(false));
    assert!(!decoder.space().is_empty());
    assert_eq!(take_largest_allocation(), WINDOW);
}

/// However large a frame is: one read of it must not outlast a deadline, nor the zeroing of its buffer.
fn a_large_frame_is_read_piece_by_piece() {
    let frame = frame(&[7; 10_000].repeat(1000));
    let mut decoder = Decoder::new(LARGEST_MAX_LEN);
    for _ in 0..2 {
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let space = decoder.space();
            assert!(space.len() <= PIECE, "{} bytes at once", space.len());
            let len = space.len().min(rest.len());
            space[..len].copy_from_slice(&rest[..len]);
            decoder.filled(len);
            rest = &rest[len..];
        }
        assert_eq!(decoder.next(), Ok(true));
        assert_eq!(decoder.message(), &frame[HEADER_LEN..]);
    }
}

/// The most bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Bytes that the decoder has room for before any has arrived.
const WINDOW: usize = 64 << 10;

fn message() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![8 => 0..300_usize, 2 => 0..20_000_usize, 1 => 60_000..=MAX_LEN];
    (any::<u8>(), len).prop_map(|(first, len)| (first..=u8::MAX).cycle().take(len).collect())
}

/// Frames, headers without their body, and anything at all.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        10 => message().prop_map(|message| frame(&message)),
        1 => any::<[u8; HEADER_LEN]>().prop_map(Vec::from),
        1 => (0..=MAX_LEN + 2).prop_map(|len| header(len).to_vec()),
        1 => vec(any::<u8>(), 0..100),
    ];
    vec(part, 0..20).prop_map(|parts| parts.concat())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(
        prop_oneof![1..10_usize, 1..1000_usize, 1..200_000_usize],
        1..50,
    )
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&header(message.len()), message].concat()
}

/// Feeds `stream` to a decoder in pieces of these lengths, again and again.
fn decode(stream: &[u8], cuts: &[usize]) -> Decoded {
    let mut decoder = Decoder::new(MAX_LEN);
    let (mut messages, mut rest) = (Vec::new(), stream);
    for (at, &cut) in cuts.iter().cycle().enumerate() {
        let piece = if at % 7 == 0 {
            let piece = cut.min(rest.len());
            decoder.extend(&rest[..piece]);
            piece
        } else {
            let space = decoder.space();
            assert!(!space.is_empty());
            let piece = cut.min(rest.len()).min(space.len());
            space[..piece].copy_from_slice(&rest[..piece]);
            decoder.filled(piece);
            piece
        };
        rest = &rest[piece..];
        loop {
            let ready = decoder.is_ready();
            let found = decoder.next();
            assert_eq!(ready, found != Ok(false));
            match found {
                Ok(true) => messages.push(decoder.message().to_vec()),
                Ok(false) => break,
                Err(oversize) => {
                    assert_eq!(decoder.next(), Err(oversize), "it says so from then on");
                    return Decoded {
                        messages,
                        rest: Err(oversize),
                    };
                }
            }
        }
        assert_eq!(decoder.message(), b"", "there is none after a failed take");
        if rest.is_empty() {
            break;
        }
    }
    Decoded {
        messages,
        rest: Ok(decoder.unread().to_vec()),
    }
}

/// The same, of all bytes at once, as plainly as can be.
fn model(mut stream: &[u8]) -> Decoded {
    let mut messages = Vec::new();
    while let Some((header, body)) = stream.split_first_chunk() {
        let claimed = u32::from_be_bytes(*header) as usize;
        if claimed > MAX_LEN {
            return Decoded {
                messages,
                rest: Err(Oversize { claimed }),
            };
        }
        let Some((message, after)) = body.split_at_checked(claimed) else {
            break;
        };
        messages.push(message.to_vec());
        stream = after;
    }
    Decoded {
        messages,
        rest: Ok(stream.to_vec()),
    }
}

ipc_core::cases! {
    messages_come_out_whole,
    whatever_comes_is_decoded_as_by_the_model,
    the_buffer_grows_as_data_arrives,
    a_header_that_claims_4_gib_takes_64_kib,
    a_large_frame_is_read_piece_by_piece,
}
