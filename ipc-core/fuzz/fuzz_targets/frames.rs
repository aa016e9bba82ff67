//! Whatever bytes come, cut in whatever way: the receiver of frames finds what a plain decoder finds in all
//! of them at once, and asks for memory as bytes arrive, never as a header claims.
#![no_main]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, LazyLock, Mutex};

use ipc_core::conformance::{CountingAllocator, take_largest_allocation};
use ipc_core::frame::LARGEST_MAX_LEN;
use ipc_core::stream::{FramedReceiver, Mode, Source};
use ipc_core::{Error, Receiver, Spin, Wait};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What the receiver asks for before anything has come.
const WINDOW: usize = 64 << 10;

libfuzzer_sys::fuzz_target!(|script: &[u8]| play(script));

fn play(script: &[u8]) {
    let Some((&[flags, cuts], rest)) = script.split_first_chunk() else {
        return;
    };
    let (cuts, script) = rest.split_at(rest.len().min(usize::from(cuts % 32)));
    let stream = stream(script);
    let max_len = if flags & 1 == 0 {
        20_000
    } else {
        LARGEST_MAX_LEN
    };
    let reads = Reads {
        stream: Arc::new(Mutex::new((stream.clone(), 0, 0))),
        cuts: Arc::from(cuts),
        resets: flags & 2 != 0,
    };
    take_largest_allocation();
    let mut rx = FramedReceiver::new(reads.clone(), max_len, Spin::Never);
    let mut rest = &stream[..];
    let mut handed_over = flags & 4 == 0;
    let mut largest = 0;
    let end = loop {
        let mut each = |got: &[u8]| {
            let (message, after) = first(rest, max_len).expect("no whole frame, yet a message");
            assert_eq!(got, message);
            rest = after;
        };
        let received = match flags & 8 {
            0 => rx.recv_wait(Wait::Never).map(|()| each(rx.message())),
            _ => rx.recv_many(3, Wait::Never, &mut each).map(drop),
        };
        match received {
            Err(Error::WouldBlock) if !handed_over => {
                // What was read and not yet received goes along.
                handed_over = true;
                largest = take_largest_allocation();
                let (_, state) = rx.into_parts().unwrap();
                take_largest_allocation(); // the state is no buffer
                rx = FramedReceiver::from_parts(reads.clone(), &state).unwrap();
            }
            Ok(()) | Err(Error::WouldBlock) => {}
            Err(end) => break end,
        }
    };
    assert!(rx.message().is_empty());
    assert_eq!(first(rest, max_len), None, "a message was not found");
    let oversize = claimed(rest).is_some_and(|claimed| claimed > max_len);
    match end {
        Error::Disconnected => assert!(rest.is_empty()),
        Error::Malformed { .. } => assert!(oversize || !rest.is_empty()),
        end => panic!("{end}"),
    }
    assert_eq!(rx.try_recv().unwrap_err().to_string(), end.to_string());
    largest = largest.max(take_largest_allocation());
    // The buffer doubles, and so does what is asked for it.
    let arrived = match stream.len() {
        0..WINDOW => WINDOW,
        len => 4 * len,
    };
    let came = stream.len();
    assert!(largest <= arrived, "{largest} bytes asked for, {came} came");
}

/// The first message of a stream, and what follows, as plainly as can be.
fn first(stream: &[u8], max_len: usize) -> Option<(&[u8], &[u8])> {
    let len = claimed(stream).filter(|&len| len <= max_len)?;
    stream[4..].split_at_checked(len)
}

fn claimed(stream: &[u8]) -> Option<usize> {
    Some(u32::from_be_bytes(*stream.first_chunk()?) as usize)
}

/// The bytes that come: those of the script, and frames and headers where it asks for one.
fn stream(mut script: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let Some((&what, rest)) = script.split_first() {
        script = rest;
        let argument = u32::from_le_bytes(script.first_chunk().copied().unwrap_or_default());
        match what {
            0..128 => {
                let (bytes, rest) = script.split_at(script.len().min(what.into()));
                stream.extend_from_slice(bytes);
                script = rest;
                continue;
            }
            128..192 => frame(&mut stream, argument & 0x3f),
            192..224 => frame(&mut stream, argument & 0x3ff),
            224..228 => frame(&mut stream, argument & 0x1_ffff),
            _ => stream.extend_from_slice(&argument.to_be_bytes()),
        }
        script = &script[script.len().min(4)..];
        if stream.len() > WINDOW {
            break;
        }
    }
    stream
}

fn frame(stream: &mut Vec<u8>, len: u32) {
    stream.extend_from_slice(&len.to_be_bytes());
    stream.resize(stream.len() + len as usize, len as u8 ^ 0x5a);
}

/// A descriptor that brings the stream as its cuts say.
#[derive(Clone)]
struct Reads {
    /// And how much of it was read, and how often.
    stream: Arc<Mutex<(Vec<u8>, usize, usize)>>,
    cuts: Arc<[u8]>,
    resets: bool,
}

impl Source for Reads {
    fn read(&self, buf: &mut [u8], _: Mode) -> io::Result<usize> {
        assert!(!buf.is_empty());
        let (stream, read, reads) = &mut *self.stream.lock().unwrap();
        let stream = &stream[*read..];
        let cut = self.cuts.get(*reads % self.cuts.len().max(1)).copied();
        *reads += 1;
        // A stream of nothing but interruptions has no end.
        let len = match cut.unwrap_or(0xff) {
            0 if *reads < 1000 => return Err(io::ErrorKind::WouldBlock.into()),
            1 if *reads < 1000 => return Err(io::ErrorKind::Interrupted.into()),
            cut => 1 + (usize::from(cut >> 3) << (2 * (cut & 7))),
        };
        let len = len.min(buf.len()).min(stream.len());
        if len == 0 && self.resets {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        buf[..len].copy_from_slice(&stream[..len]);
        *read += len;
        Ok(len)
    }

    fn object(&self) -> Box<str> {
        "script".into()
    }
}

impl AsFd for Reads {
    fn as_fd(&self) -> BorrowedFd<'_> {
        static FILE: LazyLock<File> = LazyLock::new(|| File::open("/dev/null").expect("/dev/null"));
        FILE.as_fd()
    }
}
