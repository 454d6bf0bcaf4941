//! A listener whose generations share one socket: where steering cannot be, was not wanted, or the socket was passed in.

use super::bound::BoundAddress;
use super::error::{BIND, BIND_VSOCK, During, Fault, MAKE_VSOCK, Problem};
use super::holder;
use super::inet::Place;
use super::options::{begin_to_listen, buffers};
use crate::plan::{SocketOptions, UnixKind, Vsock};
use crate::sys::socket::{listens, set_nonblocking};
use nix::errno::Errno;
use nix::libc::VMADDR_PORT_ANY;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, UnixAddr, VsockAddr, bind, connect, getsockname, socket,
};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// One socket for all generations.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shared {
    #[serde(with = "crate::sys::carried")]
    pub(super) socket: OwnedFd,
    /// True for a socket that accepts connections.
    pub(super) accepts: bool,
    /// True when endless did not make it: only what was typed on its flag may be changed.
    pub(super) foreign: bool,
    /// O_NONBLOCK as it is to be.
    pub(super) nonblock: bool,
    /// Where it is bound, for TCP and UDP.
    pub(super) at: Option<SocketAddr>,
}

impl Shared {
    /// A TCP or UDP socket without a group.
    pub(super) fn inet(place: Place, options: &SocketOptions) -> Result<(Shared, Place), Fault> {
        let (socket, place) = place.bind(options, |_| Ok(()))?;
        let accepts = place.transport == super::inet::Transport::Tcp;
        if accepts {
            begin_to_listen(&socket, options)?;
        }
        Ok((Shared { socket, accepts, foreign: false, nonblock: options.nonblocking(), at: Some(place.at) }, place))
    }

    /// A Unix socket with an abstract name.
    pub(super) fn abstract_unix(kind: UnixKind, name: &[u8], options: &SocketOptions) -> Result<Shared, Problem> {
        let socket = unix_socket(kind, options)?;
        let address = UnixAddr::new_abstract(name).during("use this name")?;
        match bind(socket.as_raw_fd(), &address) {
            Err(Errno::EADDRINUSE) => {
                return Err(Problem::Busy(holder::of_unix(|other| other.strip_prefix(b"@") == Some(name))));
            }
            other => other.during(BIND)?,
        }
        let accepts = kind != UnixKind::Datagram;
        if accepts {
            begin_to_listen(&socket, options)?;
        }
        Ok(Shared { socket, accepts, foreign: false, nonblock: options.nonblocking(), at: None })
    }

    /// A VM socket, which knows no SO_REUSEPORT.
    pub(super) fn vsock(at: Vsock, options: &SocketOptions) -> Result<(Shared, BoundAddress), Problem> {
        let mut flags = SockFlag::SOCK_CLOEXEC;
        flags.set(SockFlag::SOCK_NONBLOCK, options.nonblocking());
        let socket = socket(AddressFamily::Vsock, SockType::Stream, flags, None).during(MAKE_VSOCK)?;
        let port = if at.port == 0 { VMADDR_PORT_ANY } else { at.port };
        match bind(socket.as_raw_fd(), &VsockAddr::new(at.cid, port)) {
            // The kernel has no table of them in /proc that would tell whose it is.
            Err(Errno::EADDRINUSE) => return Err(Problem::Busy(Vec::new())),
            other => other.during(BIND_VSOCK)?,
        }
        begin_to_listen(&socket, options)?;
        let bound: VsockAddr = getsockname(socket.as_raw_fd()).during("read its address")?;
        let address = BoundAddress::Vsock(Vsock { port: bound.port(), ..at });
        Ok((Shared { socket, accepts: true, foreign: false, nonblock: options.nonblocking(), at: None }, address))
    }

    /// Puts O_NONBLOCK, the backlog and listening itself back to what was asked. For when no copy uses the socket.
    pub(super) fn reset(&self, options: &SocketOptions) {
        // Best effort: there is no other socket to use instead.
        set_nonblocking(&self.socket, self.nonblock).ok();
        let shut = self.accepts && !listens(&self.socket);
        if let (true, Some(at)) = (shut, self.at) {
            // shutdown(2) takes a port the kernel chose away again; a socket that kept its port answers EINVAL.
            bind(self.socket.as_raw_fd(), &SockaddrStorage::from(at)).ok();
        }
        if shut || self.accepts && (!self.foreign || options.backlog.is_some()) {
            begin_to_listen(&self.socket, options).ok();
        }
    }
}

/// A Unix socket with its options, not yet bound.
pub(super) fn unix_socket(kind: UnixKind, options: &SocketOptions) -> Result<OwnedFd, Fault> {
    let mut flags = SockFlag::SOCK_CLOEXEC;
    flags.set(SockFlag::SOCK_NONBLOCK, options.nonblocking());
    let made = socket(AddressFamily::Unix, kind_of(kind), flags, None).during("make a socket")?;
    buffers(&made, options)?;
    Ok(made)
}

fn kind_of(kind: UnixKind) -> SockType {
    match kind {
        UnixKind::Stream => SockType::Stream,
        UnixKind::Datagram => SockType::Datagram,
        UnixKind::Seqpacket => SockType::SeqPacket,
    }
}

/// True unless a connect(2) shows that no live socket has this name.
pub(super) fn answers(kind: UnixKind, address: &UnixAddr) -> Result<bool, Fault> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let client = socket(AddressFamily::Unix, kind_of(kind), flags, None).during("make a socket")?;
    Ok(!matches!(connect(client.as_raw_fd(), address), Err(Errno::ECONNREFUSED | Errno::ENOENT)))
}
