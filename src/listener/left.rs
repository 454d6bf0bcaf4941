//! Sockets that were released and are nobody's any more, but may have to stay in their SO_REUSEPORT group for a while.
//!
//! When a socket leaves, the last one moves into its place. If that is the only one the program names, the program's answer
//! is no index any more until it is replaced, and the kernel chooses any member by a hash: a datagram goes to a copy that
//! has been replaced, or to nobody. So a datagram socket is closed only when that moves somebody else, or leaves nobody to
//! choose from. The next socket that joins sees to that: it is the last one then, and nobody is sent to it yet.

use super::group::Group;
use crate::sys::socket::{option, set_option};
use crate::words::GenerationId;
use nix::libc;
use nix::sys::socket::{SockaddrStorage, bind, getpeername, getsockopt, setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The index of a network interface that does not exist: sockets that were let go are bound to it.
pub(super) const NOWHERE: i32 = i32::MAX;

#[derive(Debug, Serialize, Deserialize)]
struct Socket {
    who: GenerationId,
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
}

/// The sockets of one group that wait to be closed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Left(Vec<Socket>);

impl Left {
    /// It is nobody's any more.
    pub(super) fn add(&mut self, who: GenerationId, socket: OwnedFd) {
        self.0.push(Socket { who, socket });
    }

    /// Closes one of them that may be closed while everybody is sent to `only`; with None any may. False when there is
    /// none. The program has to be put right before the next one.
    pub(super) fn close_one(&mut self, group: &mut Group<GenerationId>, only: Option<GenerationId>) -> bool {
        let stays = |left: &Socket| only.is_some_and(|only| group.misled(only, left.who));
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
/// interface) it is only closed. True when it is a client's instead, who goes on with it.
pub(super) fn close(socket: OwnedFd) -> bool {
    let connected = is_connected(&socket);
    if connected {
        leave_to_its_client(&socket);
    } else {
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, NOWHERE).ok();
    }
    connected
}

/// Takes a connected datagram socket out of its group: it is a client's, who goes on, and what comes to it does not change.
///
/// The kernel leaves it there, where a program may choose it though it takes nothing from anybody else; but a socket that is
/// bound to an interface, be it the one it has, leaves (udp_lib_rehash). Without SO_REUSEPORT the next one founds no group
/// with it (udp_reuseport_add_sock), and with SO_REUSEADDR it does not make the address busy for one that has that, too.
fn leave_to_its_client(socket: &OwnedFd) {
    let (level, interface) = (libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX);
    option(socket.as_fd(), level, interface).and_then(|same| set_option(socket.as_fd(), level, interface, same)).ok();
    setsockopt(socket, sockopt::ReuseAddr, &true).ok();
    setsockopt(socket, sockopt::ReusePort, &false).ok();
}

/// Binds a datagram socket. `clients`: where sockets may be that were left to their clients.
pub(super) fn bind_beside(socket: &OwnedFd, at: SocketAddr, clients: bool) -> nix::Result<()> {
    let bound = || bind(socket.as_raw_fd(), &SockaddrStorage::from(at));
    if !clients || getsockopt(socket, sockopt::ReuseAddr)? {
        return bound();
    }
    setsockopt(socket, sockopt::ReuseAddr, &true)?;
    let answer = bound();
    setsockopt(socket, sockopt::ReuseAddr, &false).ok();
    answer
}

/// Whether a datagram socket has a peer (connect(2)): it is a client's, not a server's.
pub(super) fn is_connected(socket: &impl AsRawFd) -> bool {
    getpeername::<SockaddrStorage>(socket.as_raw_fd()).is_ok()
}
