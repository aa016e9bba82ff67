//! Waiting for several children.

use std::process::ExitStatus;
use std::time::Duration;

use ipc_core::{Error as Waited, Ready, Select, Wait};

use crate::{Child, Result};

/// Waits until one of `children` ends, and says which, by its place, and how it did. Those that
/// have been waited for are passed over: each is told once, and `None` is that nobody is left.
///
/// # Errors
///
/// As [`Child::wait`].
///
/// ```
/// use ipc_process::{fork, wait_any};
/// use std::process::ExitCode;
///
/// # fn main() -> ipc_process::Result<()> {
/// let mut children = Vec::new();
/// for number in 0..3 {
///     children.push(fork(((), ()), move |()| ExitCode::from(number))?.0);
/// }
/// let mut sum = 0;
/// while let Some((_place, status)) = wait_any(&mut children)? {
///     sum += status.code().unwrap_or(100);
/// }
/// assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
pub fn wait_any<'a>(
    children: impl IntoIterator<Item = &'a mut Child>,
) -> Result<Option<(usize, ExitStatus)>> {
    wait(children, Wait::Forever)
}

/// As [`wait_any`], of those that have ended already; `None` too if all are running.
pub fn try_wait_any<'a>(
    children: impl IntoIterator<Item = &'a mut Child>,
) -> Result<Option<(usize, ExitStatus)>> {
    wait(children, Wait::Never)
}

/// As [`wait_any`], but no longer than `timeout`; `None` too if all are running then.
pub fn wait_any_timeout<'a>(
    children: impl IntoIterator<Item = &'a mut Child>,
    timeout: Duration,
) -> Result<Option<(usize, ExitStatus)>> {
    wait(children, timeout.into())
}

fn wait<'a>(
    children: impl IntoIterator<Item = &'a mut Child>,
    limit: Wait,
) -> Result<Option<(usize, ExitStatus)>> {
    let awaited = |(_, child): &(usize, &mut Child)| child.is_awaited();
    let mut left: Vec<_> = children.into_iter().enumerate().filter(awaited).collect();
    let mut select = Select::new();
    while !left.is_empty() {
        let members = left.iter_mut().map(|(_, child)| *child as &mut dyn Ready);
        let ready = match select.wait(&mut members.collect::<Vec<_>>(), limit) {
            Err(Waited::TimedOut | Waited::WouldBlock) => return Ok(None),
            ready => ready?,
        };
        let (place, child) = &mut left[ready];
        if let Some(status) = child.try_wait()? {
            return Ok(Some((*place, status)));
        }
    }
    Ok(None)
}
