//! What becomes of the bind(2) and listen(2) calls of copies that make their own sockets.

use super::bound::{Bound, BoundAddress};
use super::captured::Captured;
use super::inet::{Place, Transport, local_address};
use super::listeners::Listeners;
use super::port::{Listener, Port};
use crate::notice::Notice;
use crate::plan::SocketOptions;
use crate::sys::socket::listens;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{SockType, getsockopt, setsockopt, sockopt};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// What is to become of a call that waits.
#[derive(Debug)]
pub enum Verdict {
    /// It is carried out as if nobody had looked.
    GoOn,
    /// It returns this.
    Answer(Result<(), Errno>),
}

impl Listeners {
    /// A copy is about to bind its socket to this address, whose port is not 0. `open` tells whether the socket of a number
    /// is open in any process of the copy. The descriptor is closed again unless it is kept for good: a copy that tries
    /// whether a port is free closes its socket and binds another.
    pub fn bind_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        at: SocketAddr,
        open: &dyn Fn(u64) -> bool,
    ) -> Verdict {
        if getsockopt(&socket, sockopt::SockType) != Ok(SockType::Stream) {
            return Verdict::GoOn;
        }
        let shares = getsockopt(&socket, sockopt::ReusePort) == Ok(true);
        let place = Place { transport: Transport::Tcp, at, any: false };
        if let Some(captured) = self.captured_at(place) {
            captured.drop_closed(generation, open);
            if captured.has(generation) && !shares {
                return Verdict::Answer(Err(Errno::EADDRINUSE));
            }
        }
        let same_port = |captured: &Captured| captured.place().at.port() == at.port();
        if self.captured().any(|captured| same_port(captured) && captured.has_other(generation)) {
            // Refused: then bind answers what it would have answered without us.
            setsockopt(&socket, sockopt::ReusePort, &true).ok();
        }
        self.asked.insert((generation, at.port()));
        Verdict::GoOn
    }

    /// A copy is about to listen on its socket.
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
        self.captured().any(|captured| captured.has(generation))
    }

    /// Whether another generation has a socket at an address it bound by itself, and this one has none there.
    #[must_use]
    pub fn misses_captured(&self, generation: GenerationId) -> bool {
        self.captured().any(|captured| captured.has_other(generation) && !captured.has(generation))
    }

    fn captured(&self) -> impl Iterator<Item = &Captured> {
        self.list.iter().filter_map(|listener| match &listener.port {
            Port::Captured(captured) => Some(captured),
            _ => None,
        })
    }

    fn captured_at(&mut self, place: Place) -> Option<&mut Captured> {
        self.list.iter_mut().find_map(|listener| match &mut listener.port {
            Port::Captured(captured) if captured.place() == place => Some(captured),
            _ => None,
        })
    }

    /// Sees to it that there is a captured listener of this place. One that nobody uses any more makes room.
    fn provide(&mut self, place: Place) {
        if self.captured_at(place).is_some() {
            return;
        }
        let fresh = new_listener(place, self.steered_to);
        let unused = |listener: &&mut Listener| matches!(&listener.port, Port::Captured(one) if one.is_empty());
        match self.list.iter_mut().find(unused) {
            Some(unused) => *unused = fresh,
            None => self.list.push(fresh),
        }
    }
}

fn new_listener(place: Place, active: GenerationId) -> Listener {
    let address = match place.transport {
        Transport::Tcp => BoundAddress::Tcp(place.at),
        Transport::Udp => BoundAddress::Udp(place.at),
    };
    let typed = address.to_string();
    let flag = format!("{typed}, which the target bound");
    let bound = Bound { name: typed.replace(':', "-"), typed, flag, address, number: None };
    Listener {
        bound,
        address: None,
        options: SocketOptions::default(),
        port: Port::Captured(Captured::new(place, active)),
    }
}
