//! The accept probe: does a generation accept connections, before any client depends on it?
//!
//! endless connects to its own listeners. Steering sends these connections, known by their source address and port, to
//! the candidate's seats while everybody else goes to the active generation. The kernel then tells when the server's end
//! belongs to a process, which is to say: it was accepted. Nothing is sent.

use super::client::{ProbeStream, Shows, connect_tcp, connect_unix, tcp_client};
use super::diag::{Diag, Ends};
use super::inet::Transport;
use super::listeners::Listeners;
use super::port::{Listener, Port};
use super::queue::anybody_waits;
use super::unix_table::is_accepted;
use crate::plan::UnixKind;
use crate::sys::socket::{accept_queue, interface, option, set_option};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::libc;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// At most this many listeners are probed; of more, some all over the list.
const MOST: usize = 256;

/// How far a probe has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeState {
    /// Nothing was accepted yet.
    Waiting,
    /// At least one connection was accepted.
    Some,
    /// Every connection was accepted.
    All,
    /// No listener can be probed: they are shared, or take datagrams, or cannot be reached from this machine.
    Impossible,
}

/// One probe of one generation: a connection to each of its stream seats. Hand it back to [`Probe::end`].
#[derive(Debug)]
pub struct Probe {
    generation: GenerationId,
    /// It is for a question: the connection stays open when it was accepted.
    asks: bool,
    connections: Vec<Connection>,
    diag: Option<Diag>,
}

#[derive(Debug)]
struct Connection {
    /// Which listener.
    listener: usize,
    /// None while it cannot be made.
    stream: Option<ProbeStream>,
    /// Its ends, for TCP.
    ends: Option<Ends>,
    accepted: bool,
}

impl Listeners {
    /// Begins to probe a generation: connects to its own seats at the TCP and Unix stream listeners, without waiting.
    /// One generation at a time. Each connection is closed as soon as it was accepted: a server that takes one client
    /// after the other comes to the next listener then.
    pub fn begin_probe(&mut self, generation: GenerationId) -> Probe {
        let able: Vec<usize> = (0..self.list.len()).filter(|at| can_be_probed(&self.list[*at], generation)).collect();
        let stride = able.len().div_ceil(MOST).max(1);
        self.connect_to(able.into_iter().step_by(stride), generation, false)
    }

    /// Connects to the first of these listeners alone, to ask something there.
    pub fn begin_question(&mut self, generation: GenerationId) -> Probe {
        let first = (0..self.list.len()).find(|at| can_be_probed(&self.list[*at], generation));
        self.connect_to(first.into_iter(), generation, true)
    }

    fn connect_to(&mut self, places: impl Iterator<Item = usize>, generation: GenerationId, asks: bool) -> Probe {
        let connections = places.map(|listener| Connection { listener, stream: None, ends: None, accepted: false });
        let mut probe = Probe { generation, asks, connections: connections.collect(), diag: Diag::open().ok() };
        probe.connect(self);
        probe
    }
}

/// A stream listener with a seat of the generation's own. One that is bound to a device is not reached over loopback.
fn can_be_probed(listener: &Listener, generation: GenerationId) -> bool {
    let streams = match &listener.port {
        Port::Shared(_) | Port::Name(_) | Port::Closed => false,
        Port::Steered(steered) => steered.place().transport == Transport::Tcp && listener.options.device.is_none(),
        Port::Captured(captured) => {
            let reached = captured.sockets(generation).all(|socket| interface(&socket) == 0);
            captured.place().transport == Transport::Tcp && captured.has(generation) && reached
        }
        Port::Path(path) => path.kind() == UnixKind::Stream && path.private_name(generation).is_some(),
    };
    streams && listener.own_seat(generation).is_some()
}

impl Probe {
    /// How far it has come. Asks the kernel about every connection that was not yet accepted, and makes those again that
    /// were refused; cheap enough to be called every 0.3 ms.
    pub fn check(&mut self, listeners: &mut Listeners) -> ProbeState {
        self.connect(listeners);
        for at in 0..self.connections.len() {
            if !self.connections[at].accepted {
                self.look(at, listeners);
            }
        }
        let accepted = self.connections.iter().filter(|connection| connection.accepted).count();
        match (accepted, self.connections.len()) {
            (_, 0) => ProbeState::Impossible,
            (0, _) => ProbeState::Waiting,
            (some, all) if some == all => ProbeState::All,
            _ => ProbeState::Some,
        }
    }

    /// The open connections, each with the index of its listener; for a question in the protocol the target speaks.
    /// One may still be connecting: a write then answers `EAGAIN` or `ENOTCONN`.
    pub fn streams(&mut self) -> impl Iterator<Item = (usize, &mut ProbeStream)> {
        self.connections.iter_mut().filter_map(|connection| Some((connection.listener, connection.stream.as_mut()?)))
    }

    /// Closes one listener's connection and makes a fresh one, for a question that is to be asked again.
    pub fn again(&mut self, listener: usize, listeners: &mut Listeners) {
        for connection in self.connections.iter_mut().filter(|connection| connection.listener == listener) {
            *connection = Connection { listener, stream: None, ends: None, accepted: false };
        }
        self.connect(listeners);
    }

