//! Asking the kernel about single TCP sockets (sock_diag(7), inet_diag): bytes out, bytes in.
//!
//! Needs no privilege. Where netlink is not there (some sandboxes) the callers have another way.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// The two ends of a connection, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) server: SocketAddr,
    pub(super) client: SocketAddr,
}

/// A netlink socket for questions about TCP sockets.
#[derive(Debug)]
pub(super) struct Diag {
    socket: OwnedFd,
}

/// Over an upgrade only that there was one is kept.
pub(super) mod opened {
    use super::Diag;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::listener) fn serialize<S: Serializer>(diag: &Option<Diag>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bool(diag.is_some())
    }

    pub(in crate::listener) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Diag>, D::Error> {
        Ok(if bool::deserialize(from)? { Diag::open().ok() } else { None })
    }
}

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const REQUEST: u16 = 1;
pub(super) const DUMP: u16 = 0x300;
pub(super) const IPPROTO_TCP: u8 = 6;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
pub(super) const ESTABLISHED: u8 = 1;
pub(super) const SYN_RECV: u8 = 3;
pub(super) const LISTEN: u8 = 10;
pub(super) const NEW_SYN_RECV: u8 = 12;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct inet_diag_msg`, and where its parts lie.
pub(super) const MESSAGE: usize = 72;
pub(super) const INODE: usize = 68;
/// Enough for one packet of a dump: the kernel fills at most 32 KiB.
const PACKET: usize = 32 * 1024;

impl Diag {
    /// Opens it.
    pub(super) fn open() -> Result<Diag, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)?;
        Ok(Diag { socket })
    }

    fn ask(&self, question: &[u8]) -> Result<(), Errno> {
        send(self.socket.as_raw_fd(), question, MsgFlags::MSG_DONTWAIT).map(drop)
    }

    /// The kernel has answered before send(2) returns; one that has not never will.
    fn hear(&self, packet: &mut [u8]) -> Result<usize, Errno> {
        recv(self.socket.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT)
    }

    /// Whether a process has accepted the connection and has it still.
    pub(super) fn accepted(&self, ends: Ends) -> Result<bool, Errno> {
        Ok(self.one(&lookup(ends), is_accepted)?.unwrap_or(false))
    }

    /// The bodies of all messages of a dump (NLM_F_DUMP, netlink(7)).
    pub(super) fn dump(&self, question: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
        self.ask(question)?;
        let mut packet = vec![0u8; PACKET];
        loop {
            let length = self.hear(&mut packet)?;
            for (kind, body) in messages(&packet[..length]) {
                match kind {
                    NLMSG_DONE => return Ok(()),
                    NLMSG_ERROR => return Err(error_of(body)),
                    _ => each(body),
                }
            }
        }
    }

    /// The one answer to a question about one socket; None when there is no such socket.
    pub(super) fn one<T>(&self, question: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, Errno> {
        self.ask(question)?;
        let mut packet = [0u8; 1024];
        let length = self.hear(&mut packet)?;
        let (kind, body) = messages(&packet[..length]).next().ok_or(Errno::EBADMSG)?;
        match kind {
            NLMSG_ERROR => match error_of(body) {
                // Its ends are those of another socket by now.
                Errno::ENOENT | Errno::ESTALE => Ok(None),
                errno => Err(errno),
            },
            _ => read(body).map(Some).ok_or(Errno::EBADMSG),
        }
    }
}

/// A message with its header in front.
pub(super) fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// `struct inet_diag_req_v2` for exactly one socket.
fn lookup(ends: Ends) -> Vec<u8> {
    let family = if ends.server.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut body = vec![family, IPPROTO_TCP, 0, 0];
    body.extend(u32::MAX.to_ne_bytes());
    body.extend(ends.server.port().to_be_bytes());
    body.extend(ends.client.port().to_be_bytes());
    for ip in [ends.server.ip(), ends.client.ip()] {
        match ip {
            IpAddr::V4(ip) => {
                body.extend(ip.octets());
                body.extend([0; 12]);
            }
            IpAddr::V6(ip) => body.extend(ip.octets()),
        }
    }
    // The interface, which a link-local address has; no cookie.
    let interface = if let SocketAddr::V6(server) = ends.server { server.scope_id() } else { 0 };
    body.extend(interface.to_ne_bytes());
    body.extend([0xff; 8]);
    message(SOCK_DIAG_BY_FAMILY, 0, &body)
}

/// The messages of a packet: their kinds and bodies.
fn messages(packet: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn error_of(body: &[u8]) -> Errno {
    let code = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    code.map_or(Errno::EBADMSG, |code| Errno::from_raw(code.saturating_neg()))
}

/// The number at this place of a message.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn is_accepted(body: &[u8]) -> Option<bool> {
    let state = *body.get(1)?;
    let inode = word(body, INODE)?;
    // The kernel finds the listener where nothing has these two ends. Our end neither sends nor closes before it is accepted,
    // so only a process can have moved it on from half open and queued.
    Some(!matches!((state, inode), (LISTEN | SYN_RECV | NEW_SYN_RECV, _) | (ESTABLISHED, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_is_queued_then_accepted_then_gone() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let diag = Diag::open().unwrap();
            let listener = TcpListener::bind(at).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let ends = Ends { server: client.peer_addr().unwrap(), client: client.local_addr().unwrap() };
            assert_eq!(diag.accepted(ends), Ok(false));
            let server = listener.accept().unwrap();
            assert_eq!(diag.accepted(ends), Ok(true));
            drop(client);
            drop(server);
            assert_eq!(diag.accepted(ends), Ok(false));
        }
    }

    #[test]
    fn an_ipv4_client_of_a_socket_for_both_families_is_found() {
        let diag = Diag::open().unwrap();
        let listener = TcpListener::bind("[::]:0").unwrap();
        let client = TcpStream::connect(("127.0.0.1", listener.local_addr().unwrap().port())).unwrap();
        let ends = Ends { server: client.peer_addr().unwrap(), client: client.local_addr().unwrap() };
        assert_eq!(diag.accepted(ends), Ok(false));
        let _server = listener.accept().unwrap();
        assert_eq!(diag.accepted(ends), Ok(true));
    }

    #[test]
    fn cut_short_messages_are_no_answers() {
        assert_eq!(is_accepted(&[0; 20]), None);
        assert_eq!(messages(&[200, 0, 0, 0, 3, 0]).count(), 0);
        assert_eq!(messages(&[]).count(), 0);
        assert_eq!(error_of(&[]), Errno::EBADMSG);
    }
}
