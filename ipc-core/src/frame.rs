//! Frames: a 4-byte big-endian length and the body, as PHP's `pack('N', strlen($m)) . $m`.

use std::ops::Range;

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 4;
/// The longest message of a stream unless another is asked for: 16 MiB.
pub const DEFAULT_MAX_LEN: usize = 16 << 20;
/// The longest message that any stream can be asked to carry: what the header can say.
pub const LARGEST_MAX_LEN: usize = u32::MAX as usize;

/// Bytes that are read at once, and the buffer's first size.
const WINDOW: usize = 64 << 10;
/// The most bytes of a large frame that are moved at once: one call for all of them would go on for as long
/// as the peer does, whatever the deadline.
pub(crate) const PIECE: usize = 256 << 10;

/// The header of a frame whose body has `len` bytes.
///
/// # Panics
///
/// If `len` is over [`LARGEST_MAX_LEN`].
#[inline]
pub fn header(len: usize) -> [u8; HEADER_LEN] {
    u32::try_from(len)
        .expect("a length that was checked against max_len")
        .to_be_bytes()
}

/// Bytes on their way in, and the frames found in them.
///
/// The buffer grows as data arrives, never as a header claims.
///
/// ```
/// use ipc_core::frame::Decoder;
///
/// let mut decoder = Decoder::new(1024);
/// let space = decoder.space();
/// space[..7].copy_from_slice(b"\0\0\0\x02hi\0");
/// decoder.filled(7);
/// assert!(decoder.next().unwrap());
/// assert_eq!(decoder.message(), b"hi");
/// assert!(!decoder.next().unwrap()); // the rest is no whole frame yet
/// assert_eq!(decoder.unread(), b"\0");
/// ```
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// What has been read and not yet been handed out.
    unread: Range<usize>,
    message: Range<usize>,
    max_len: usize,
    /// Bytes of the last frame: what the next read had better bring.
    last: usize,
}

/// A header that claims more than `max_len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversize {
    /// The bytes that it claims.
    pub claimed: usize,
}

impl Decoder {
    /// A decoder of frames whose bodies have at most `max_len` bytes.
    pub fn new(max_len: usize) -> Self {
        Decoder {
            bytes: Vec::new(),
            unread: 0..0,
            message: 0..0,
            max_len,
            last: 0,
        }
    }

    /// Where to read the next bytes to; never empty.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        if self.unread.is_empty() && self.last <= WINDOW && self.bytes.len() >= WINDOW {
            (self.message, self.unread) = (0..0, 0..0);
            return &mut self.bytes[..WINDOW];
        }
        self.space_beside()
    }

    /// The same where something is unread, or large.
    #[inline(never)]
    fn space_beside(&mut self) -> &mut [u8] {
        self.message = 0..0;
        let frame = self.frame_len().unwrap_or(0);
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.start > 0 && self.unread.start + frame.max(WINDOW) > self.bytes.len()
        {
            self.bytes.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.bytes.len() {
            self.grow(frame);
        }
        // Past the end of a large frame nothing is read ahead: it would have to be moved.
        let window = if frame > WINDOW {
            frame
        } else {
            self.last.max(WINDOW)
        };
        let untaken = self.unread.len();
        let window = if untaken < window {
            window
        } else {
            untaken + WINDOW
        };
        let end = (self.unread.start + window).min(self.bytes.len());
        &mut self.bytes[self.unread.end..end.min(self.unread.end + PIECE)]
    }

    /// Makes room, for a frame of so many bytes. Memory is asked for in doublings, and used bit by bit:
    /// the kernel's zeroing of half of 256 MiB takes longer than a deadline may.
    fn grow(&mut self, frame: usize) {
        let len = self.bytes.len();
        if len == self.bytes.capacity() {
            let doubled = (len * 2).max(WINDOW);
            let wanted = doubled.min(frame.max(self.last).max(WINDOW));
            // No more is wanted where it is full of whole frames: those that nobody took yet.
            let grown = if wanted > len { wanted } else { len + WINDOW };
            self.bytes.reserve_exact(grown - len);
        }
        let grown = self.bytes.capacity().min(len + PIECE);
        self.bytes.resize(grown, 0);
    }

    /// Takes in `bytes` that were read elsewhere.
    pub fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let len = space.len().min(bytes.len());
            space[..len].copy_from_slice(&bytes[..len]);
            self.filled(len);
            bytes = &bytes[len..];
        }
    }

    /// Notes that `len` bytes were read to [`space`](Decoder::space).
    pub fn filled(&mut self, len: usize) {
        self.unread.end += len;
    }

    /// Takes the next whole frame; false if there is none yet.
    ///
    /// # Errors
    ///
    /// [`Oversize`], from then on.
    #[inline]
    #[allow(clippy::should_implement_trait)] // it lends, which an iterator cannot
    pub fn next(&mut self) -> Result<bool, Oversize> {
        let Some(frame) = self.frame_len() else {
            self.message = 0..0;
            return Ok(false);
        };
        if frame - HEADER_LEN > self.max_len {
            self.message = 0..0;
            return Err(Oversize {
                claimed: frame - HEADER_LEN,
            });
        }
        if frame > self.unread.len() {
            self.message = 0..0;
            return Ok(false);
        }
        self.message = self.unread.start + HEADER_LEN..self.unread.start + frame;
        self.unread.start += frame;
        self.last = frame;
        Ok(true)
    }

    /// Takes whole frames, `max` at most, gives each to `each`, and returns how many they were. What
    /// stopped it is for [`next`](Decoder::next) to tell.
    #[inline]
    pub fn next_many(&mut self, max: usize, each: &mut dyn FnMut(&[u8])) -> usize {
        let bytes = &self.bytes[..self.unread.end];
        let mut taken = 0;
        while taken < max {
            let rest = &bytes[self.unread.start..];
            let Some((header, rest)) = rest.split_first_chunk::<HEADER_LEN>() else {
                break;
            };
            let len = u32::from_be_bytes(*header) as usize;
            if len > self.max_len || len > rest.len() {
                break;
            }
            self.message = self.unread.start + HEADER_LEN..self.unread.start + HEADER_LEN + len;
            self.unread.start += HEADER_LEN + len;
            self.last = HEADER_LEN + len;
            each(&rest[..len]);
            taken += 1;
        }
        taken
    }

    /// The frame taken last; empty if the last take found none.
    #[inline]
    pub fn message(&self) -> &[u8] {
        &self.bytes[self.message.clone()]
    }

    /// Whether [`next`](Decoder::next) would find a whole frame, or an oversize one.
    pub fn is_ready(&self) -> bool {
        self.frame_len()
            .is_some_and(|frame| frame <= self.unread.len() || frame - HEADER_LEN > self.max_len)
    }

    /// The longest body in bytes.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// Bytes of the frame taken last, header and all.
    pub fn last_len(&self) -> usize {
        self.last
    }

    /// What has been read and not yet been handed out.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.unread.clone()]
    }

    /// The bytes of the frame that comes next, once its header is there.
    #[inline]
    fn frame_len(&self) -> Option<usize> {
        if self.unread.len() < HEADER_LEN {
            return None;
        }
        let header = self.bytes[self.unread.clone()].first_chunk::<HEADER_LEN>()?;
        Some(HEADER_LEN + u32::from_be_bytes(*header) as usize)
    }
}
