//! Sockets that were released and are nobody's any more, but may have to stay in their SO_REUSEPORT group for a while.
//!
//! When a socket leaves, the last one moves into its place. If that is the only one the program names, the program's answer
//! is no index any more until it is replaced, and the kernel chooses any member by a hash: a datagram goes to a copy that
//! has been replaced, or to nobody. So a datagram socket is closed only when that moves somebody else, or leaves nobody to
//! choose from. The next socket that joins sees to that: it is the last one then, and nobody is sent to it yet.

use super::group::Group;
use crate::sys::socket::set_option;
use nix::libc;
use nix::sys::socket::{SockaddrStorage, getpeername};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The index of a network interface that does not exist: sockets that were let go are bound to it.
pub(super) const NOWHERE: i32 = i32::MAX;

#[derive(Debug, Serialize, Deserialize)]
struct Socket<Who> {
    who: Who,
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
}

/// The sockets of one group that wait to be closed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Left<Who>(Vec<Socket<Who>>);

impl<Who> Default for Left<Who> {
    fn default() -> Self {
        Left(Vec::new())
    }
}

impl<Who: Copy + PartialEq> Left<Who> {
    /// It is nobody's any more.
    pub(super) fn add(&mut self, who: Who, socket: OwnedFd) {
        self.0.push(Socket { who, socket });
    }

    /// Closes one of them that may be closed while everybody is sent to `only`; with None any may. False when there is
    /// none. The program has to be put right before the next one.
    pub(super) fn close_one(&mut self, group: &mut Group<Who>, only: Option<Who>) -> bool {
        let stays = |left: &Socket<Who>| only.is_some_and(|only| group.misled(only, left.who));
        let Some(at) = self.0.iter().position(|left| !stays(left)) else { return false };
        let Socket { who, socket } = self.0.remove(at);
        if group.leave(who) {
            close(socket);
        }
        true
    }
}

/// Closes a datagram socket that nobody is sent to any more, so that it gets nothing though it is found.
///
/// close(2) takes it out of the group first, and then out of the table where datagrams look for a socket: one that finds it
/// there in between is lost (udp6_lib_lookup2 in the kernel). And it does nothing where a process that lives on has the
/// socket, too. Bound to no interface it is out of both. Where that is refused (before Linux 5.7, or bound to another
/// interface) it is only closed, and so is one that is connected: it is a client's, who goes on.
pub(super) fn close(socket: OwnedFd) {
    if !is_connected(&socket) {
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, NOWHERE).ok();
    }
}

/// Whether a datagram socket has a peer (connect(2)): it is a client's, not a server's.
pub(super) fn is_connected(socket: &impl AsRawFd) -> bool {
    getpeername::<SockaddrStorage>(socket.as_raw_fd()).is_ok()
}
