//! A child that is run one instruction at a time.  ptrace(2)

use std::env;
use std::fs;
use std::process::ExitCode;
use std::thread;

use ipc_core::Inherit;
use ipc_core::conformance::skip;
use ipc_process::{Child, fork};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How often to look for the end of a system call, before asking whether it sleeps.
const LOOKS: u32 = 3;

/// A child that stands still, before its operation or inside it.
pub(crate) struct Tracee {
    child: Child,
    pid: Pid,
}

/// What became of one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    /// It is a system call, in which the child sleeps.
    Asleep,
    /// The operation is over.
    Over,
}

impl Tracee {
    /// A child that stands before `operate`; when that is over it stops again, and then ends with
    /// what `verify` makes of the result.
    pub(crate) fn fork<A: Inherit, B: Inherit, R>(
        ends: (A, B),
        operate: impl FnOnce(B) -> R,
        verify: impl FnOnce(R) -> u8,
    ) -> (Tracee, A) {
        let (child, ours) = fork(ends, |theirs| {
            if ptrace::traceme().is_err() {
                return ExitCode::FAILURE; // told from a stop by its end
            }
            raise(Signal::SIGSTOP).unwrap();
            let result = operate(theirs);
            raise(Signal::SIGSTOP).unwrap();
            verify(result).into()
        })
        .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.pid()).unwrap());
        let stop = waitpid(pid, None).unwrap();
        if matches!(stop, WaitStatus::Exited(..)) {
            let reason = "ptrace(PTRACE_TRACEME) is refused here: nothing is proved";
            assert!(env::var_os("SWEEP").is_none(), "{reason}");
            skip(reason);
        }
        assert_eq!(stop, WaitStatus::Stopped(pid, Signal::SIGSTOP));
        (Tracee { child, pid }, ours)
    }

    /// Executes the next instruction, which may sleep if it is a system call.
    pub(crate) fn step(&self, is_system_call: bool) -> Step {
        ptrace::step(self.pid, None).expect("ptrace(PTRACE_SINGLESTEP)");
        if is_system_call {
            self.finish()
        } else {
            self.stopped(None).expect("it waits for the child")
        }
    }

    /// Runs to the beginning of the next system call, or from there to its end.
    pub(crate) fn run(&self) -> Step {
        ptrace::syscall(self.pid, None).expect("ptrace(PTRACE_SYSCALL)");
        self.finish()
    }

    /// Goes on with a system call in which the child sleeps.
    pub(crate) fn finish(&self) -> Step {
        loop {
            for _ in 0..LOOKS {
                if let Some(step) = self.stopped(Some(WaitPidFlag::WNOHANG)) {
                    return step;
                }
                thread::yield_now();
            }
            if self.sleeps() {
                return Step::Asleep;
            }
        }
    }

    /// Whether the next instruction is a system call.
    pub(crate) fn is_at_system_call(&self) -> bool {
        let registers = ptrace::getregs(self.pid).expect("ptrace(PTRACE_GETREGSET)");
        #[cfg(target_arch = "x86_64")]
        let (at, mask, syscall) = (registers.rip, 0xffff, 0x050f); // syscall
        #[cfg(target_arch = "aarch64")]
        let (at, mask, syscall) = (registers.pc, 0xffff_ffff, 0xd400_0001); // svc #0
        let word = ptrace::read(self.pid, at as ptrace::AddressType);
        word.expect("ptrace(PTRACE_PEEKTEXT)") & mask == syscall
    }

    /// Kills it where it stands, and waits until nothing of it is left.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it run to its end, and returns what it verified.
    pub(crate) fn join(self) -> usize {
        loop {
            match ptrace::cont(self.pid, None) {
                Ok(()) | Err(Errno::ESRCH) => {} // it is asleep, which is no stop
                Err(error) => panic!("ptrace(PTRACE_CONT): {error}"),
            }
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Stopped(..)) => {}
                Ok(WaitStatus::Exited(_, status @ 0..=100)) => {
                    self.child.detach();
                    return usize::try_from(status).unwrap();
                }
                other => panic!("the survivor failed: {other:?}"),
            }
        }
    }

    fn stopped(&self, flags: Option<WaitPidFlag>) -> Option<Step> {
        loop {
            match waitpid(self.pid, flags) {
                Ok(WaitStatus::StillAlive) => return None,
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => return Some(Step::Done),
                Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => return Some(Step::Over),
                Err(Errno::EINTR) => {}
                other => panic!("the child did not stop: {other:?}"),
            }
        }
    }

    /// `proc_pid_stat(5)`
    fn sleeps(&self) -> bool {
        let line = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        line.rsplit_once(") ").unwrap().1.starts_with('S')
    }
}

/// Keeps this process and its children on one processor, between whose processes switching is quick.
pub(crate) fn stay() {
    let mut set = CpuSet::new();
    set.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}
