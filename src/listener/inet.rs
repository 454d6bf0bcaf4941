//! TCP and UDP sockets: made, given their options, bound.

use super::error::{BIND, During, Fault};
use super::options;
use crate::plan::SocketOptions;
use crate::sys::socket::option;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, getsockname, setsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// An IP socket that is to be made: of which transport, where, and whether both families are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) transport: Transport,
    pub(super) at: SocketAddr,
    pub(super) any: bool,
}

/// Whether sockets at these addresses can be in each other's way.
pub(super) fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    let covers = |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
    one == other || covers(one, other) || covers(other, one)
}

impl Place {
    /// The same place without IPv6, where it is one for both families and IPv6 is what failed.
    fn without_ipv6(self, fault: &Fault) -> Option<Place> {
        let missing = matches!(fault.errno, Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL);
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.at.port());
        (self.any && self.at.is_ipv6() && missing).then_some(Place { at, ..self })
    }

    /// A socket with its options, not yet bound.
    fn open(self, options: &SocketOptions) -> Result<OwnedFd, Fault> {
        let (family, kind) = (
            if self.at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 },
            match self.transport {
                Transport::Tcp => SockType::Stream,
                Transport::Udp => SockType::Datagram,
            },
        );
        let mut flags = SockFlag::SOCK_CLOEXEC;
        flags.set(SockFlag::SOCK_NONBLOCK, options.nonblocking());
        let made = socket(family, kind, flags, None).during("make a socket")?;
        if self.transport == Transport::Tcp {
            setsockopt(&made, sockopt::ReuseAddr, &true).during("set SO_REUSEADDR")?;
        }
        if self.any && self.at.is_ipv6() && options.v6only.is_none() {
            setsockopt(&made, sockopt::Ipv6V6Only, &false).during("set v6only")?;
        }
        options::before_bind(&made, self.at, options)?;
        if self.transport == Transport::Tcp {
            options::for_connections(&made, options)?;
        }
        Ok(made)
    }

    /// A bound socket. `prepare` does what must be done to it before bind(2). Falls back to IPv4 where the machine has no
    /// IPv6 and no host was given; the place that was bound comes back, with the port the kernel chose for port 0.
    pub(super) fn bind(
        self,
        options: &SocketOptions,
        prepare: impl Fn(&OwnedFd) -> Result<(), Fault>,
    ) -> Result<(OwnedFd, Place), Fault> {
        let attempt = |place: Place| {
            let made = place.open(options)?;
            prepare(&made)?;
            bind(made.as_raw_fd(), &SockaddrStorage::from(place.at)).during(BIND)?;
            Ok((made, place))
        };
        let (made, mut place) = match attempt(self) {
            Ok(done) => done,
            Err(fault) => attempt(self.without_ipv6(&fault).ok_or(fault)?)?,
        };
        if place.at.port() == 0 {
            place.at = local_address(&made).ok_or(Fault { step: "read its address", errno: Errno::EINVAL })?;
        }
        Ok((made, place))
    }
}

/// Whether the kernel makes IPv6 sockets. Asking it takes a tenth of the time of a look into /proc.
#[must_use]
pub fn has_ipv6() -> bool {
    socket(AddressFamily::Inet6, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).is_ok()
}

/// The transport of a socket (SO_PROTOCOL, socket(7)); None for any other than these.
pub(super) fn transport_of(socket: &impl AsFd) -> Option<Transport> {
    match option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_PROTOCOL) {
        Ok(libc::IPPROTO_TCP | libc::IPPROTO_MPTCP) => Some(Transport::Tcp),
        Ok(libc::IPPROTO_UDP) => Some(Transport::Udp),
        _ => None,
    }
}

/// The IP address and port a socket is bound to (getsockname(2)); None for other families.
pub(super) fn local_address(socket: &impl AsRawFd) -> Option<SocketAddr> {
    let name: SockaddrStorage = getsockname(socket.as_raw_fd()).ok()?;
    if let Some(v4) = name.as_sockaddr_in() {
        return Some(SocketAddrV4::new(v4.ip(), v4.port()).into());
    }
    let v6 = name.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(v6.ip(), v6.port(), v6.flowinfo(), v6.scope_id()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_addresses_of_a_port_are_in_nobodys_way() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (one, other) in
            [("::1", "::1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "::"), ("::ffff:127.0.0.1", "127.0.0.1")]
        {
            assert!(overlap(ip(one), ip(other)), "{one} {other}");
        }
        for (one, other) in [("::1", "127.0.0.1"), ("0.0.0.0", "::1"), ("127.0.0.1", "127.0.0.2")] {
            assert!(!overlap(ip(one), ip(other)), "{one} {other}");
        }
    }
}
