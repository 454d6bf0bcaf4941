//! The options of a listener, put on a socket.

use super::error::{CONGESTION, During, Fault, MARK, TRANSPARENT};
use crate::plan::SocketOptions;
use crate::sys::socket::{listen, set_option};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Asks for the system's maximum (net.core.somaxconn, listen(2)).
const LONGEST: i32 = -1;

/// The options any socket can have: buffer sizes, which a TCP socket must have before it listens (tcp(7)).
pub(super) fn buffers(socket: &OwnedFd, options: &SocketOptions) -> Result<(), Fault> {
    if let Some(size) = options.rcvbuf {
        setsockopt(socket, sockopt::RcvBuf, &size).during("set rcvbuf")?;
    }
    if let Some(size) = options.sndbuf {
        setsockopt(socket, sockopt::SndBuf, &size).during("set sndbuf")?;
    }
    Ok(())
}

/// The options an IP socket must have before it is bound.
pub(super) fn before_bind(socket: &OwnedFd, at: SocketAddr, options: &SocketOptions) -> Result<(), Fault> {
    buffers(socket, options)?;
    let (level, freebind, transparent) = match at {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_FREEBIND, libc::IP_TRANSPARENT),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, libc::IPV6_TRANSPARENT),
    };
    if options.freebind {
        set_option(socket.as_fd(), level, freebind, 1).during("set freebind")?;
    }
    if options.transparent {
        set_option(socket.as_fd(), level, transparent, 1).during(TRANSPARENT)?;
    }
    if let Some(mark) = &options.mark {
        setsockopt(socket, sockopt::Mark, mark).during(MARK)?;
    }
    if let Some(device) = &options.device {
        setsockopt(socket, sockopt::BindToDevice, &device.into()).during("set device")?;
    }
    if let (Some(only), SocketAddr::V6(_)) = (options.v6only, at) {
        setsockopt(socket, sockopt::Ipv6V6Only, &only).during("set v6only")?;
    }
    Ok(())
}

/// The options of a TCP listener that its connections inherit, or that are about them.
pub(super) fn for_connections(socket: &OwnedFd, options: &SocketOptions) -> Result<(), Fault> {
    if options.nodelay {
        setsockopt(socket, sockopt::TcpNoDelay, &true).during("set nodelay")?;
    }
    if let Some((idle, interval, count)) = options.keepalive {
        keepalive(socket, idle, interval, count).during("set keepalive")?;
    }
    if let Some(seconds) = options.defer_accept {
        set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds).during("set defer-accept")?;
    }
    if let Some(length) = options.fastopen {
        set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN, length).during("set fastopen")?;
    }
    if let Some(name) = &options.congestion {
        setsockopt(socket, sockopt::TcpCongestion, &name.into()).during(CONGESTION)?;
    }
    Ok(())
}

fn keepalive(socket: &OwnedFd, idle: Duration, interval: Duration, count: u32) -> Result<(), Errno> {
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    setsockopt(socket, sockopt::KeepAlive, &true)?;
    setsockopt(socket, sockopt::TcpKeepIdle, &seconds(idle))?;
    setsockopt(socket, sockopt::TcpKeepInterval, &seconds(interval))?;
    setsockopt(socket, sockopt::TcpKeepCount, &count)
}

/// Makes it listen, with the backlog that was asked for. On a socket that listens already this puts the backlog back; on
/// a TCP socket that a copy shut down it makes it listen again.
pub(super) fn begin_to_listen(socket: &impl AsFd, options: &SocketOptions) -> Result<(), Fault> {
    listen(socket.as_fd(), options.backlog.unwrap_or(LONGEST)).during("listen on it")
}
