//! A child's standard streams as pipes.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Output;

use ipc_core::stream::{Mode, PipeFd, Sink, Source};
use ipc_core::{Interest, Ready, Select, Wait};

use crate::{Child, Error, Result, siblings, sys};

/// Three pipes between a parent and a child that has not been made yet.
#[derive(Debug)]
pub(crate) struct Redirect {
    ours: (OwnedFd, OwnedFd, OwnedFd),
    theirs: (OwnedFd, OwnedFd, OwnedFd),
}

impl Redirect {
    pub(crate) fn new() -> Result<Self> {
        let pipe = || {
            sys::pipe().map_err(|e| Error::os("pipe2", "a child's stdio (limit: RLIMIT_NOFILE)", e))
        };
        let ((stdin, ours_in), (ours_out, stdout), (ours_err, stderr)) =
            (pipe()?, pipe()?, pipe()?);
        Ok(Redirect {
            ours: (ours_in, ours_out, ours_err),
            theirs: (stdin, stdout, stderr),
        })
    }

    /// In the child: the pipes become its streams.  dup2(2)
    pub(crate) fn enter(self) {
        let (stdin, stdout, stderr) = self.theirs;
        let _ = nix::unistd::dup2_stdin(stdin);
        let _ = nix::unistd::dup2_stdout(stdout);
        let _ = nix::unistd::dup2_stderr(stderr);
    }

    /// In the parent: the other ends are the child's to be found in.
    pub(crate) fn give(self, child: &mut Child) {
        let (stdin, stdout, stderr) = self.ours;
        child.stdin = Some(stdin.into());
        child.stdout = Some(stdout.into());
        child.stderr = Some(stderr.into());
        remember(child);
    }
}

/// Children forked later are not to hold these ends.
pub(crate) fn remember(child: &Child) {
    let stdin = child.stdin.as_ref().map(AsFd::as_fd);
    let stdout = child.stdout.as_ref().map(AsFd::as_fd);
    let stderr = child.stderr.as_ref().map(AsFd::as_fd);
    let fds = [stdin, stdout, stderr].into_iter().flatten();
    fds.for_each(siblings::add_fd);
}

impl Child {
    /// Writes `input` to the child's stdin and closes it, reads all of stdout and stderr, and waits
    /// for the end: all at once, so that neither side waits for the other to read. Streams that are
    /// no pipes are left out, and empty in what is returned.
    ///
    /// A child that does not read all of its input is no error, and raises no SIGPIPE here.
    ///
    /// # Errors
    ///
    /// As [`wait`](Child::wait), and [`Os`](Error::Os) if a pipe fails.
    pub fn communicate(mut self, input: &[u8]) -> Result<Output> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let stdin = self.stdin.take().filter(|_| !input.is_empty());
        let stdin = stdin.map(|fd| (OwnedFd::from(fd), Flow::In(input)));
        let out = self.stdout.take().map(OwnedFd::from);
        let err = self.stderr.take().map(OwnedFd::from);
        let out = out.map(|fd| (fd, Flow::Out(&mut stdout)));
        let err = err.map(|fd| (fd, Flow::Out(&mut stderr)));
        let pipes = [stdin, out, err].into_iter().flatten().map(Pipe::new);
        let pipes: io::Result<Vec<_>> = pipes.collect();
        let (mut pipes, mut select) = (pipes.map_err(|e| self.error("fcntl", e))?, Select::new());
        while !pipes.is_empty() {
            let mut members: Vec<_> = pipes.iter_mut().map(|one| one as &mut dyn Ready).collect();
            let ready = select.wait(&mut members, Wait::Forever)?;
            if pipes[ready]
                .step()
                .map_err(|e| self.error("read, write", e))?
            {
                pipes.remove(ready);
            }
        }
        let status = self.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

/// One of the streams, as `communicate` drives it.
struct Pipe<'a> {
    fd: PipeFd,
    flow: Flow<'a>,
}

enum Flow<'a> {
    In(&'a [u8]),
    Out(&'a mut Vec<u8>),
}

impl<'a> Pipe<'a> {
    fn new((fd, flow): (OwnedFd, Flow<'a>)) -> io::Result<Self> {
        let fd = PipeFd::new(fd, "a child's stdio")?; // non-blocking: the child's is another description
        Ok(Pipe { fd, flow })
    }

    /// Moves what can be moved now; true at the end.
    fn step(&mut self) -> io::Result<bool> {
        let moved = match &mut self.flow {
            Flow::In(rest) => self.fd.write(&[IoSlice::new(rest)]).map(|len| {
                *rest = &rest[len..];
                rest.is_empty()
            }),
            Flow::Out(text) => {
                let mut piece = [0; 8 << 10];
                self.fd.read(&mut piece, Mode::Now).map(|len| {
                    text.extend_from_slice(&piece[..len]);
                    len == 0
                })
            }
        };
        match moved {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
            moved => moved,
        }
    }
}

impl Ready for Pipe<'_> {
    fn fd(&self) -> (BorrowedFd<'_>, Interest) {
        let interest = match self.flow {
            Flow::In(_) => Interest::Write,
            Flow::Out(_) => Interest::Read,
        };
        (self.fd.as_fd(), interest)
    }

    fn arm(&mut self) -> ipc_core::Result<bool> {
        Ok(false)
    }
}
