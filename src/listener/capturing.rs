//! What becomes of the bind(2) and listen(2) calls of copies that make their own sockets.

use super::bound::BoundAddress;
use super::captured::Captured;
use super::inet::{Place, Transport, local_address, overlap, transport_of};
use super::left::is_connected;
use super::listeners::Listeners;
use super::port::{Listener, Port};
use crate::notice::Notice;
use crate::sys::socket::{is_nonblocking, is_v6only, listens, set_nonblocking};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{SockType, getsockopt, setsockopt, sockopt};
use nix::sys::stat::fstat;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::fchown;

/// What is to become of a call that waits.
#[derive(Debug)]
pub enum Verdict {
    /// It is carried out as if nobody had looked.
    GoOn,
    /// It returns this.
    Answer(Result<(), Errno>),
}

/// What can be found out about, or done to, the process that made a call.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Whether the socket of this number is open in any process of the copy.
    pub open: &'a dyn Fn(u64) -> bool,
    /// It is not known to serve yet.
    pub early: bool,
    /// Whether it may bind a port.
    pub may_bind: &'a dyn Fn(u16) -> bool,
    /// Whether that socket is in an epoll(7) set of its process: another one in its place is not, and the copy would never hear of
    /// a client.
    pub polled: &'a dyn Fn() -> bool,
    /// Puts another socket in place of the one the call is about.
    pub put: &'a dyn Fn(BorrowedFd<'_>) -> Result<(), Errno>,
}

