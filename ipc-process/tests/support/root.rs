//! Root, and everybody else.

use ipc_core::conformance::skip;
use nix::unistd::Uid;

/// For others the case ends as skipped.
pub(crate) fn root_only() {
    if !Uid::effective().is_root() {
        skip("only root may change the user");
    }
}
