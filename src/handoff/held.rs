//! A listener as it is really bound.

use crate::listener::{Bound, BoundAddress};
use crate::plan::{UnixKind, UnixName};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

/// A listener endless holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its name, unique among the listeners.
    pub name: Rc<str>,
    /// The address as typed.
    pub typed: Rc<str>,
    /// The address as bound.
    pub address: HeldAddress,
}

/// What kind of socket a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldKind {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A Unix stream socket.
    UnixStream,
    /// A Unix datagram socket.
    UnixDatagram,
    /// A Unix seqpacket socket.
    UnixSeqpacket,
    /// An inherited socket of another family.
    Other,
}

/// An address as bound: with the port the kernel chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAddress {
    /// The kind of socket.
    pub kind: HeldKind,
    /// The IP address, without brackets; empty for a Unix socket.
    pub host: String,
    /// The port; None for a Unix socket.
    pub port: Option<u16>,
    /// The path of a Unix socket; `@NAME` for an abstract one.
    pub path: Option<OsString>,
    /// The whole address: `127.0.0.1:4242`, `[::1]:80`, `/run/app.sock`, `@app`.
    pub addr: OsString,
}

impl HeldAddress {
    /// A TCP or UDP socket.
    #[must_use]
    pub fn inet(kind: HeldKind, at: SocketAddr) -> HeldAddress {
        let addr = at.to_string();
        let host = match at {
            SocketAddr::V4(_) => addr.split(':').next().unwrap_or_default().to_owned(),
            SocketAddr::V6(v6) => v6.ip().to_string(),
        };
        HeldAddress { kind, host, port: Some(at.port()), path: None, addr: addr.into() }
    }

    /// A Unix socket.
    #[must_use]
    pub fn unix(kind: UnixKind, name: &UnixName) -> HeldAddress {
        let kind = match kind {
            UnixKind::Stream => HeldKind::UnixStream,
            UnixKind::Datagram => HeldKind::UnixDatagram,
            UnixKind::Seqpacket => HeldKind::UnixSeqpacket,
        };
        let addr = match name {
            UnixName::Path(path) => path.clone().into_os_string(),
            UnixName::Abstract(name) => OsString::from_vec([b"@", name.as_slice()].concat()),
        };
        HeldAddress { kind, host: String::new(), port: None, path: Some(addr.clone()), addr }
    }

    /// A socket of which only a description is known.
    #[must_use]
    pub fn other(addr: &OsStr) -> HeldAddress {
        HeldAddress { kind: HeldKind::Other, host: String::new(), port: None, path: None, addr: addr.to_owned() }
    }
}

impl From<&Bound> for Held {
    fn from(bound: &Bound) -> Held {
        let address = match &bound.address {
            BoundAddress::Tcp(at) => HeldAddress::inet(HeldKind::Tcp, *at),
            BoundAddress::Udp(at) => HeldAddress::inet(HeldKind::Udp, *at),
            BoundAddress::Path { kind, path } => HeldAddress::unix(*kind, &UnixName::Path(path.clone())),
            BoundAddress::Abstract { kind, name } => HeldAddress::unix(*kind, &UnixName::Abstract(name.clone())),
            BoundAddress::Other(what) => HeldAddress::other(OsStr::new(what)),
        };
        Held { name: bound.name.clone(), typed: bound.typed.clone(), address }
    }
}