impl Listeners {
    /// A copy is about to bind its socket to this address, whose port is not 0. The descriptor of a TCP socket is closed
    /// again: a copy that tries whether a port is free closes its socket and binds another.
    pub fn bind_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        at: SocketAddr,
        asker: Asker<'_>,
    ) -> (Verdict, Option<Notice>) {
        let Some(transport) = transport_of(&socket) else { return (Verdict::GoOn, None) };
        if let Some(verdict) =
            self.claim(generation, (transport, at, is_v6only(&socket)), is_nonblocking(&socket), asker)
        {
            return (verdict, None);
        }
        let place = Place { transport, at, any: false };
        let mut known = false;
        let shares = getsockopt(&socket, sockopt::ReusePort) == Ok(true);
        let reuses = transport == Transport::Udp && getsockopt(&socket, sockopt::ReuseAddr) == Ok(true);
        let clients_only = self.captured_at(place).is_some_and(|captured| has_clients_only(captured, generation));
        self.drop_closed(generation, place, asker.open);
        if let Some(captured) = self.captured_at(place) {
            // Where its socket has become a client's, this one is for the next. Who comes before it is bound is lost, so
            // there is no time to look through its processes, nor, where the kernel needs no help, to do it here.
            if clients_only && reuses && !shares {
                return (Verdict::GoOn, None);
            }
            if shares {
                captured.drop_clients(generation, &|_| true);
            }
            if captured.any_waits(generation) && (asker.polled)() {
                captured.drop_waiting(generation);
            }
            if let Some(answer) = captured.hand_over(generation, |kept| replace(&socket, kept, asker)) {
                return (Verdict::Answer(answer), None);
            }
            known = !captured.is_empty() || captured.clients && shares;
            if captured.has(generation) && !shares {
                return (if reuses { Verdict::GoOn } else { Verdict::Answer(Err(Errno::EADDRINUSE)) }, None);
            }
        }
        if transport == Transport::Udp {
            // Of one that serves already, it is a client's.
            let captures = (asker.early || known) && (asker.may_bind)(at.port());
            return if captures { self.bind_datagrams(generation, socket, place) } else { (Verdict::GoOn, None) };
        }
        if self.shares_port(place, |captured| captured.has_other(generation)) {
            // Refused: then bind answers what it would have answered without us.
            setsockopt(&socket, sockopt::ReusePort, &true).ok();
            self.give_to_owner(&socket, place);
        }
        self.asked.insert((generation, at.port()));
        (Verdict::GoOn, None)
    }

    /// Nobody listens on a datagram socket: it serves from when it is bound, which is done here for its order in the group.
    fn bind_datagrams(&mut self, generation: GenerationId, socket: OwnedFd, place: Place) -> (Verdict, Option<Notice>) {
        let on = |option: nix::Result<bool>| option == Ok(true);
        let shares = on(getsockopt(&socket, sockopt::ReusePort)) || on(getsockopt(&socket, sockopt::ReuseAddr));
        let exclusive = !shares && !self.shares_port(place, |captured| captured.has_other(generation));
        self.give_to_owner(&socket, place);
        self.provide(place);
        let Some(captured) = self.captured_at(place) else { return (Verdict::GoOn, None) };
        let known = !captured.is_empty() || captured.clients;
        let answer = captured.bind(generation, socket, exclusive);
        let notice = (answer.is_ok() && !known).then(|| listening(place));
        (Verdict::Answer(answer), notice)
    }

    /// A copy is about to listen on its socket. `open` as in [`Asker`].
    pub fn listen_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        backlog: i32,
        open: &dyn Fn(u64) -> bool,
    ) -> (Verdict, Option<Notice>) {
        let stream = getsockopt(&socket, sockopt::SockType) == Ok(SockType::Stream);
        let Some(at) = local_address(&socket).filter(|_| stream && !listens(&socket)) else {
            return (Verdict::GoOn, None);
        };
        // A port the kernel chose is another one in each generation.
        if !self.asked.contains(&(generation, at.port())) {
            return (Verdict::GoOn, None);
        }
        let place = Place { transport: Transport::Tcp, at, any: false };
        self.provide(place);
        let Some(captured) = self.captured_at(place) else { return (Verdict::GoOn, None) };
        let known = !captured.is_empty();
        captured.drop_closed(generation, open);
        self.recount_captured(|captured| captured.place() == place);
        let Some(captured) = self.captured_at(place) else { return (Verdict::GoOn, None) };
        let answer = captured.listen(generation, socket, backlog);
        let notice = (answer.is_ok() && !known).then(|| listening(place));
        (Verdict::Answer(answer), notice)
    }

    /// Lets go of what the copy has closed at this address, and at others of the port where that would keep this one busy.
    pub(super) fn drop_closed(&mut self, generation: GenerationId, place: Place, open: &dyn Fn(u64) -> bool) {
        for listener in &mut self.list {
            if let Port::Captured(captured) = &mut listener.port
                && is_same_port(captured.place(), place)
                && overlap(captured.place().at.ip(), place.at.ip())
                && captured.has(generation)
                && !has_clients_only(captured, generation)
            {
                captured.drop_closed(generation, open);
            }
        }
    }

    /// The kernel lets sockets share a port that belong to the same user (socket(7), SO_REUSEPORT), and those of a
    /// generation with another `--user` do not.
    fn give_to_owner(&self, socket: &OwnedFd, place: Place) {
        let neighbours = self.captured().filter(|captured| is_same_port(captured.place(), place));
        let owner = |socket: BorrowedFd<'_>| Some(fstat(socket).ok()?.st_uid);
        let theirs = neighbours.filter_map(Captured::any).find_map(owner);
        if let Some(theirs) = theirs.filter(|theirs| owner(socket.as_fd()) != Some(*theirs)) {
            fchown(socket, Some(theirs), None).ok();
        }
    }

    /// Whether a generation has a socket at any address it bound by itself.
    #[must_use]
    pub fn has_captured(&self, generation: GenerationId) -> bool {
        self.list.iter().any(|listener| listener.has_captured(generation)) || self.any_bound(generation)
    }

    /// Whether another generation has a socket at an address it bound by itself, and this one has none there.
    #[must_use]
    pub fn misses_captured(&self, generation: GenerationId) -> bool {
        self.captured().any(|captured| captured.has_other(generation) && !captured.has(generation))
            || self.captured_paths().any(|captured| captured.has_other(generation) && !captured.has(generation))
            || self.captured_names().any(|named| named.has_other(generation) && !named.has(generation))
    }

    /// The addresses where another generation listens, and this one does not.
    #[must_use]
    pub fn missed(&self, generation: GenerationId) -> Vec<String> {
        let missed = self.captured().filter(|captured| captured.has_other(generation) && !captured.has(generation));
        missed.map(|captured| address(captured.place()).to_string()).collect()
    }

    /// The generation that served has ended while this one starts: what it leaves at an address that this one has not bound
    /// yet waits for it, with the clients in its queue.
    pub fn bequeath(&mut self, to: GenerationId) {
        let from = self.steered_to;
        for listener in self.list.iter_mut().filter(|listener| listener.is_captured() && !listener.has_captured(to)) {
            listener.rename(from, to);
        }
    }

    /// A generation is ready: what still waits for it to be bound was dropped by it.
    pub fn drop_waiting(&mut self, generation: GenerationId) {
        for listener in &mut self.list {
            match &mut listener.port {
                Port::Captured(captured) => captured.drop_waiting(generation),
                Port::Path(path) if path.captured => path.drop_waiting(generation),
                Port::Name(named) => named.drop_waiting(generation),
                _ => {}
            }
        }
    }

    /// A generation serves: what it has bound for datagrams and closed again, or connected, is a client's. `open` as in
    /// [`Asker`].
    pub fn drop_clients(&mut self, generation: GenerationId, open: &dyn Fn(u64) -> bool) -> Vec<Notice> {
        for listener in &mut self.list {
            match &mut listener.port {
                Port::Captured(captured) => captured.drop_clients(generation, open),
                Port::Path(path) if path.captured => path.drop_clients(generation, open),
                Port::Name(named) => named.drop_clients(generation, open),
                _ => {}
            }
        }
        self.note_bound(generation, open)
    }

    fn captured(&self) -> impl Iterator<Item = &Captured> {
        self.list.iter().filter_map(|listener| match &listener.port {
            Port::Captured(captured) => Some(&**captured),
            _ => None,
        })
    }

    /// Whether copies listen on the port of this place at any address where this is true.
    pub(super) fn shares_port(&self, place: Place, which: impl Fn(&Captured) -> bool) -> bool {
        self.captured().any(|captured| is_same_port(captured.place(), place) && which(captured))
    }

    pub(super) fn captured_at(&mut self, place: Place) -> Option<&mut Captured> {
        self.list.iter_mut().find_map(|listener| match &mut listener.port {
            Port::Captured(captured) if captured.place() == place => Some(&mut **captured),
            _ => None,
        })
    }

    /// Sees to it that there is a captured listener of this place. One that nobody uses any more makes room.
    fn provide(&mut self, place: Place) {
        if self.captured_at(place).is_some() {
            return;
        }
        let captured = Box::new(Captured::new(place, self.steered_to));
        self.place(Listener::captured(address(place), Port::Captured(captured)));
    }
}

fn is_same_port(one: Place, other: Place) -> bool {
    one.transport == other.transport && one.at.port() == other.at.port()
}

/// Whether all of its datagram sockets are connected: they are its clients'.
fn has_clients_only(captured: &Captured, generation: GenerationId) -> bool {
    captured.has(generation) && captured.sockets(generation).all(|socket| is_connected(&socket))
}

/// Puts a socket a crashed copy left in place of the one its successor is about to bind, as blocking as that one is.
pub(super) fn replace(theirs: &OwnedFd, kept: BorrowedFd<'_>, asker: Asker<'_>) -> Result<(), Errno> {
    set_nonblocking(&kept, is_nonblocking(theirs)).ok();
    (asker.put)(kept)
}

fn address(place: Place) -> BoundAddress {
    match place.transport {
        Transport::Tcp => BoundAddress::Tcp(place.at),
        Transport::Udp => BoundAddress::Udp(place.at),
    }
}

fn listening(place: Place) -> Notice {
    let address = address(place).to_string();
    Notice::Listening { name: address.replace(':', "-"), address, shared: None }
}
