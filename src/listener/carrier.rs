//! A plain TCP socket in a group whose own sockets are MPTCP's: these cannot carry a steering program (`EOPNOTSUPP`), and a
//! program is everybody's in the group, whoever carries it.
//!
//! It listens, for only so it is in the group, and takes no connection: it drops every packet, and no program names it.

use super::program::Steering;
use crate::sys::socket::{hush, listen, option, steer};
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockopt, setsockopt, socket, sockopt,
};
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::fchown;

/// Its number in the group; those of members begin behind it.
pub(super) const NUMBER: u64 = 0;

/// A socket that carries the program for others.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Carrier {
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
}

/// Whether a socket needs another to carry its program.
pub(super) fn is_mptcp(socket: &OwnedFd) -> bool {
    option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_PROTOCOL) == Ok(libc::IPPROTO_MPTCP)
}

impl Carrier {
    /// Joins the group of a socket that is bound here, with SO_REUSEPORT, and about to listen.
    ///
    /// # Errors
    /// EADDRINUSE for one of another user, where endless may not make a socket of that user's (CAP_CHOWN).
    pub(super) fn beside(theirs: &OwnedFd, at: SocketAddr) -> nix::Result<Carrier> {
        let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let made = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        if at.is_ipv6() {
            setsockopt(&made, sockopt::Ipv6V6Only, &getsockopt(theirs, sockopt::Ipv6V6Only)?)?;
        }
        setsockopt(&made, sockopt::ReuseAddr, &true)?;
        setsockopt(&made, sockopt::ReusePort, &true)?;
        // A group is one user's. Where it is ours already there is nothing to change.
        fchown(&made, Some(fstat(theirs)?.st_uid), None).ok();
        hush(made.as_fd());
        bind(made.as_raw_fd(), &SockaddrStorage::from(at))?;
        listen(made.as_fd(), 1)?;
        Ok(Carrier { socket: made })
    }

    /// Puts on the program of a group that has nobody else yet: everybody goes to the next one, the second.
    pub(super) fn begin(&self) -> Option<Steering> {
        let program = Steering { everybody: vec![1], ..Steering::default() };
        self.steer(&program.program()).ok().map(|()| program)
    }

    /// Puts a program on the group.
    pub(super) fn steer(&self, program: &[libc::sock_filter]) -> nix::Result<()> {
        steer(self.socket.as_fd(), program)
    }
}
