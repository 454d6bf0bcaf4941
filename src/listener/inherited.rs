//! Sockets endless was started with: passed in by a service manager, or simply open.

use super::bound::BoundAddress;
use super::error::{During, Fault, Problem};
use super::inet::local_address;
use super::options::begin_to_listen;
use super::shared::Shared;
use crate::plan::{InheritedRef, SocketOptions, UnixKind, Vsock};
use crate::sys::socket::{close_on_exec, duplicate, listens, option, set_nonblocking};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::socket::{SockaddrStorage, getsockname};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// A socket passed in by a service manager (sd_listen_fds(3)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// Its number.
    pub number: RawFd,
    /// Its name in LISTEN_FDNAMES; None when there is none, or when it is empty or `unknown`, systemd's word for that.
    pub name: Option<String>,
}

/// The sockets passed in by a service manager, in order, close-on-exec from now on; none when LISTEN_PID is not our own.
/// To be called once, at the start: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are of no use afterwards.
#[must_use]
pub fn inherited() -> Vec<Inherited> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    let mut passed = listenfd::ListenFd::from_env();
    if !ours {
        return Vec::new();
    }
    let mut names = names.split(':');
    let mut list = Vec::new();
    for index in 0..passed.len() {
        let name = names.next().filter(|name| !name.is_empty() && *name != "unknown").map(str::to_owned);
        // Behind one that is not open there is none: LISTEN_FDS is wrong, and what we open ourselves comes there.
        let Some(number) = passed.take_raw_fd(index).ok().flatten().filter(|number| close_on_exec(*number).is_ok())
        else {
            break;
        };
        list.push(Inherited { number, name });
    }
    list
}

/// Takes over a socket endless was started with. Its options stay as they are, except those typed.
pub(super) fn adopt(
    which: &InheritedRef,
    passed: &[Inherited],
    options: &SocketOptions,
) -> Result<(Shared, BoundAddress), Problem> {
    let number = match which {
        InheritedRef::Number(number) => *number,
        InheritedRef::Name(name) => {
            let found = passed.iter().find(|socket| socket.name.as_ref() == Some(name));
            found.ok_or_else(|| Problem::NotPassed(name.clone()))?.number
        }
    };
    let socket = match duplicate(number) {
        Err(Errno::EBADF) => return Err(Problem::NotOpen(number)),
        other => other.during("take it over")?,
    };
    if number > 2 {
        close_on_exec(number).during("take it over")?;
    }
    let kind = option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE).map_err(|_| Problem::NoSocket(number))?;
    let accepts = kind != libc::SOCK_DGRAM;
    if options.backlog.is_some() && accepts {
        begin_to_listen(&socket, options)?;
    }
    if accepts && !listens(&socket) {
        return Err(Problem::NotListening(number));
    }
    let nonblock = asked_nonblock(&socket, options)?;
    let address = address_of(&socket, kind, number);
    let at = address.inet();
    Ok((Shared { socket, accepts, foreign: true, nonblock, at }, address))
}

/// O_NONBLOCK as it is to be: as typed, else as it was passed in.
fn asked_nonblock(socket: &OwnedFd, options: &SocketOptions) -> Result<bool, Fault> {
    if let Some(on) = options.nonblock {
        set_nonblocking(socket, on).during("set nonblock")?;
        return Ok(on);
    }
    let flags = fcntl(socket, FcntlArg::F_GETFL).during("read its flags")?;
    Ok(OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK))
}

fn address_of(socket: &OwnedFd, kind: i32, number: RawFd) -> BoundAddress {
    if let Some(at) = local_address(socket) {
        return if kind == libc::SOCK_DGRAM { BoundAddress::Udp(at) } else { BoundAddress::Tcp(at) };
    }
    let unix = match kind {
        libc::SOCK_DGRAM => UnixKind::Datagram,
        libc::SOCK_SEQPACKET => UnixKind::Seqpacket,
        _ => UnixKind::Stream,
    };
    let name = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok();
    if let Some(at) = name.as_ref().and_then(|name| name.as_vsock_addr()) {
        return BoundAddress::Vsock(Vsock { cid: at.cid(), port: at.port() });
    }
    let name = name.as_ref().and_then(|name| name.as_unix_addr());
    if let Some(path) = name.and_then(|name| name.path()) {
        return BoundAddress::Path { kind: unix, path: path.to_owned() };
    }
    match name.and_then(|name| name.as_abstract()) {
        Some(name) => BoundAddress::Abstract { kind: unix, name: name.to_owned() },
        None => BoundAddress::Other(format!("fd:{number}")),
    }
}
