//! The kernel's list of the sockets servers have (inet_diag, sock_diag(7)): TCP ones that listen, and all for UDP.
//!
//! /proc/net/tcp has them, too, but with every connection: it takes a second where 100,000 have ended lately.

use super::connection::Id;
use super::diag::{DUMP, Diag, INODE, IPPROTO_TCP, LISTEN, SOCK_DIAG_BY_FAMILY, message, word};
use super::inet::Transport;
use nix::errno::Errno;

const IPPROTO_UDP: u8 = 17;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    /// Where it is bound.
    pub(super) id: Id,
    /// The socket's number, as /proc/PID/fd shows it.
    pub(super) inode: u64,
}

/// All of an address family. Costs a walk through the table of sockets that listen.
pub(super) fn each(diag: &Diag, family: u8, transport: Transport, mut found: impl FnMut(Server)) -> Result<(), Errno> {
    let (protocol, states) = match transport {
        Transport::Tcp => (IPPROTO_TCP, 1 << LISTEN),
        Transport::Udp => (IPPROTO_UDP, u32::MAX),
    };
    diag.dump(&question(family, protocol, states), |body| found_in(family, body).into_iter().for_each(&mut found))
}

/// `struct inet_diag_req_v2` for all sockets in these states.
fn question(family: u8, protocol: u8, states: u32) -> Vec<u8> {
    let mut body = vec![family, protocol, 0, 0];
    body.extend(states.to_ne_bytes());
    body.extend([0; 48]);
    message(SOCK_DIAG_BY_FAMILY, DUMP, &body)
}

/// Reads `struct inet_diag_msg`: struct inet_diag_sockid stands behind four bytes.
fn found_in(family: u8, body: &[u8]) -> Option<Server> {
    let bytes = body.get(4..52)?.try_into().ok()?;
    let inode = word(body, INODE)?;
    Some(Server { id: Id { family, bytes }, inode: inode.into() })
}
