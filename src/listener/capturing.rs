//! What becomes of the bind(2) and listen(2) calls of copies that make their own sockets.

use super::bound::{Bound, BoundAddress};
use super::captured::Captured;
use super::inet::{Place, Transport, local_address, transport_of};
use super::listeners::Listeners;
use super::port::{Listener, Port};
use crate::notice::Notice;
use crate::sys::socket::{is_nonblocking, listens, set_nonblocking};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{SockType, getsockopt, setsockopt, sockopt};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

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
    /// Puts another socket in place of the one the call is about.
    pub put: &'a dyn Fn(BorrowedFd<'_>) -> Result<(), Errno>,
}

impl Listeners {
    /// A copy is about to bind its socket to this address, whose port is not 0. The descriptor is closed again unless it is
    /// kept for good: a copy that tries whether a port is free closes its socket and binds another.
    pub fn bind_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        at: SocketAddr,
        asker: Asker<'_>,
    ) -> Verdict {
        let Some(transport) = transport_of(&socket) else { return Verdict::GoOn };
        if let Some(verdict) = self.claim(generation, (transport, at), is_nonblocking(&socket), asker) {
            return verdict;
        }
        if transport == Transport::Udp {
            return Verdict::GoOn;
        }
        let shares = getsockopt(&socket, sockopt::ReusePort) == Ok(true);
        let place = Place { transport: Transport::Tcp, at, any: false };
        if let Some(captured) = self.captured_at(place) {
            captured.drop_closed(generation, asker.open);
            if let Some(answer) = captured.hand_over(generation, |kept| replace(&socket, kept, asker)) {
                return Verdict::Answer(answer);
            }
            if captured.has(generation) && !shares {
                return Verdict::Answer(Err(Errno::EADDRINUSE));
            }
        }
        if self.shares_port(at.port(), |captured| captured.has_other(generation)) {
            // Refused: then bind answers what it would have answered without us.
            setsockopt(&socket, sockopt::ReusePort, &true).ok();
        }
        self.asked.insert((generation, at.port()));
        Verdict::GoOn
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
        let answer = captured.listen(generation, socket, backlog);
        let address = BoundAddress::Tcp(at).to_string();
        let notice = || Notice::Listening { name: address.replace(':', "-"), address: address.clone(), shared: None };
        let notice = (answer.is_ok() && !known).then(notice);
        (Verdict::Answer(answer), notice)
    }

    /// Whether a generation has a socket at any address it bound by itself.
    #[must_use]
    pub fn has_captured(&self, generation: GenerationId) -> bool {
        self.list.iter().any(|listener| listener.has_captured(generation))
    }

    /// Whether another generation has a socket at an address it bound by itself, and this one has none there.
    #[must_use]
    pub fn misses_captured(&self, generation: GenerationId) -> bool {
        self.captured().any(|captured| captured.has_other(generation) && !captured.has(generation))
            || self.captured_paths().any(|captured| captured.has_other(generation) && !captured.has(generation))
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
                _ => {}
            }
        }
    }

    fn captured(&self) -> impl Iterator<Item = &Captured> {
        self.list.iter().filter_map(|listener| match &listener.port {
            Port::Captured(captured) => Some(&**captured),
            _ => None,
        })
    }

    /// Whether copies listen on this port at any address where this is true.
    pub(super) fn shares_port(&self, port: u16, which: impl Fn(&Captured) -> bool) -> bool {
        self.captured().any(|captured| captured.place().at.port() == port && which(captured))
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
        let fresh = new_listener(place, self.steered_to);
        self.place(fresh);
    }
}

/// Puts a socket a crashed copy left in place of the one its successor is about to bind, as blocking as that one is.
pub(super) fn replace(theirs: &OwnedFd, kept: BorrowedFd<'_>, asker: Asker<'_>) -> Result<(), Errno> {
    set_nonblocking(&kept, is_nonblocking(theirs)).ok();
    (asker.put)(kept)
}

fn new_listener(place: Place, active: GenerationId) -> Listener {
    let address = match place.transport {
        Transport::Tcp => BoundAddress::Tcp(place.at),
        Transport::Udp => BoundAddress::Udp(place.at),
    };
    let typed = address.to_string();
    let flag = format!("{typed}, which the target bound");
    let bound =
        Bound { name: typed.replace(':', "-").into(), typed: typed.into(), flag: flag.into(), address, number: None };
    Listener {
        bound,
        address: None,
        options: Rc::default(),
        port: Port::Captured(Box::new(Captured::new(place, active))),
    }
}
