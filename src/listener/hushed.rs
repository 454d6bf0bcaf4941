//! A moment in which some sockets of a group take no new connection.
//!
//! When a socket leaves its group, the last one moves into its place, and until the program is replaced its answer may be no
//! index any more: then the kernel chooses any socket of the group by a hash (reuseport_select_sock in the kernel), which may
//! be one whose copy has stopped accepting. While those drop what comes to them, the client sends its SYN again a second
//! later, when the program is right. Short, and rare: it takes two others beside the one that leaves.

use crate::sys::socket::{hear, hush};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Sockets that take nothing until [`Hushed::end`].
#[derive(Debug, Default)]
pub(super) struct Hushed(Vec<OwnedFd>);

impl Hushed {
    /// Hushes these sockets, those it can.
    pub(super) fn all<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> Hushed {
        let hushed = |socket: BorrowedFd<'a>| {
            let held = socket.try_clone_to_owned().ok()?;
            hush(socket).then_some(held)
        };
        Hushed(sockets.filter_map(hushed).collect())
    }

    /// They take connections again.
    pub(super) fn end(self) {
        self.0.iter().for_each(|socket| hear(socket.as_fd()));
    }
}
