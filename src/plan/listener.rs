//! What a listener is: its address, its options, its name. The grammar of `-l` lives here.

pub(super) mod address;
pub(super) mod list;
mod options;
#[cfg(test)]
mod tests;
pub(super) mod text;

pub use address::Resolver;

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

/// One `-l`, or one socket a service manager passed in: one socket, one descriptor in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSpec {
    /// Its name: as given by `NAME=`, else the address as typed with `:` turned into `-`. Unique in the plan.
    pub name: Rc<str>,
    /// The address as typed, without the name and the options: `localhost:4242`.
    pub typed: Rc<str>,
    /// The whole flag as typed, for messages: `web=localhost:4242,backlog=9`.
    pub flag: Rc<str>,
    /// The address, resolved.
    pub address: Address,
    /// Everything after the first comma.
    pub options: Rc<SocketOptions>,
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// TCP. `any` is true for `:80`, `*:80` and `80`: `[::]` for both families, IPv4 only where there is no IPv6.
    Tcp {
        /// The resolved address; port 0 asks the kernel.
        at: SocketAddr,
        /// True when no host was given.
        any: bool,
    },
    /// UDP, with the same forms.
    Udp {
        /// The resolved address; port 0 asks the kernel.
        at: SocketAddr,
        /// True when no host was given.
        any: bool,
    },
    /// A Unix socket.
    Unix {
        /// Stream, datagram or seqpacket.
        kind: UnixKind,
        /// A path, or an abstract name.
        name: UnixName,
    },
    /// A stream socket between virtual machines and their host (vsock(7)).
    Vsock(Vsock),
    /// An open descriptor endless was started with.
    Inherited(InheritedRef),
}

/// An address of a VM socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vsock {
    /// Which machine: VMADDR_CID_ANY is this one, by whatever number it is reached.
    pub cid: u32,
    /// The port; 0 asks the kernel.
    pub port: u32,
}

/// The type of a Unix socket (unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnixKind {
    /// SOCK_STREAM.
    Stream,
    /// SOCK_DGRAM.
    Datagram,
    /// SOCK_SEQPACKET.
    Seqpacket,
}

/// The name of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UnixName {
    /// A path in the file system.
    Path(PathBuf),
    /// An abstract name, without its leading NUL.
    Abstract(Vec<u8>),
}

/// Which inherited descriptor is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InheritedRef {
    /// `fd:3`: the descriptor's number.
    Number(i32),
    /// `fd:NAME`: its name in LISTEN_FDNAMES.
    Name(String),
}

/// The options after the address. `None` means: not given, the default holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SocketOptions {
    /// `backlog=N`: length of the accept queue; default: the system's maximum.
    pub backlog: Option<i32>,
    /// `mode=0660`, Unix paths.
    pub mode: Option<u32>,
    /// `user=`, Unix paths: resolved to a uid.
    pub user: Option<u32>,
    /// `group=`, Unix paths: resolved to a gid.
    pub group: Option<u32>,
    /// `v6only=yes|no`.
    pub v6only: Option<bool>,
    /// `freebind`: an address that is not local yet (IP_FREEBIND, ip(7)).
    pub freebind: bool,
    /// `transparent`: connections and datagrams to addresses of others (IP_TRANSPARENT, ip(7)).
    #[serde(default)]
    pub transparent: bool,
    /// `device=eth0` (SO_BINDTODEVICE, socket(7)).
    pub device: Option<String>,
    /// `mark=N` (SO_MARK, socket(7)).
    #[serde(default)]
    pub mark: Option<u32>,
    /// `fastopen=N` (TCP_FASTOPEN, tcp(7)).
    pub fastopen: Option<i32>,
    /// `defer-accept=SECS` (TCP_DEFER_ACCEPT, tcp(7)).
    pub defer_accept: Option<i32>,
    /// `keepalive=IDLE/INTERVAL/COUNT`, in seconds, seconds and probes (tcp(7)).
    pub keepalive: Option<(Duration, Duration, u32)>,
    /// `nodelay` (TCP_NODELAY, tcp(7)).
    pub nodelay: bool,
    /// `rcvbuf=SIZE` in bytes.
    pub rcvbuf: Option<usize>,
    /// `sndbuf=SIZE` in bytes.
    pub sndbuf: Option<usize>,
    /// `congestion=bbr` (TCP_CONGESTION, tcp(7)).
    #[serde(default)]
    pub congestion: Option<String>,
    /// `nonblock=yes|no`: O_NONBLOCK on the descriptor the target gets; default no, as systemd.
    pub nonblock: Option<bool>,
    /// `share=yes`: one socket for all generations.
    pub share: bool,
    /// `fd=N`: its number in the target.
    pub fd: Option<i32>,
}

impl SocketOptions {
    /// O_NONBLOCK as a socket that endless makes has it.
    #[must_use]
    pub fn nonblocking(&self) -> bool {
        self.nonblock == Some(true)
    }
}
