//! What endless finds when it starts, collected by the caller.

use std::ffi::OsString;

/// A socket a service manager passed in (sd_listen_fds(3)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InheritedSocket {
    /// Its descriptor.
    pub fd: i32,
    /// Its name in LISTEN_FDNAMES.
    pub name: Option<String>,
}

/// What a plan depends on beside the command line.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The sockets a service manager passed in, in order.
    pub inherited: Vec<InheritedSocket>,
    /// Whether this machine has IPv6: `:80` is `[::]:80` then. Asked only where it matters.
    pub ipv6: fn() -> bool,
    /// endless' own environment, from which the target's is built.
    pub environment: Vec<(OsString, OsString)>,
}
