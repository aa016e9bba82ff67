//! Requests to a listener: caught on their way, changed, sent on.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use ipc_shm::{Address, Error, ShmOptions};
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recvmsg, sendmsg, socketpair,
};

use super::ends::SOON;

/// A request, as a client sends it: the greeting; the answer's socket, data, control, two bells.
pub(crate) struct Request {
    pub(crate) greeting: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Where a request is caught on its way.
pub(crate) struct Fake {
    socket: UnixDatagram,
    pub(crate) address: Address,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Fake::at(format!("ipc-shm-fake-{}", std::process::id()).into_bytes())
    }

    fn at(name: Vec<u8>) -> Self {
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Fake {
            socket: UnixDatagram::bind_addr(&address).unwrap(),
            address: Address::Abstract(name),
        }
    }

    pub(crate) fn receive(&self) -> Request {
        let mut greeting = vec![0; 100];
        let mut control = cmsg_space!([RawFd; 8]);
        let mut parts = [IoSliceMut::new(&mut greeting)];
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<UnixAddr>(fd, &mut parts, Some(&mut control), flags).unwrap();
        let mut fds = Vec::new();
        for part in message.cmsgs().unwrap() {
            if let ControlMessageOwned::ScmRights(numbers) = part {
                fds.extend(numbers.into_iter().map(owned));
            }
        }
        let len = message.bytes;
        greeting.truncate(len);
        Request { greeting, fds }
    }
}

#[allow(unsafe_code)]
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made it for this process.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What an impostor does, by the name of a listener: it takes a request, and gives back what came.
pub(crate) fn impose(address: &Address) {
    let Address::Abstract(name) = address else {
        panic!()
    };
    let Request { greeting, fds } = Fake::at(name.clone()).receive();
    let given: Vec<RawFd> = fds[1..].iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&given)];
    let (bytes, flags) = ([IoSlice::new(&greeting)], MsgFlags::empty());
    sendmsg::<UnixAddr>(fds[0].as_raw_fd(), &bytes, &rights, flags, None).unwrap();
}

/// A client's request, and a socket for the answer to it.
pub(crate) fn request(options: &ShmOptions) -> (Request, OwnedFd) {
    let fake = Fake::new();
    let timed = options.connect_timeout(&fake.address, SOON / 30);
    assert!(matches!(timed, Err(Error::TimedOut)), "{timed:?}");
    let mut request = fake.receive();
    assert_eq!((request.greeting.len(), request.fds.len()), (40, 5));
    let kind = (AddressFamily::Unix, SockType::SeqPacket);
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(kind.0, kind.1, None, flags).unwrap();
    request.fds[0] = theirs;
    (request, ours)
}

impl Request {
    pub(crate) fn send(&self, to: &Address) {
        let socket = UnixDatagram::unbound().unwrap();
        let Address::Abstract(name) = to else {
            panic!()
        };
        let name = UnixAddr::new_abstract(name).unwrap();
        let fds: Vec<RawFd> = self.fds.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let control = if fds.is_empty() { &[][..] } else { &rights };
        let bytes = [IoSlice::new(&self.greeting)];
        let flags = MsgFlags::empty();
        sendmsg(socket.as_raw_fd(), &bytes, control, flags, Some(&name)).unwrap();
    }

    pub(crate) fn with(mut self, at: usize, fd: impl Into<OwnedFd>) -> Self {
        self.fds[at] = fd.into();
        self
    }
}

/// The answer's word, if there is one.
pub(crate) fn answer(socket: &OwnedFd) -> Option<u64> {
    let mut bytes = [0; 100];
    let flags = MsgFlags::MSG_DONTWAIT;
    let len = nix::sys::socket::recv(socket.as_raw_fd(), &mut bytes, flags).ok()?;
    (len == 40).then(|| u64::from_le_bytes(bytes[16..24].try_into().unwrap()))
}
