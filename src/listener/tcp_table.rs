//! The kernel's table of TCP connections (inet_diag, sock_diag(7)): all at some ports, or one again.

use super::connection::{Connection, Id};
use super::diag::{DUMP, Diag, ESTABLISHED, IPPROTO_TCP, SOCK_DIAG_BY_FAMILY, SYN_RECV, message};
use nix::errno::Errno;
use std::collections::HashSet;

/// The older question (linux/inet_diag.h), which is about both families at once.
const TCPDIAG_GETSOCK: u16 = 18;
const FIN_WAIT1: u8 = 4;
pub(super) const CLOSE_WAIT: u8 = 8;
pub(super) const FIN_WAIT2: u8 = 5;
/// A request can be in the middle in these states only.
const STATES: u32 = 1 << ESTABLISHED | 1 << SYN_RECV | 1 << FIN_WAIT1 | 1 << CLOSE_WAIT;
/// The bit that asks for INET_DIAG_INFO, which is `struct tcp_info`.
const WITH_INFO: u8 = 1 << 1;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const BC_S_GE: u8 = 2;
const BC_S_LE: u8 = 3;

impl Diag {
    /// Every connection at these local ports, half-open ones included. Costs a walk through the kernel's table, some 10 ms
    /// where that is large, and about a microsecond a connection.
    pub(super) fn connections(&self, ports: &[u16]) -> Result<Vec<Connection>, Errno> {
        let (Some(least), Some(most)) = (ports.iter().min(), ports.iter().max()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let among: HashSet<u16> = ports.iter().copied().collect();
        self.dump(&dump(*least, *most), |body| {
            found.extend(Connection::read(body).filter(|one| among.contains(&one.id.server().port())));
        })?;
        Ok(found)
    }

    /// One connection again; None when it is no more. Takes some microseconds.
    pub(super) fn connection(&self, id: &Id) -> Result<Option<Connection>, Errno> {
        self.one(&question(id), Connection::read)
    }
}

/// `struct inet_diag_req` with the kernel's filter for a range of local ports.
fn dump(least: u16, most: u16) -> Vec<u8> {
    let mut body = vec![0, 0, 0, WITH_INFO];
    body.extend([0u8; 48]);
    body.extend(STATES.to_ne_bytes());
    body.extend([0; 4]);
    body.extend(20u16.to_ne_bytes());
    body.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
    // struct inet_diag_bc_op: the code, how far to go on "yes" and on "no"; a second one holds the port. Beyond the end
    // by four is "no".
    for (code, port, left) in [(BC_S_GE, least, 16u16), (BC_S_LE, most, 8)] {
        body.extend([code, 8]);
        body.extend((left + 4).to_ne_bytes());
        body.extend([0, 0]);
        body.extend(port.to_ne_bytes());
    }
    message(TCPDIAG_GETSOCK, DUMP, &body)
}

/// `struct inet_diag_req_v2` for exactly this socket, told from a later one with the same ends by its cookie.
fn question(id: &Id) -> Vec<u8> {
    let mut body = vec![id.family, IPPROTO_TCP, WITH_INFO, 0];
    body.extend(u32::MAX.to_ne_bytes());
    body.extend(id.bytes);
    message(SOCK_DIAG_BY_FAMILY, 0, &body)
}
