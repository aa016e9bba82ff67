//! Halves that cross a fork or an exec. They hold no descriptor: the queue's id says it all.
//!
//! Ownership does not cross: the process that made the queue keeps an end of its own, or calls
//! [`Queue::keep`](crate::Queue::keep).

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use ipc_core::inherit::{Reader, Writer};

use crate::handle::Handle;
use crate::owed::Owed;
use crate::spill::Spill;
use crate::{
    Error, Inherit, Key, Kind, QueueOptions, QueueReceiver, QueueSender, Result, Selection,
};

impl Inherit for QueueSender {
    fn fds(&self, _: &mut dyn FnMut(BorrowedFd<'_>)) {}

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let mut state = Writer::new();
        write_queue(&mut state, &self.queue);
        write_kind(&mut state, self.kind);
        state
            .len(self.asked.unwrap_or(usize::MAX))
            .spin(self.spin());
        Ok((Vec::new(), state.finish()))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let mut state = read(&fds, state)?;
        let queue = read_queue(&mut state)?;
        let kind = read_kind(&mut state)?;
        let options = read_options(state)?;
        QueueSender::new(queue, kind, &options)
    }
}

impl Inherit for QueueReceiver {
    fn fds(&self, _: &mut dyn FnMut(BorrowedFd<'_>)) {}

    fn into_parts(self) -> Result<(Vec<OwnedFd>, Vec<u8>)> {
        let mut state = Writer::new();
        write_queue(&mut state, &self.queue);
        let (code, kind) = match self.selection() {
            Selection::Any => (0, Kind::default()),
            Selection::Exactly(kind) => (1, kind),
            Selection::UpTo(kind) => (2, kind),
            Selection::Except(kind) => (3, kind),
        };
        write_kind(state.u64(code), kind);
        state.bytes(&self.owed.to_bytes());
        state
            .len(self.asked.unwrap_or(usize::MAX))
            .spin(self.spin());
        Ok((Vec::new(), state.finish()))
    }

    fn from_parts(fds: Vec<OwnedFd>, state: &[u8]) -> Result<Self> {
        let mut state = read(&fds, state)?;
        let queue = read_queue(&mut state)?;
        let selection = match (state.u64()?, read_kind(&mut state)?) {
            (0, _) => Selection::Any,
            (1, kind) => Selection::Exactly(kind),
            (2, kind) => Selection::UpTo(kind),
            (3, kind) => Selection::Except(kind),
            _ => return Err(foreign()),
        };
        let owed = Owed::parse(state.bytes()?).ok_or_else(foreign)?;
        if !owed.is_empty() && queue.spill.is_none() {
            return Err(foreign());
        }
        let options = read_options(state)?;
        let mut receiver = QueueReceiver::new(queue, selection, &options)?;
        receiver.owe(owed);
        Ok(receiver)
    }
}

fn read<'a>(fds: &[OwnedFd], state: &'a [u8]) -> Result<Reader<'a>> {
    fds.is_empty()
        .then(|| Reader::new(state))
        .ok_or_else(foreign)
}

fn write_queue(state: &mut Writer, queue: &Handle) {
    let key = u32::from_ne_bytes(queue.key.get().to_ne_bytes());
    state.u64(queue.id.unsigned_abs().into()).u64(key.into());
    let spill = queue.spill.as_ref().map(|spill| spill.path().as_os_str());
    state.bytes(spill.map_or(&[], OsStr::as_bytes));
}

fn read_queue(state: &mut Reader<'_>) -> Result<Arc<Handle>> {
    let id = i32::try_from(state.u64()?).map_err(|_| foreign())?;
    let key = u32::try_from(state.u64()?).map_err(|_| foreign())?;
    let key = Key::new(i32::from_ne_bytes(key.to_ne_bytes()));
    let spill = match state.bytes()? {
        b"" => None,
        path if path[0] == b'/' && !path.contains(&0) => {
            Some(Spill::trusted(OsStr::from_bytes(path).into()))
        }
        _ => return Err(foreign()),
    };
    Ok(Arc::new(Handle::guest(id, key, spill)))
}

fn read_options(mut state: Reader<'_>) -> Result<QueueOptions> {
    let options = QueueOptions::new();
    let options = match state.len()? {
        usize::MAX => options,
        max_len => options.max_len(max_len),
    };
    let options = options.spin(state.spin()?);
    state.end()?;
    Ok(options)
}

fn write_kind(state: &mut Writer, kind: Kind) {
    state.u64(kind.get().unsigned_abs());
}

fn read_kind(state: &mut Reader<'_>) -> Result<Kind> {
    let kind = i64::try_from(state.u64()?).map_err(|_| foreign())?;
    Kind::new(kind).map_err(|_| foreign())
}

fn foreign() -> Error {
    Error::malformed(
        "inherited queue end",
        "these are not the parts of such an end",
    )
}
