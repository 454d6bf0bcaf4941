//! Sockets that endless makes in a copy's place, where it may not have the copy's own: some sandboxes refuse pidfd_getfd(2).
//!
//! What can be seen of the copy's socket from outside is its protocol and O_NONBLOCK. Options it was given before bind(2) are
//! lost, and where it is registered with epoll(7).

use super::capturing::{Asker, Verdict};
use super::inet::{Place, Transport};
use super::listeners::Listeners;
use crate::sys::socket::set_nonblocking;
use crate::words::GenerationId;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What is known of a copy's socket.
#[derive(Debug, Clone)]
pub struct Theirs {
    /// What the kernel calls its protocol.
    pub protocol: String,
    /// O_NONBLOCK is set on it.
    pub nonblock: bool,
}

/// A socket in a copy's place that does not listen yet.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Substitute {
    pub(super) owner: GenerationId,
    port: u16,
    inode: u64,
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
}

impl Listeners {
    /// As [`Listeners::bind_asked`], where the copy's socket cannot be had. None for a socket of a kind that is left alone.
    pub fn bind_instead(
        &mut self,
        generation: GenerationId,
        theirs: &Theirs,
        at: SocketAddr,
        asker: Asker<'_>,
    ) -> Option<Verdict> {
        let (transport, family) = kind(&theirs.protocol)?;
        // Whether the copy has set IPV6_V6ONLY cannot be seen.
        if let Some(verdict) = self.claim(generation, (transport, at, false), theirs.nonblock, asker) {
            return Some(verdict);
        }
        if transport == Transport::Udp {
            return None;
        }
        // One that its copy has closed without listening must not keep the address busy.
        self.substitutes.retain(|one| one.owner != generation || (asker.open)(one.inode));
        let place = Place { transport: Transport::Tcp, at, any: false };
        self.drop_closed(generation, place, asker.open);
        if let Some(captured) = self.captured_at(place) {
            let put = |kept: BorrowedFd<'_>| {
                set_nonblocking(&kept, theirs.nonblock).ok();
                (asker.put)(kept)
            };
            if let Some(answer) = captured.hand_over(generation, put) {
                return Some(Verdict::Answer(answer));
            }
        }
        // One for both families may stand beside one for IPv4.
        let beside = self.substitutes.iter().filter(|one| one.owner == generation && one.port == at.port());
        let beside = beside.filter(|one| setsockopt(&one.socket, sockopt::ReusePort, &true).is_ok()).count() > 0;
        let shares = beside || self.shares_port(place, |_| true);
        let answer = made(family, at, shares, theirs.nonblock).and_then(|socket| {
            (asker.put)(socket.as_fd())?;
            let inode = fstat(&socket)?.st_ino;
            self.substitutes.push(Substitute { owner: generation, port: at.port(), inode, socket });
            self.asked.insert((generation, at.port()));
            Ok(())
        });
        Some(Verdict::Answer(answer))
    }

    /// The socket that was made in a copy's place and has this number; no longer kept for it.
    pub fn substitute(&mut self, generation: GenerationId, inode: u64) -> Option<OwnedFd> {
        let at = self.substitutes.iter().position(|one| one.owner == generation && one.inode == inode)?;
        Some(self.substitutes.swap_remove(at).socket)
    }
}

fn kind(protocol: &str) -> Option<(Transport, AddressFamily)> {
    match protocol {
        "TCP" | "MPTCP" => Some((Transport::Tcp, AddressFamily::Inet)),
        "TCPv6" | "MPTCPv6" => Some((Transport::Tcp, AddressFamily::Inet6)),
        "UDP" => Some((Transport::Udp, AddressFamily::Inet)),
        "UDPv6" => Some((Transport::Udp, AddressFamily::Inet6)),
        _ => None,
    }
}

/// A socket as servers make theirs, bound.
fn made(family: AddressFamily, at: SocketAddr, shares: bool, nonblock: bool) -> nix::Result<OwnedFd> {
    let mut flags = SockFlag::SOCK_CLOEXEC;
    flags.set(SockFlag::SOCK_NONBLOCK, nonblock);
    let made = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&made, sockopt::ReuseAddr, &true)?;
    setsockopt(&made, sockopt::ReusePort, &shares)?;
    bind(made.as_raw_fd(), &SockaddrStorage::from(at)).map(|()| made)
}
