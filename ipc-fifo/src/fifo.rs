//! A FIFO by name, as its maker has it.

use std::os::fd::OwnedFd;
use std::path::{self, Path, PathBuf};
use std::process;
use std::sync::Arc;

use crate::claim::{self, Claim};
use crate::sys::{self, Id};
use crate::{Error, FifoOptions, FifoReceiver, FifoSender, Result, Wait, open};

/// A FIFO that this process made, and that other processes open by its path.
///
/// The path is removed with the last of this handle and the ends that were opened through it,
/// in the process that made it.
///
/// ```
/// use ipc_fifo::{Fifo, FifoSender, Receiver, Sender, Wait};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("greetings");
///
/// let fifo = Fifo::create(&path)?;
/// let mut rx = fifo.receiver()?;
/// let mut tx = FifoSender::open(&path, Wait::Forever)?; // in another process, usually
/// tx.send(b"hello")?;
/// assert_eq!(rx.recv()?, b"hello");
///
/// drop(fifo);
/// assert!(path.exists());
/// drop(rx);
/// assert!(!path.exists());
/// # Ok::<(), ipc_fifo::Error>(())
/// ```
#[derive(Debug)]
pub struct Fifo {
    owner: Arc<Owner>,
    options: FifoOptions,
}

impl Fifo {
    /// [`FifoOptions::create`] with the default options.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        FifoOptions::new().create(path)
    }

    pub(crate) fn make(path: &Path, options: &FifoOptions) -> Result<Self> {
        let object = open::object(path);
        // So that a later change of the working directory does not matter.
        let path = path::absolute(path).map_err(|error| Error::os("getcwd", &*object, error))?;
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, PathBuf::from(name)),
            _ => (&*path, PathBuf::from(".")), // which is there
        };
        let directory = open::directory(parent)?;
        let (node, claim) = if options.is_control() {
            let (node, claim) = claim::make_or_take_over(&directory, &name, &path)?;
            (node, Some(claim))
        } else {
            (sys::make_fifo(&directory, &name, &object)?, None)
        };
        let stat = sys::stat(&node).map_err(|errno| Error::os("fstat", &*object, errno))?;
        let owner = Owner {
            directory,
            name,
            path,
            id: stat.id,
            _node: node,
            claim,
            pid: process::id(),
        };
        Ok(Fifo {
            owner: Arc::new(owner),
            options: options.clone(),
        })
    }

    /// Opens it for sending, and waits until somebody has it open for receiving.
    ///
    /// # Errors
    ///
    /// As [`FifoOptions::open_sender`]; [`Removed`](Error::Removed) if the path is not this FIFO's
    /// any more.
    pub fn sender(&self, wait: Wait) -> Result<FifoSender> {
        let fd = self
            .options
            .writer(self.path(), Some(self.owner.id), wait)?;
        let owner = Some(Arc::clone(&self.owner));
        self.options.sender(fd, &open::object(self.path()), owner)
    }

    /// Opens it for receiving, which never waits: the first receive waits for the first sender.
    ///
    /// # Errors
    ///
    /// As [`sender`](Fifo::sender), but for those about waiting.
    pub fn receiver(&self) -> Result<FifoReceiver> {
        let fd = open::reader(self.path(), Some(self.owner.id), self.options.access())?;
        let owner = Some(Arc::clone(&self.owner));
        let receiver = self
            .options
            .receiver(fd, &open::object(self.path()), owner)?;
        if let Some(claim) = &self.owner.claim {
            claim.is_received();
        }
        Ok(receiver)
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.owner.path
    }
}

/// The duty to remove a path, shared by all that was opened through a [`Fifo`].
#[derive(Debug)]
pub(crate) struct Owner {
    /// Held, so that the file is found again wherever the directory has been moved.
    directory: OwnedFd,
    name: PathBuf,
    path: PathBuf,
    id: Id,
    /// Held, unopened, so that its inode number is not given out again.
    _node: OwnedFd,
    /// On a control FIFO, held until the path is removed.
    claim: Option<Claim>,
    /// A copy that a fork made has no duty.
    pid: u32,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let found = || sys::stat(&sys::find(&self.directory, &self.name)?);
        if self.pid == process::id() && found().is_ok_and(|found| found.id == self.id) {
            sys::remove_file(&self.directory, &self.name);
        }
    }
}
