//! Clients that nobody takes: who waits at a socket, and whether they are the same ones as before.

use super::bound::BoundAddress;
use super::connection::{Connection, Id, Phase};
use super::diag::Diag;
use super::drain::{DrainWatch, cookies, covers};
use super::listeners::Listeners;
use super::queue::anybody_waits;
use super::unix_table::{any_accepted, queue_of};
use crate::plan::UnixKind;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{MsgFlags, SockaddrStorage, UnixAddr, getsockname, recvmsg};
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// At most this many listeners of a generation are looked at.
const MOST: usize = 256;
/// Of a datagram, so many bytes and its sender tell it from another.
const TELLS_APART: usize = 512;

/// Who waits at one socket of one generation that was never seen to take anybody there.
#[derive(Debug, PartialEq)]
pub struct Untaken(Waiting);

#[derive(Debug, PartialEq)]
enum Waiting {
    /// TCP connections that no process has.
    Tcp(Vec<Id>),
    /// The numbers of the clients' Unix sockets, in the order of the queue; 0 for a client that has gone.
    Unix(Vec<u32>),
    /// The first datagram and its sender.
    Datagram(Vec<u8>, Option<SockaddrStorage>),
}

impl Untaken {
    /// True when all who waited before wait still, so that nobody can have been taken: queues are taken from the front.
    #[must_use]
    pub fn are_still(&self, before: &Untaken) -> bool {
        match (&before.0, &self.0) {
            (Waiting::Tcp(before), Waiting::Tcp(now)) => !before.is_empty() && before.iter().all(|id| now.contains(id)),
            (Waiting::Unix(before), Waiting::Unix(now)) => before.iter().zip(now).any(|(a, b)| *a != 0 && a == b),
            (before, now) => before == now,
        }
    }
}

impl Listeners {
    /// The listeners whose sockets a generation was handed, by their places in the list.
    pub fn handed(&self, generation: GenerationId) -> impl Iterator<Item = usize> {
        (0..self.list.len()).filter(move |at| self.handed_seat(*at, generation, true).is_some()).take(MOST)
    }

    /// The socket of one of these. `alone`: the generation is the only one there, so those of shared sockets count.
    #[must_use]
    pub fn handed_seat(&self, at: usize, generation: GenerationId, alone: bool) -> Option<BorrowedFd<'_>> {
        let listener = self.list.get(at).filter(|one| !one.is_captured() && self.has(generation, at))?;
        if alone { listener.seat(generation) } else { listener.own_seat(generation) }
    }

    /// Whether a generation has done anything to the sockets it was handed that shows: event loops make theirs non-blocking.
    #[must_use]
    pub fn touched(&self, generation: GenerationId) -> bool {
        let changed = |at: usize| {
            let seat = self.handed_seat(at, generation, false)?;
            let flags = fcntl(seat, FcntlArg::F_GETFL).ok().map(OFlag::from_bits_retain)?;
            Some(flags.contains(OFlag::O_NONBLOCK) != self.list[at].options.nonblocking())
        };
        self.handed(generation).any(|at| changed(at) == Some(true))
    }

    /// The name of a listener, for people.
    #[must_use]
    pub fn name_of(&self, at: usize) -> String {
        self.list.get(at).map(|listener| listener.bound.address.to_string()).unwrap_or_default()
    }

    /// Who waits at such a socket. None when nobody does, when somebody was taken there, and where that cannot be told.
    /// `others`: what older generations have does not count.
    ///
    /// # Errors
    /// The kernel did not tell this time, for want of descriptors or of memory (socket(2), netlink(7)): it may the next time.
    pub fn untaken<'a>(
        &self,
        at: usize,
        seat: BorrowedFd<'_>,
        others: impl Iterator<Item = &'a DrainWatch>,
    ) -> Result<Option<Untaken>, Errno> {
        if !anybody_waits(std::iter::once(seat)) {
            return Ok(None);
        }
        let waiting = match &self.list[at].bound.address {
            BoundAddress::Tcp(place) => tcp(*place, others),
            BoundAddress::Path { kind: UnixKind::Stream | UnixKind::Seqpacket, .. }
            | BoundAddress::Abstract { kind: UnixKind::Stream | UnixKind::Seqpacket, .. } => unix(seat),
            BoundAddress::Udp(_) | BoundAddress::Path { .. } | BoundAddress::Abstract { .. } => Ok(datagram(seat)),
            BoundAddress::Vsock(_) | BoundAddress::Other(_) => Ok(None),
        };
        match waiting {
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EAGAIN)) => Err(errno),
            told => Ok(told.ok().flatten().map(Untaken)),
        }
    }
}

