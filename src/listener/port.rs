//! One listener: its address, its options and the socket or sockets behind it.

use super::bound::{Bound, BoundAddress};
use super::captured::Captured;
use super::captured_name::CapturedName;
use super::error::{BIND, Fault, Problem};
use super::holder;
use super::inet::{Place, Transport};
use super::inherited::{Inherited, adopt};
use super::programs::Programs;
use super::shared::Shared;
use super::steered::{First, NOBODY, Steered};
use super::unix_path::UnixPath;
use crate::plan::{Address, ListenerSpec, SocketOptions, UnixKind, UnixName};
use crate::words::GenerationId;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// A listener that is open.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) bound: Bound,
    /// The address of the plan; None when copies bind it by themselves, and once it is closed.
    pub(super) address: Option<Address>,
    pub(super) options: Rc<SocketOptions>,
    pub(super) port: Port,
}

/// What is behind an address.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Port {
    /// One socket for all generations.
    Shared(Shared),
    /// A TCP or UDP seat for every generation.
    Steered(Box<Steered>),
    /// A Unix path; a seat for every generation, or one for all.
    Path(UnixPath),
    /// None any more.
    Closed,
    /// An address that copies bind by themselves; nothing is handed to them.
    Captured(Box<Captured>),
    /// An abstract Unix name that copies bind by themselves; its one socket is put in place of theirs.
    Name(CapturedName),
}

/// Why the generations of a listener share its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sharing {
    /// They do not.
    None,
    /// It was asked for, or lies in the kind of the socket.
    Always(&'static str),
    /// There are too many listeners for two sets of seats.
    TooMany,
    /// The kernel or the file system refused what seats need.
    Refused(String),
}

/// A socket made for a generation and not yet given to it.
pub(super) enum Made {
    /// The listener needs none: it has one for all.
    None,
    /// The first socket, which nobody has taken yet.
    First,
    /// A TCP or UDP socket.
    Socket(OwnedFd),
    /// A Unix socket at its private name.
    Named(super::unix_name::Named),
}

/// What binding a listener depends on beside its own flag.
#[derive(Debug)]
pub(super) struct Circumstances<'a> {
    /// What [`super::inherited`] returned.
    pub(super) passed: &'a [Inherited],
    /// There are too many listeners for two sets of seats.
    pub(super) crowded: bool,
    /// How steering programs are put on groups.
    pub(super) programs: Rc<Programs>,
}

impl Listener {
    /// Binds one listener.
    pub(super) fn bind(spec: &ListenerSpec, around: &Circumstances<'_>) -> Result<(Listener, Sharing), Problem> {
        let options = &spec.options;
        let sharing = match (around.crowded, options.share) {
            (_, true) => Sharing::Always("share=yes"),
            (true, false) => Sharing::TooMany,
            (false, false) => Sharing::None,
        };
        let (port, address, sharing) = match &spec.address {
            Address::Tcp { at, any } => {
                inet(Place { transport: Transport::Tcp, at: *at, any: *any }, options, sharing, &around.programs)?
            }
            Address::Udp { at, any } => {
                inet(Place { transport: Transport::Udp, at: *at, any: *any }, options, sharing, &around.programs)?
            }
            Address::Unix { kind, name: UnixName::Path(path) } => {
                let sharing = match (kind, sharing) {
                    (UnixKind::Seqpacket, Sharing::None) => Sharing::Always("seqpacket"),
                    (_, sharing) => sharing,
                };
                let (port, sharing) = UnixPath::bind(path, *kind, options, sharing)?;
                (Port::Path(port), BoundAddress::Path { kind: *kind, path: path.clone() }, sharing)
            }
            Address::Unix { kind, name: UnixName::Abstract(name) } => {
                let socket = Shared::abstract_unix(*kind, name, options)?;
                let address = BoundAddress::Abstract { kind: *kind, name: name.clone() };
                (Port::Shared(socket), address, Sharing::Always("an abstract name"))
            }
            Address::Vsock(at) => {
                let (socket, address) = Shared::vsock(*at, options)?;
                (Port::Shared(socket), address, Sharing::Always("vsock"))
            }
            Address::Inherited(which) => {
                let (socket, address) = adopt(which, around.passed, options)?;
                (Port::Shared(socket), address, Sharing::Always("passed in"))
            }
        };
        let (name, typed, flag) = (spec.name.clone(), spec.typed.clone(), spec.flag.clone());
        let bound = Bound { name, typed, flag, address };
        Ok((Listener { bound, address: Some(spec.address.clone()), options: options.clone(), port }, sharing))
    }

    /// An address that copies bind by themselves.
    pub(super) fn captured(address: BoundAddress, port: Port) -> Listener {
        let typed = address.to_string();
        let flag = format!("{typed}, which the target bound").into();
        let bound = Bound { name: typed.replace(':', "-").into(), typed: typed.into(), flag, address };
        Listener { bound, address: None, options: Rc::default(), port }
    }

    /// Whether copies bind it by themselves.
    pub(super) fn is_captured(&self) -> bool {
        match &self.port {
            Port::Captured(_) | Port::Name(_) => true,
            Port::Path(path) => path.captured,
            _ => false,
        }
    }

    /// Whether a generation has a socket here that it made itself.
    pub(super) fn has_captured(&self, owner: GenerationId) -> bool {
        match &self.port {
            Port::Captured(captured) => captured.has(owner),
            Port::Path(path) => path.captured && path.has(owner),
            Port::Name(named) => named.has(owner),
            _ => false,
        }
    }

    /// Whether it is closed, or was bound by copies that do not use it any more.
    pub(super) fn is_vacant(&self) -> bool {
        match &self.port {
            Port::Closed => true,
            Port::Captured(captured) => captured.is_empty(),
            Port::Path(path) => path.captured && path.seats.is_empty(),
            Port::Name(named) => named.is_empty(),
            Port::Shared(_) | Port::Steered(_) => false,
        }
    }

