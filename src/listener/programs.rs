//! Putting steering programs on groups.
//!
//! The kernel compiles a classic program anew for each group, which takes longer than all else that is done for a
//! listener. Of thousands of listeners nearly all have the same program. So where there are many, and endless may load
//! extended programs (CAP_BPF), one loaded program is put on all of them, and all but the first get it when the first copy
//! has been started.

use super::program::Steering;
use crate::sys::{bpf, socket};
use nix::errno::Errno;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// From this many listeners on, loading a program pays.
const MANY: usize = 64;

/// The programs that were loaded.
#[derive(Debug, Default)]
pub(super) struct Programs {
    many: bool,
    /// One was put on a group.
    taken: Cell<bool>,
    /// By the member everybody goes to; None where it cannot be loaded.
    loaded: RefCell<BTreeMap<usize, Option<OwnedFd>>>,
}

impl Programs {
    /// For so many listeners.
    pub(super) fn new(listeners: usize) -> Programs {
        Programs { many: listeners >= MANY, ..Programs::default() }
    }

    /// Puts a program on the group of a socket.
    pub(super) fn put(&self, socket: BorrowedFd<'_>, program: &Steering) -> Result<(), Errno> {
        match (self.many, &program.everybody[..], program.probe) {
            (true, [member], None) if self.put_loaded(socket, *member) => Ok(()),
            _ => socket::steer(socket, &program.program()),
        }?;
        self.taken.set(true);
        Ok(())
    }

    /// Whether the kernel is known to take them, and there are so many groups that a start does not wait for theirs.
    pub(super) fn can_wait(&self) -> bool {
        self.many && self.taken.get()
    }

    fn put_loaded(&self, socket: BorrowedFd<'_>, member: usize) -> bool {
        let mut loaded = self.loaded.borrow_mut();
        let load = || bpf::constant(i32::try_from(member).ok()?).ok();
        loaded
            .entry(member)
            .or_insert_with(load)
            .as_ref()
            .is_some_and(|program| bpf::steer(socket, program.as_fd()).is_ok())
    }
}
