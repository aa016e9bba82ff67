//! A cache line each way: what a message costs that is nothing but its way from core to core.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_core::{Error, Receiver, Sender, Wait};

use crate::Result;
use crate::cells::{Ends, Pair};
use crate::plan::Cell;
use crate::sys::SharedMemory;

/// Bytes in a line.
const LINE: usize = 64;
const WORDS: usize = LINE / 8;
/// Words from one line to the other: a prefetcher pairs lines.
const STRIDE: usize = 2 * WORDS;

/// Round trips only: nothing keeps a sender from writing over what was not read.
pub(crate) fn line(cell: &Cell) -> Result<Box<dyn Ends>> {
    let memory = Arc::new(SharedMemory::new(4096)?);
    let channel = |start| {
        let line = Line {
            memory: Arc::clone(&memory),
            start,
        };
        let receiver = LineReceiver {
            line: line.clone(),
            len: cell.size.min(LINE),
            message: [0; LINE],
        };
        (LineSender(line), receiver)
    };
    Ok(Box::new(Pair::of_channels(channel(0), channel(STRIDE))))
}

#[derive(Clone, Debug)]
struct Line {
    memory: Arc<SharedMemory>,
    start: usize,
}

impl Line {
    #[inline]
    fn words(&self) -> &[AtomicU64] {
        &self.memory.words()[self.start..][..WORDS]
    }
}

#[derive(Debug)]
struct LineSender(Line);

impl Sender for LineSender {
    #[inline]
    fn send_wait(&mut self, msg: &[u8], _: Wait) -> ipc_core::Result<()> {
        let (len, max) = (msg.len(), LINE);
        if len > max {
            let limit = "a cache line";
            return Err(Error::TooLarge { len, max, limit });
        }
        let words = self.0.words();
        let value = |chunk: &[u8]| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(bytes)
        };
        for (word, chunk) in words.iter().zip(msg.chunks(8)).skip(1) {
            word.store(value(chunk), Ordering::Relaxed);
        }
        // The first word differs from message to message: it publishes the others.
        words[0].store(value(&msg[..8]), Ordering::Release);
        Ok(())
    }

    fn max_len(&self) -> usize {
        LINE
    }
}

#[derive(Debug)]
struct LineReceiver {
    line: Line,
    len: usize,
    message: [u8; LINE],
}

impl Receiver for LineReceiver {
    #[inline]
    fn recv_wait(&mut self, _: Wait) -> ipc_core::Result<()> {
        let words = self.line.words();
        let (last, _) = self.message.split_first_chunk().expect("a line has a word");
        let last = u64::from_le_bytes(*last);
        while words[0].load(Ordering::Acquire) == last {
            hint::spin_loop();
        }
        let used = self.len.div_ceil(8);
        for (chunk, word) in self.message.chunks_exact_mut(8).zip(words).take(used) {
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        Ok(())
    }

    fn message(&self) -> &[u8] {
        &self.message[..self.len]
    }
}
