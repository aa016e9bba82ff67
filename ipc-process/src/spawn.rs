//! Spawning: this program anew, in a function of it.

use std::any::type_name;
use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Command, Termination};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipc_core::Inherit;

use crate::fork::{flush_streams, number};
use crate::handover::{Manifest, Parts};
use crate::run::ours_of;
use crate::title::set_short_name;
use crate::{Child, Error, ProcessOptions, Result};

/// Spawns a process that runs `entry` with `theirs` and ends; `ours` stays here.
///
/// The process is this program executed anew, so that nothing is shared or copied but the end:
/// safe in a program with threads or an async runtime. It enters `entry` by its name, which
/// [`entries!`](crate::entries) must know; so it is a function, and no closure.
///
/// Its exit status is that of [`fork`](crate::fork())'s.
///
/// # Errors
///
/// After an error nothing has run. [`Unregistered`](Error::Unregistered) if `entries!` does not
/// name it; [`Ipc`](Error::Ipc) if `theirs` cannot be taken apart; [`Os`](Error::Os) if the kernel
/// refuses. Of `pidfd_open`, and [`Unknown`](Error::Unknown), what [`run`](crate::run()) says holds
/// here, too.
///
/// ```
/// use ipc_pipe::{PipeDuplex, Receiver, Sender};
/// # mod ipc_pipe { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mod.rs")); pub type PipeDuplex = End; }
///
/// fn echo(mut pipe: PipeDuplex) -> ipc_core::Result<()> {
///     let (tx, rx) = pipe.halves();
///     tx.send(rx.recv()?)
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     ipc_process::entries! { echo }
///
///     let (child, mut pipe) = ipc_process::spawn(ipc_pipe::pair()?, echo)?;
///     pipe.send(b"hello")?;
///     assert_eq!(pipe.recv()?, b"hello");
///     child.join()?;
///     Ok(())
/// }
/// ```
pub fn spawn<A, B, R, F>(ends: (A, B), entry: F) -> Result<(Child, A)>
where
    A: Inherit,
    B: Inherit + 'static,
    R: Termination + 'static,
    F: Fn(B) -> R + Copy + 'static,
{
    ProcessOptions::new().spawn(ends, entry)
}

impl ProcessOptions {
    /// [`spawn`](crate::spawn()) with these options.
    ///
    /// # Errors
    ///
    /// As there; and [`Os`](Error::Os) for an option that the kernel refuses.
    pub fn spawn<A, B, R, F>(&self, (ours, theirs): (A, B), entry: F) -> Result<(Child, A)>
    where
        A: Inherit,
        B: Inherit + 'static,
        R: Termination + 'static,
        F: Fn(B) -> R + Copy + 'static,
    {
        let entry = Entry::new(entry).name;
        if registered().binary_search(&entry).is_err() {
            return Err(Error::Unregistered { entry });
        }
        // Of the new process: this very program, should its file have been replaced meanwhile.
        let mut program = Command::new("/proc/self/exe");
        let own = env::args_os().next().unwrap_or_default();
        match &self.name {
            Some(name) => program.arg0(name),
            None => program.arg0(&own).arg(entry),
        };
        let own = Path::new(&own)
            .file_name()
            .unwrap_or(&own)
            .to_string_lossy();
        let manifest = Manifest::new(entry, self.name.as_deref().unwrap_or(&own), theirs)?;
        Ok((self.start(manifest, &mut program)?, ours_of(ours)))
    }
}

/// Names the functions that [`spawn`](crate::spawn()) may start a process in. One call, at the very
/// top of `main`: in a process that was spawned it runs the function and never returns; what stands
/// before it is run there, too.
///
/// ```
/// fn compress(_: ()) {}
/// fn upload(_: ()) {}
///
/// fn main() {
///     ipc_process::entries! { compress, upload }
///     // the program
/// }
/// ```
#[macro_export]
macro_rules! entries {
    ($($entry:path),+ $(,)?) => {
        $crate::enter([$($crate::Entry::new($entry)),+]);
    };
}

/// A function that a process may start in.
#[doc(hidden)]
pub struct Entry {
    name: &'static str,
    enter: Box<dyn Fn(Parts) -> ipc_core::Result<u8>>,
}

impl Entry {
    /// The entry of a function, which is known by the name of its type.
    pub fn new<B, R, F>(entry: F) -> Self
    where
        B: Inherit + 'static,
        R: Termination + 'static,
        F: Fn(B) -> R + Copy + 'static,
    {
        const {
            assert!(
                size_of::<F>() == 0,
                "a function by its name, no pointer or closure"
            );
        };
        Entry {
            name: type_name::<F>(),
            enter: Box::new(move |parts| Ok(number(entry(parts.end()?).report()))),
        }
    }
}

/// Remembers the entries; or runs the one that this process was made for, and ends.
///
/// # Panics
///
/// If two entries have one name, or the one asked for is missing, or its end cannot be made.
#[doc(hidden)]
pub fn enter(entries: impl IntoIterator<Item = Entry>) {
    let entries: Vec<Entry> = entries.into_iter().collect();
    let mut names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    let twins = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(
        twins.is_none(),
        "entries! has two functions of one name: {names:?}"
    );
    *registered() = names;
    let Some(parts) = Parts::take_entry() else {
        return;
    };
    let entry = entries.iter().find(|entry| entry.name == parts.entry);
    let entry = entry.unwrap_or_else(|| panic!("entries! does not name {}", parts.entry));
    let _ = set_short_name(&parts.name); // its arguments say it in any case
    let ended = (entry.enter)(parts);
    let code = ended.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
    flush_streams();
    process::exit(code.into())
}

fn registered() -> MutexGuard<'static, Vec<&'static str>> {
    static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}
