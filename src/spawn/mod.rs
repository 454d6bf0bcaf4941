//! Making processes: the copies of the target, and the small helpers of hooks.
//!
//! `launch` is the parent's side, `child` the child's, in one order on one screen; `report` is what comes back from it.
//! `tree` knows which processes belong to a copy, `table` is one look at all processes, `sockets` what they have open,
//! `reap` waits for those that ended. Nothing here waits for a child: its report comes through a pipe that sits in the poll set.

mod caller;
mod child;
mod descriptors;
mod exec;
mod launch;
pub mod pid;
mod reap;
mod report;
mod sockets;
mod table;
mod tree;

pub use crate::sys::signals::Inherited;
pub use caller::Caller;
pub use exec::exec;
pub use launch::{Launch, Launched, launch, launch_shell};
pub use reap::reap_all;
pub use report::read_report;
pub use sockets::holds_any;
pub use table::{ProcessEntry, ProcessTable, hidden};
pub use tree::{Member, Refused, Tree};

/// Makes endless the parent of descendants whose own parent has ended (PR_SET_CHILD_SUBREAPER, prctl(2)).
///
/// # Errors
/// EINVAL before Linux 3.4.
pub fn become_subreaper() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}
