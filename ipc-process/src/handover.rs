//! What crosses an exec: descriptors under their numbers, and a manifest that says what they are.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_core::Inherit;
use ipc_core::inherit::{Reader, Writer};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::sys::{self, Identity};
use crate::{Error, Result, siblings};

/// Says under which number the manifest is. Whatever it says to a process that the manifest was not
/// made for, such as a child of the one that it was made for, does not count.
pub(crate) const VARIABLE: &str = "IPC_PROCESS_MANIFEST";
const MAGIC: [u8; 8] = *b"ipc-ends";

/// An end on its way into another program: its descriptors, and a file with all else, which begins
/// with the number of the process that it is for.
#[derive(Debug)]
pub(crate) struct Manifest {
    file: File,
    fds: Vec<OwnedFd>,
    /// What these are open on, the file first.
    identities: Vec<Option<Identity>>,
}

impl Manifest {
    /// Takes `end` apart. `entry` is the function that is to have it, or nothing; `name` what the
    /// process is to be called.
    pub(crate) fn new(entry: &str, name: &str, end: impl Inherit) -> Result<Self> {
        let os = |call| move |e: io::Error| Error::os(call, "ends for a new program", e);
        let (fds, state) = end.into_parts()?;
        let fds: io::Result<Vec<_>> = fds.into_iter().map(sys::off_the_standard_streams).collect();
        let fds = fds.map_err(os("fcntl"))?;
        let file = memfd_create(c"ipc-process", MFdFlags::MFD_CLOEXEC)
            .map_err(|e| os("memfd_create")(e.into()))?;
        let mut file = File::from(sys::off_the_standard_streams(file).map_err(os("fcntl"))?);
        let mut text = Writer::new();
        text.bytes(entry.as_bytes()).bytes(name.as_bytes());
        text.bytes(&state).len(fds.len());
        for fd in &fds {
            text.u64(fd.as_raw_fd().unsigned_abs().into());
        }
        let whole = [&MAGIC[..], &[0; 4], &text.finish()].concat();
        file.write_all(&whole).map_err(os("write"))?;
        let numbers = [file.as_raw_fd()].into_iter();
        let numbers = numbers.chain(fds.iter().map(AsRawFd::as_raw_fd));
        Ok(Manifest {
            identities: numbers.map(sys::identity).collect(),
            file,
            fds,
        })
    }

    /// The value of [`VARIABLE`].
    pub(crate) fn number(&self) -> String {
        self.file.as_raw_fd().to_string()
    }

    /// In the new process, before exec: addresses the manifest, and lets all of it pass.
    pub(crate) fn pass(&self) -> io::Result<()> {
        // Else a number that `CommandExt::fd` was asked for was that of one of these.
        let numbers = [self.file.as_fd()].into_iter();
        let numbers = numbers.chain(self.fds.iter().map(AsFd::as_fd));
        if !numbers
            .zip(&self.identities)
            .all(|(fd, wanted)| sys::identity(fd.as_raw_fd()) == *wanted)
        {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        self.file
            .write_all_at(&process::id().to_ne_bytes(), MAGIC.len() as u64)?;
        sys::keep_over_exec(self.file.as_fd())?;
        self.fds
            .iter()
            .try_for_each(|fd| sys::keep_over_exec(fd.as_fd()))
    }
}

/// What was handed to this process.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) entry: String,
    pub(crate) name: String,
    fds: Vec<OwnedFd>,
    state: Vec<u8>,
}

impl Parts {
    /// Takes what is there for an entry.
    pub(crate) fn take_entry() -> Option<Self> {
        Parts::take_if(|entry| !entry.is_empty())
    }

    /// Takes what is there for the program itself.
    pub(crate) fn take() -> Option<Self> {
        Parts::take_if(str::is_empty)
    }

    /// Takes what is there, once: `None` if there is nothing for this process.
    fn take_if(wanted: impl FnOnce(&str) -> bool) -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let number = env::var(VARIABLE).ok()?.parse().ok()?;
        let file = sys::nameless_file(number)?;
        let mut text = vec![0; usize::try_from(file.metadata().ok()?.len()).ok()?];
        file.read_exact_at(&mut text, 0).ok()?;
        let text = text.strip_prefix(&MAGIC)?;
        let text = text.strip_prefix(&process::id().to_ne_bytes())?;
        let entry = Reader::new(text).bytes().ok()?;
        if !wanted(std::str::from_utf8(entry).ok()?) || TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        drop(sys::take(number).ok()?); // the manifest
        Parts::read(text).ok()
    }

    fn read(text: &[u8]) -> ipc_core::Result<Self> {
        let mut text = Reader::new(text);
        let mut string = || Ok::<_, ipc_core::Error>(String::from_utf8_lossy(text.bytes()?).into());
        let (entry, name) = (string()?, string()?);
        let state = text.bytes()?.to_vec();
        let mut fds = Vec::new();
        for _ in 0..text.len()? {
            let number = i32::try_from(text.u64()?).unwrap_or(-1);
            let taken = sys::take(number);
            fds.push(taken.map_err(|e| ipc_core::Error::os("fcntl", "inherited end", e))?);
        }
        text.end()?;
        Ok(Parts {
            entry,
            name,
            fds,
            state,
        })
    }

    /// The end.
    pub(crate) fn end<T: Inherit>(self) -> ipc_core::Result<T> {
        let end = T::from_parts(self.fds, &self.state)?;
        siblings::start_with(&end);
        Ok(end)
    }
}

/// Takes the end that [`run`](crate::run) handed to this program. Once, and best at the top of
/// `main`: programs started before would inherit the end, too.
///
/// # Errors
///
/// [`Nothing`](Error::Nothing) if there is none; [`Ipc`](Error::Ipc) if it is of another type.
pub fn inherited<T: Inherit>() -> Result<T> {
    Ok(Parts::take().ok_or(Error::Nothing)?.end()?)
}