    /// The socket a generation uses here.
    pub(super) fn seat(&self, owner: GenerationId) -> Option<BorrowedFd<'_>> {
        match &self.port {
            Port::Shared(shared) => Some(shared.socket.as_fd()),
            Port::Steered(steered) => steered.seat(owner),
            Port::Path(path) => path.seat(owner),
            Port::Captured(_) | Port::Name(_) | Port::Closed => None,
        }
    }

    /// The socket only this generation uses here; where it may have several, any of them.
    pub(super) fn own_seat(&self, owner: GenerationId) -> Option<BorrowedFd<'_>> {
        self.own_seats(owner).next()
    }

    /// All sockets only this generation uses here.
    pub(super) fn own_seats(&self, owner: GenerationId) -> impl Iterator<Item = BorrowedFd<'_>> {
        let (one, captured) = match &self.port {
            Port::Shared(_) | Port::Name(_) | Port::Closed => (None, None),
            Port::Steered(steered) => (steered.seat(owner), None),
            Port::Path(path) => (path.own_seat(owner), None),
            Port::Captured(captured) => (None, Some(captured)),
        };
        one.into_iter().chain(captured.into_iter().flat_map(move |captured| captured.sockets(owner)))
    }

    /// A socket for the next generation.
    pub(super) fn make(&mut self) -> Result<Made, Problem> {
        Ok(match &mut self.port {
            Port::Shared(_) | Port::Captured(_) | Port::Name(_) | Port::Closed => Made::None,
            Port::Steered(steered) if steered.seat(NOBODY).is_some() => Made::First,
            Port::Steered(steered) => Made::Socket(steered.make(&self.options)?),
            Port::Path(path) => path.make(&self.options)?,
        })
    }

    /// Gives a generation the socket that was made for it.
    pub(super) fn give(&mut self, owner: GenerationId, made: Made) {
        match (&mut self.port, made) {
            (Port::Steered(steered), Made::Socket(socket)) => steered.add(owner, socket),
            (Port::Path(path), Made::Named(named)) => path.add(owner, named),
            (_, Made::First) => self.rename(NOBODY, owner),
            _ => {}
        }
    }

    /// The seat of one generation becomes another's.
    pub(super) fn rename(&mut self, from: GenerationId, to: GenerationId) {
        match &mut self.port {
            Port::Shared(_) | Port::Closed => {}
            Port::Steered(steered) => steered.rename(from, to),
            Port::Path(path) => path.rename(from, to),
            Port::Captured(captured) => captured.rename(from, to),
            Port::Name(named) => named.rename(from, to),
        }
    }

    /// Puts back what a copy that is gone may have changed on a seat; `held` by what it has left, it keeps its O_NONBLOCK.
    pub(super) fn restore(&mut self, owner: GenerationId, held: bool) {
        match &mut self.port {
            Port::Shared(_) | Port::Captured(_) | Port::Name(_) | Port::Closed => {}
            Port::Steered(steered) => steered.restore(owner, &self.options, held),
            Port::Path(path) => path.restore(owner, &self.options, held),
        }
    }

    /// Ends listening on a generation's own seat.
    pub(super) fn shut(&mut self, owner: GenerationId) {
        match &mut self.port {
            Port::Shared(_) | Port::Name(_) | Port::Closed => {}
            Port::Steered(steered) => steered.shut(owner),
            Port::Path(path) => path.shut(owner),
            Port::Captured(captured) => captured.shut(owner),
        }
    }

    /// Closes a generation's own seat.
    pub(super) fn release(&mut self, owner: GenerationId) {
        match &mut self.port {
            Port::Shared(_) | Port::Closed => {}
            Port::Steered(steered) => steered.release(owner),
            Port::Path(path) => path.release(owner),
            Port::Captured(captured) => captured.release(owner),
            Port::Name(named) => named.release(owner),
        }
    }

    /// Puts the socket all generations share back to what was asked.
    pub(super) fn reset_shared(&self) {
        match &self.port {
            Port::Shared(shared) => shared.reset(&self.options),
            Port::Path(path) => path.reset_shared(&self.options),
            Port::Steered(_) | Port::Captured(_) | Port::Name(_) | Port::Closed => {}
        }
    }
}

fn inet(
    place: Place,
    options: &SocketOptions,
    sharing: Sharing,
    programs: &Rc<Programs>,
) -> Result<(Port, BoundAddress, Sharing), Problem> {
    let done = if sharing == Sharing::None {
        Steered::first(place, options, programs).map(|first| match first {
            First::Steered(steered) => (steered.place(), Port::Steered(Box::new(steered)), Sharing::None),
            First::Plain(socket, place, errno) => {
                let accepts = place.transport == Transport::Tcp;
                let shared =
                    Shared { socket, accepts, foreign: false, nonblock: options.nonblocking(), at: Some(place.at) };
                let why = format!("the kernel refused the steering program: {}", errno.desc());
                (place, Port::Shared(shared), Sharing::Refused(why))
            }
        })
    } else {
        Shared::inet(place, options).map(|(shared, place)| (place, Port::Shared(shared), sharing))
    };
    match done {
        Ok((place, port, sharing)) => {
            let address = match place.transport {
                Transport::Tcp => BoundAddress::Tcp(place.at),
                Transport::Udp => BoundAddress::Udp(place.at),
            };
            Ok((port, address, sharing))
        }
        Err(Fault { errno: Errno::EADDRINUSE, step: BIND | "listen on it" }) => Err(Problem::Busy(holder::of(place))),
        Err(fault) => Err(fault.into()),
    }
}
