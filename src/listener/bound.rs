//! What a listener is once it is bound: what the hand-off and the messages go by.

use crate::plan::{ListenerSpec, UnixKind, Vsock};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::rc::Rc;

/// A listener that is open, and where it really listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its name in the plan.
    pub name: Rc<str>,
    /// The address as typed.
    pub typed: Rc<str>,
    /// The whole flag as typed.
    pub flag: Rc<str>,
    /// The address really bound.
    pub address: BoundAddress,
}

impl Bound {
    /// The address as a program that opens it by itself would write it: as typed, without the word for its kind. Of a socket
    /// that was passed in it is the one it is bound to.
    #[must_use]
    pub fn written(&self) -> Cow<'_, str> {
        let kinds = ["tcp:", "udp:", "unix:", "unix-dgram:", "unix-seqpacket:"];
        match &*self.typed {
            typed if typed.starts_with("fd:") => self.address.plain().to_string_lossy().into_owned().into(),
            typed => kinds.iter().find_map(|kind| typed.strip_prefix(kind)).unwrap_or(typed).into(),
        }
    }

    /// The same under the name of another plan.
    pub(super) fn renamed(&self, spec: &ListenerSpec) -> Bound {
        let ListenerSpec { name, typed, flag, .. } = spec.clone();
        Bound { name, typed, flag, address: self.address.clone() }
    }
}

/// The address a socket is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoundAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// UDP.
    Udp(SocketAddr),
    /// A Unix socket at a path.
    Path {
        /// Stream, datagram or seqpacket.
        kind: UnixKind,
        /// The public path.
        #[serde(with = "crate::words::path")]
        path: PathBuf,
    },
    /// A Unix socket with an abstract name.
    Abstract {
        /// Stream, datagram or seqpacket.
        kind: UnixKind,
        /// The name, without its leading NUL.
        name: Vec<u8>,
    },
    /// A VM socket.
    Vsock(Vsock),
    /// An inherited socket of another kind; this says which.
    Other(String),
}

impl BoundAddress {
    /// The address and port, for TCP and UDP.
    #[must_use]
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            BoundAddress::Tcp(at) | BoundAddress::Udp(at) => Some(*at),
            _ => None,
        }
    }

    /// As programs are told: `127.0.0.1:4242`, `[::1]:80`, `/run/app.sock`, `@app`, or what else is known of it.
    #[must_use]
    pub fn plain(&self) -> OsString {
        match self {
            BoundAddress::Tcp(at) | BoundAddress::Udp(at) => at.to_string().into(),
            BoundAddress::Path { path, .. } => path.clone().into_os_string(),
            BoundAddress::Abstract { name, .. } => OsString::from_vec([b"@", name.as_slice()].concat()),
            BoundAddress::Vsock(at) => at.to_string().into(),
            BoundAddress::Other(what) => what.into(),
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoundAddress::Tcp(at) => write!(f, "{at}"),
            BoundAddress::Udp(at) => write!(f, "udp:{at}"),
            BoundAddress::Path { kind, path } => write!(f, "{}:{}", prefix(*kind), path.display()),
            BoundAddress::Abstract { kind, name } => {
                write!(f, "{}:@{}", prefix(*kind), String::from_utf8_lossy(name))
            }
            BoundAddress::Vsock(at) => write!(f, "{at}"),
            BoundAddress::Other(what) => write!(f, "{what}"),
        }
    }
}

fn prefix(kind: UnixKind) -> &'static str {
    match kind {
        UnixKind::Stream => "unix",
        UnixKind::Datagram => "unix-dgram",
        UnixKind::Seqpacket => "unix-seqpacket",
    }
}
