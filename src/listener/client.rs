//! endless' own connections to its listeners: made without waiting, looked at without taking anything from them.

use super::inet::local_address;
use super::program::reachable;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, UnixAddr, bind, connect, recv, socket,
};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection endless made to a listener, non-blocking.
#[derive(Debug)]
pub enum ProbeStream {
    /// To a TCP listener.
    Tcp(TcpStream),
    /// To a Unix stream listener.
    Unix(UnixStream),
}

impl Read for ProbeStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            ProbeStream::Tcp(stream) => stream.read(buffer),
            ProbeStream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for ProbeStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            ProbeStream::Tcp(stream) => stream.write(buffer),
            ProbeStream::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for ProbeStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            ProbeStream::Tcp(stream) => stream.as_fd(),
            ProbeStream::Unix(stream) => stream.as_fd(),
        }
    }
}

/// What our end of a connection shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// Nothing yet.
    Nothing,
    /// The server sent something or closed its end: it had accepted.
    Life,
    /// The connection was refused or reset.
    Refusal,
}

impl ProbeStream {
    /// Looks without taking anything (MSG_PEEK, recv(2)).
    pub(super) fn shows(&self) -> Shows {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        match recv(self.as_fd().as_raw_fd(), &mut [0], flags) {
            Ok(_) => Shows::Life,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOTCONN) => Shows::Nothing,
            Err(_) => Shows::Refusal,
        }
    }
}

const NOW: SockFlag = SockFlag::SOCK_CLOEXEC.union(SockFlag::SOCK_NONBLOCK);

/// A TCP socket bound to the address a client of `listener` on this machine has, with a port of its own: its address is
/// known before it connects. Comes with that address and the one to connect to.
pub(super) fn tcp_client(listener: SocketAddr) -> Result<(OwnedFd, SocketAddr, SocketAddr), Errno> {
    let target = reachable(listener);
    match bound_client(target) {
        // No IPv6 on the loopback interface; a socket for both families takes IPv4 as well.
        Err(Errno::EADDRNOTAVAIL) if listener.ip().is_unspecified() && listener.is_ipv6() => {
            bound_client(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listener.port()))
        }
        other => other,
    }
}

fn bound_client(target: SocketAddr) -> Result<(OwnedFd, SocketAddr, SocketAddr), Errno> {
    let family = if target.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let client = socket(family, SockType::Stream, NOW, None)?;
    let mut source = target;
    source.set_port(0);
    bind(client.as_raw_fd(), &SockaddrStorage::from(source))?;
    let source = local_address(&client).ok_or(Errno::EADDRNOTAVAIL)?;
    Ok((client, source, target))
}

/// Connects, without waiting for the answer.
pub(super) fn connect_tcp(client: OwnedFd, target: SocketAddr) -> Result<ProbeStream, Errno> {
    match connect(client.as_raw_fd(), &SockaddrStorage::from(target)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(ProbeStream::Tcp(TcpStream::from(client))),
        Err(errno) => Err(errno),
    }
}

/// Connects to a Unix stream socket; `EAGAIN` when its queue is full.
pub(super) fn connect_unix(path: &Path) -> Result<ProbeStream, Errno> {
    let client = socket(AddressFamily::Unix, SockType::Stream, NOW, None)?;
    connect(client.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(ProbeStream::Unix(UnixStream::from(client)))
}