fn tcp<'a>(place: SocketAddr, others: impl Iterator<Item = &'a DrainWatch>) -> Result<Option<Waiting>, Errno> {
    let found = Diag::open()?.connections(&[place.port()])?;
    let foreign = cookies(others);
    let mut waiting = Vec::new();
    let ours = |one: &&Connection| covers(place.ip(), one.id.server().ip()) && !foreign.contains(&one.id.cookie());
    for one in found.iter().filter(ours) {
        match one.phase(Duration::ZERO, Duration::MAX) {
            Phase::Queued => waiting.push(one.id),
            Phase::Busy | Phase::Quiet => return Ok(None),
            Phase::HalfOpen | Phase::Over => {}
        }
    }
    Ok(Some(Waiting::Tcp(waiting)))
}

fn unix(seat: BorrowedFd<'_>) -> Result<Option<Waiting>, Errno> {
    let diag = Diag::open()?;
    let Some(name) = name(seat) else { return Ok(None) };
    if any_accepted(&diag, &name)? {
        return Ok(None);
    }
    Ok(queue_of(&diag, &seat)?.map(Waiting::Unix))
}

/// The name of a Unix socket as the kernel's table has it.
fn name(seat: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let address: UnixAddr = getsockname(seat.as_raw_fd()).ok()?;
    let path = address.path().map(|path| path.as_os_str().as_encoded_bytes().to_vec());
    path.or_else(|| Some([&[0], address.as_abstract()?].concat()))
}

/// It is not taken: it stays where it is.
fn datagram(seat: BorrowedFd<'_>) -> Option<Waiting> {
    let mut text = vec![0; TELLS_APART];
    let (length, sender) = {
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(seat.as_raw_fd(), &mut parts, None, flags).ok()?;
        (message.bytes, message.address)
    };
    text.truncate(length);
    Some(Waiting::Datagram(text, sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn untaken(waiting: Option<Waiting>) -> Untaken {
        Untaken(waiting.unwrap())
    }

    #[test]
    fn tcp_clients_are_the_same_until_one_is_taken() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let look = || tcp(at, std::iter::empty()).unwrap();
        let _first = std::net::TcpStream::connect(at).unwrap();
        let before = untaken(look());
        let _second = std::net::TcpStream::connect(at).unwrap();
        assert!(untaken(look()).are_still(&before));
        let taken = server.accept().unwrap();
        assert_eq!(look(), None);
        drop(taken);
        assert!(!untaken(look()).are_still(&before));
    }

    #[test]
    fn unix_clients_are_the_same_until_one_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seat");
        let server = UnixListener::bind(&path).unwrap();
        let look = || unix(server.as_fd()).unwrap();
        let first = UnixStream::connect(&path).unwrap();
        let before = untaken(look());
        let _second = UnixStream::connect(&path).unwrap();
        assert!(untaken(look()).are_still(&before));
        drop(first);
        assert!(!untaken(look()).are_still(&before), "nobody of before is known to wait");
        drop(server.accept().unwrap());
        assert!(!untaken(look()).are_still(&before));
    }

    #[test]
    fn a_datagram_is_looked_at_and_left() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let look = || datagram(server.as_fd());
        assert_eq!(look(), None);
        for text in ["one", "two"] {
            client.send_to(text.as_bytes(), server.local_addr().unwrap()).unwrap();
        }
        let before = untaken(look());
        assert!(untaken(look()).are_still(&before));
        server.recv(&mut [0; 3]).unwrap();
        assert!(!untaken(look()).are_still(&before));
    }
}