    /// Closes endless' ends and steers everybody to the active generation again.
    pub fn end(self, listeners: &mut Listeners) {
        for connection in &self.connections {
            match listeners.list.get_mut(connection.listener).map(|listener| &mut listener.port) {
                Some(Port::Steered(steered)) => steered.steer_nobody(),
                Some(Port::Captured(captured)) => captured.steer_nobody(),
                _ => {}
            }
        }
    }

    /// Makes the connections that are missing; forgets those that can never be.
    fn connect(&mut self, listeners: &mut Listeners) {
        let generation = self.generation;
        self.connections.retain_mut(|connection| {
            if connection.stream.is_some() || connection.accepted {
                return true;
            }
            match listeners.list.get_mut(connection.listener).map(|listener| reach(listener, generation)) {
                Some(Ok((stream, ends))) => {
                    (connection.stream, connection.ends) = (Some(stream), ends);
                    true
                }
                Some(Err(errno)) => passes(errno),
                None => false,
            }
        });
    }

    fn look(&mut self, at: usize, listeners: &Listeners) {
        let connection = &mut self.connections[at];
        let Some(stream) = &connection.stream else { return };
        let shows = stream.shows();
        if shows == Shows::Refusal {
            connection.stream = None;
            return;
        }
        let Some(listener) = listeners.list.get(connection.listener) else { return };
        connection.accepted = shows == Shows::Life
            || match connection.ends {
                Some(ends) => match self.diag.as_ref().map(|diag| diag.accepted(ends)) {
                    Some(Ok(accepted)) => accepted,
                    _ => queue_is_empty(stream, listener, self.generation),
                },
                None => match self.diag.as_ref().and_then(|diag| is_accepted(diag, stream)) {
                    Some(accepted) => accepted,
                    None => !anybody_waits(listener.own_seats(self.generation)),
                },
            };
        if connection.accepted && !self.asks {
            connection.stream = None;
        }
    }
}

/// Without netlink: the connection is made and nobody waits at the seat.
fn queue_is_empty(stream: &ProbeStream, listener: &Listener, generation: GenerationId) -> bool {
    let made = matches!(stream, ProbeStream::Tcp(stream) if stream.peer_addr().is_ok());
    made && listener.own_seat(generation).is_some_and(|seat| accept_queue(seat) == Ok(0))
}

/// A connection to the generation's own seat, and to nobody else's.
fn reach(listener: &mut Listener, generation: GenerationId) -> Result<(ProbeStream, Option<Ends>), Errno> {
    let (socket, client, server) = match &mut listener.port {
        Port::Steered(steered) => {
            let made = tcp_client(as_packets_have_it(steered.place().at))?;
            steered.steer_one(made.1, generation)?;
            made
        }
        Port::Captured(captured) => {
            let made = tcp_client(as_packets_have_it(captured.place().at))?;
            captured.steer_one(made.1, generation)?;
            made
        }
        Port::Path(path) => {
            let name = path.private_name(generation).ok_or(Errno::ENOENT)?;
            return Ok((connect_unix(name)?, None));
        }
        Port::Shared(_) | Port::Name(_) | Port::Closed => return Err(Errno::ENOTSUP),
    };
    let stream = undeferred(listener.own_seats(generation), || connect_tcp(socket, server))?;
    Ok((stream, Some(Ends { server, client })))
}

/// A socket for both families that is bound to an IPv4 address gets IPv4 packets, and so does the program that steers.
fn as_packets_have_it(at: SocketAddr) -> SocketAddr {
    match at.ip().to_canonical() {
        ip if ip == at.ip() => at,
        ip => SocketAddr::new(ip, at.port()),
    }
}

/// Connects to one of these seats, on which TCP_DEFER_ACCEPT (tcp(7)) would hide for seconds a client that says nothing.
/// Over loopback the handshake is over when connect(2) returns.
fn undeferred<'a, T>(seats: impl Iterator<Item = BorrowedFd<'a>>, connect: impl FnOnce() -> T) -> T {
    let defer = |seat, seconds| {
        let _ = set_option(seat, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds);
    };
    let deferred = |seat| option(seat, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT).ok().filter(|seconds| *seconds > 0);
    let lifted: Vec<_> = seats.filter_map(|seat| deferred(seat).map(|seconds| (seat, seconds))).collect();
    lifted.iter().for_each(|(seat, _)| defer(*seat, 0));
    let made = connect();
    lifted.iter().for_each(|(seat, seconds)| defer(*seat, *seconds));
    made
}

/// True for an error that may not be there the next time.
fn passes(errno: Errno) -> bool {
    use Errno::{EAGAIN, ECONNREFUSED, ECONNRESET, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    matches!(errno, EAGAIN | ECONNREFUSED | ECONNRESET | EINTR | EMFILE | ENFILE | ENOBUFS | ENOMEM)
}
