//! Memory that is not what a peer should give, though it nearly is.

use std::os::fd::{AsRawFd, OwnedFd};

use ipc_core::conformance::skip;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SealFlag, fallocate, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{SysconfVar, ftruncate, sysconf};

use super::ends::{abstract_name, tiers};
use super::hostile::{OFFER, UNFIT, refused};
use super::request::{answer, request};

fn page() -> i64 {
    sysconf(SysconfVar::PAGE_SIZE).unwrap().unwrap()
}

fn size_seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

fn all_seals() -> SealFlag {
    size_seals() | SealFlag::from_bits_retain(0x10)
}

/// Memory of `len` bytes, made in a way that is not ours.
fn memory(len: i64, allocated: bool, seals: SealFlag) -> OwnedFd {
    let fd = memfd_create(c"hostile", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    if allocated {
        fallocate(&fd, FallocateFlags::empty(), 0, len).unwrap();
    } else {
        ftruncate(&fd, len).unwrap();
    }
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    fd
}

/// The same memory, by a descriptor that does not let everybody do everything.
fn opened(memory: &OwnedFd, access: OFlag) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    open(path.as_str(), access, Mode::empty()).unwrap()
}

pub(crate) fn memory_is_checked() {
    let (page, size, all) = (page(), size_seals(), all_seals());
    for (tier, options) in tiers() {
        let listener = options.listen(abstract_name()).unwrap();
        for (at, len) in [(1, (64 << 10) + page), (2, page)] {
            let check = |fd: OwnedFd, word| {
                let (request, socket) = request(&options);
                let request = request.with(at, fd);
                if word == OFFER {
                    request.send(listener.address());
                    listener.try_accept().unwrap();
                    assert_eq!(answer(&socket), Some(word));
                } else {
                    refused(&listener, &request, &socket, Some(word));
                }
            };
            check(memory(len, true, all), OFFER); // nothing is wrong with this one
            check(memory(len, false, all), UNFIT); // a page that cannot be had is a SIGBUS
            check(memory(len - 1, true, all), UNFIT);
            check(memory(len + page, true, all), UNFIT);
            for access in [
                OFlag::O_PATH,
                OFlag::O_RDONLY,
                OFlag::O_WRONLY,
                OFlag::O_ACCMODE,
            ] {
                check(opened(&memory(len, true, all), access), UNFIT);
            }
            for missing in size.iter() {
                check(memory(len, true, all - missing), UNFIT);
            }
            let half_sealed = if tier == "trusted" { OFFER } else { UNFIT };
            check(memory(len, true, size), half_sealed);
            let file = tempfile::tempfile().unwrap();
            file.set_len(len.try_into().unwrap()).unwrap();
            check(file.into(), UNFIT);
            // Where the machine has huge pages set aside, they are refused, too.
            let huge = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_HUGETLB;
            if let Ok(huge) = memfd_create(c"huge", huge) {
                let _ = ftruncate(&huge, len);
                let _ = fcntl(&huge, FcntlArg::F_ADD_SEALS(all));
                check(huge, UNFIT);
            }
        }
    }
}

/// Whether the kernel tells which pages of a file there are. Linux 6.5.
#[allow(unsafe_code)]
fn has_cachestat() -> bool {
    // SAFETY: the call fails before it touches any memory.
    unsafe { libc::syscall(451, -1, 0, 0, 0) };
    nix::Error::last() == nix::Error::EBADF
}

/// Memory of `len` bytes of which none is there, and behind its end as much as should be.
fn misplaced(len: i64) -> OwnedFd {
    let fd = memfd_create(c"hostile", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    ftruncate(&fd, len).unwrap();
    fallocate(&fd, FallocateFlags::FALLOC_FL_KEEP_SIZE, len, len).unwrap();
    fcntl(&fd, FcntlArg::F_ADD_SEALS(all_seals())).unwrap();
    fd
}

/// What the receiver reads would be made for it, and might not be had: SIGBUS, or its cgroup's killer.
pub(crate) fn pages_behind_the_end_are_none() {
    if !has_cachestat() {
        skip("cachestat(2), Linux 6.5");
    }
    for (_, options) in tiers() {
        let listener = options.listen(abstract_name()).unwrap();
        for (at, len) in [(1, (64 << 10) + page()), (2, page())] {
            let (request, socket) = request(&options);
            let request = request.with(at, misplaced(len));
            refused(&listener, &request, &socket, Some(UNFIT));
        }
    }
}
