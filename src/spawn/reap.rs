//! Waiting for what has ended.

use crate::sys::process;
use crate::words::Exit;
use nix::unistd::Pid;

/// Waits for every child that has ended, ours or an orphan that came to us; returns at once. A stop or a
/// continuation is no end and is not seen.
#[must_use]
pub fn reap_all() -> Vec<(Pid, Exit)> {
    std::iter::from_fn(process::reap_one).collect()
}
