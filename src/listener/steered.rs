//! One TCP or UDP listener with a seat for every generation: a SO_REUSEPORT group under a steering program.
//!
//! How the first socket comes to its address: [`super::found`].

use super::error::{During, Fault};
use super::found::found;
use super::group::Group;
use super::inet::{Place, Transport};
use super::left::Left;
use super::options::begin_to_listen;
use super::program::Steering;
use super::programs::Programs;
use crate::plan::SocketOptions;
use crate::sys::socket::{hear, hush, listens, set_nonblocking};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockaddrStorage, bind, setsockopt, shutdown, sockopt};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Owns the first socket until the first generation takes it. Generations are numbered from 1.
pub(super) const NOBODY: GenerationId = GenerationId(0);

/// Owns a socket that somebody else has put into the group: every process of the same user can (socket(7), SO_REUSEPORT).
const STRANGER: GenerationId = GenerationId(u32::MAX);

/// One generation's socket.
#[derive(Debug, Serialize, Deserialize)]
struct Seat {
    owner: GenerationId,
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
}

/// A group of seats at one address.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Steered {
    place: Place,
    seats: Vec<Seat>,
    #[serde(default)]
    left: Left,
    group: Group<GenerationId>,
    active: GenerationId,
    probe: Option<(SocketAddr, GenerationId)>,
    /// The program that is on the group.
    attached: Option<Steering>,
    #[serde(skip)]
    programs: Rc<Programs>,
}

/// What the first socket of an address turned out to be.
#[derive(Debug)]
pub(super) enum First {
    /// Steering works.
    Steered(Steered),
    /// The kernel refused the program; the socket is an ordinary one.
    Plain(OwnedFd, Place, Errno),
}

impl Steered {
    /// Binds the first socket.
    pub(super) fn first(place: Place, options: &SocketOptions, programs: &Rc<Programs>) -> Result<First, Fault> {
        let (socket, place, steered) = found(place, options, programs)?;
        let attached = match steered {
            Ok(attached) => attached,
            Err(errno) => return Ok(First::Plain(socket, place, errno)),
        };
        let mut group = Group::default();
        group.join(NOBODY);
        let seats = vec![Seat { owner: NOBODY, socket }];
        Ok(First::Steered(Steered {
            place,
            seats,
            left: Left::default(),
            group,
            active: NOBODY,
            probe: None,
            attached,
            programs: Rc::clone(programs),
        }))
    }

    /// Its programs are put on by this.
    pub(super) fn put_by(&mut self, programs: &Rc<Programs>) {
        self.programs = Rc::clone(programs);
    }

    /// Where it is bound.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The socket of a generation.
    pub(super) fn seat(&self, owner: GenerationId) -> Option<BorrowedFd<'_>> {
        self.seats.iter().find(|seat| seat.owner == owner).map(|seat| seat.socket.as_fd())
    }

    /// Makes the next socket of the group; it gets no connection before [`Steered::steer`]. Where nobody has one, it is
    /// the first of a new group.
    pub(super) fn make(&mut self, options: &SocketOptions) -> Result<OwnedFd, Fault> {
        self.forget_closed();
        if self.group.is_empty() {
            let (socket, _, steered) = found(self.place, options, &self.programs)?;
            self.attached = steered.during("steer it")?;
            return Ok(socket);
        }
        self.complete().during("steer it")?;
        let join = |socket: &OwnedFd| setsockopt(socket, sockopt::ReusePort, &true).during("set SO_REUSEPORT");
        let (socket, _) = self.place.bind(options, join)?;
        if self.place.transport == Transport::Tcp {
            begin_to_listen(&socket, options)?;
        }
        Ok(socket)
    }

    /// Takes note of strangers in the group, or that they are gone: they have indices too. To be called before a seat is
    /// made, for it stands behind them, and before everybody is sent elsewhere.
    pub(super) fn recount(&mut self, members: usize) {
        self.forget_closed();
        if !self.seats.is_empty() {
            self.group.recount(members, STRANGER);
        }
    }

    /// Whether a stranger is in the group, as far as is known.
    pub(super) fn has_strangers(&self) -> bool {
        self.group.index(STRANGER).is_some()
    }

    /// Puts a program on the group that has none yet.
    pub(super) fn complete(&mut self) -> Result<(), Errno> {
        if self.attached.is_some() { Ok(()) } else { self.attach() }
    }

    /// The socket just made belongs to this generation.
    pub(super) fn add(&mut self, owner: GenerationId, socket: OwnedFd) {
        self.group.join(owner);
        self.seats.push(Seat { owner, socket });
        self.close_left();
    }

    /// The seat of one generation belongs to another from now on.
    pub(super) fn rename(&mut self, from: GenerationId, to: GenerationId) {
        for seat in self.seats.iter_mut().filter(|seat| seat.owner == from) {
            seat.owner = to;
        }
        self.group.rename(from, to);
        if self.active == from {
            self.active = to;
        }
    }

    /// Puts back what a copy may have changed on its seat: O_NONBLOCK, the backlog, and that it listens at all.
    pub(super) fn restore(&mut self, owner: GenerationId, options: &SocketOptions, held: bool) {
        self.forget_closed();
        let Some(seat) = self.seats.iter().find(|seat| seat.owner == owner) else { return };
        // Both are best effort: a seat that cannot be put back still is the one with the waiting clients.
        if !held {
            set_nonblocking(&seat.socket, options.nonblocking()).ok();
        }
        if self.place.transport == Transport::Tcp && self.listen_again(owner, options) {
            self.attach().ok();
        }
    }

    /// Puts the backlog of a TCP seat back, and makes it listen where a copy shut it down. False when it cannot be.
    fn listen_again(&mut self, owner: GenerationId, options: &SocketOptions) -> bool {
        let Some(seat) = self.seat(owner) else { return false };
        let member = self.group.index(owner).is_some();
        if !member {
            // shutdown(2) takes a port the kernel chose away again; a socket that kept its port answers EINVAL.
            bind(seat.as_raw_fd(), &SockaddrStorage::from(self.place.at)).ok();
        }
        if begin_to_listen(&seat, options).is_err() {
            return false;
        }
        if !member {
            self.group.join(owner);
            if self.group.index(owner) == Some(0) {
                // Alone, so in a group of its own, which has no program yet.
                self.attached = None;
            }
        }
        true
    }

    /// New connections go to this generation. A seat its copy shut down listens again.
    pub(super) fn steer(&mut self, to: GenerationId, options: &SocketOptions) -> Result<(), Errno> {
        self.forget_closed();
        self.active = to;
        if self.group.index(to).is_none() && self.place.transport == Transport::Tcp {
            self.listen_again(to, options);
        }
        self.attach().map(|()| self.close_left())
    }

    /// Whether new connections go to this generation already.
    pub(super) fn leads_to(&self, owner: GenerationId) -> bool {
        self.active == owner
    }

    /// One client, known by its address, goes to this generation; everybody else to the active one as before.
    /// `ECONNREFUSED` while the generation's seat does not listen, as for any client of it.
    pub(super) fn steer_one(&mut self, client: SocketAddr, to: GenerationId) -> Result<(), Errno> {
        self.forget_closed();
        self.group.index(to).ok_or(Errno::ECONNREFUSED)?;
        self.probe = Some((client, to));
        self.attach()
    }

    /// Everybody goes to the active generation again.
    pub(super) fn steer_nobody(&mut self) {
        self.probe = None;
        // A program that stays sends one client, which is gone, to a seat that may be gone: harmless.
        self.attach().ok();
    }

    /// Ends listening on a generation's seat: an accept(2) that waits there returns. Datagram sockets have no such call,
    /// and a read that returns nothing for ever would only surprise their readers: they are left alone.
    ///
    /// The last member moves into the hole. Where that is one the program names, the kernel would choose any member by a
    /// hash (reuseport_select_sock) until the program is replaced: one whose copy has stopped accepting, or a stranger. So
    /// the program names the hole before it is one. The seat drops SYNs then; their clients send them again a second later.
    pub(super) fn shut(&mut self, owner: GenerationId) {
        if self.place.transport == Transport::Udp {
            return;
        }
        self.forget_closed();
        let Some(at) = self.seats.iter().position(|seat| seat.owner == owner) else { return };
        let mut after = self.group.clone();
        after.leave(owner);
        let named = [Some(self.active), self.probe.map(|(_, to)| to)];
        let misled = named.into_iter().flatten().any(|who| self.group.misled(who, owner));
        let hushed = misled && hush(self.seats[at].socket.as_fd());
        if hushed {
            self.put(self.wanted(&after)).ok();
        }
        shutdown(self.seats[at].socket.as_raw_fd(), Shutdown::Both).ok();
        self.group = after;
        self.attach().ok();
        if hushed {
            hear(self.seats[at].socket.as_fd());
        }
    }

    /// Closes a generation's seat; for datagrams, as soon as nobody is sent elsewhere by that.
    pub(super) fn release(&mut self, owner: GenerationId) {
        self.shut(owner);
        if let Some(at) = self.seats.iter().position(|seat| seat.owner == owner) {
            self.left.add(owner, self.seats.remove(at).socket);
            self.close_left();
        }
    }

    fn close_left(&mut self) {
        let served = self.seat(self.active).map(|_| self.active);
        while self.left.close_one(&mut self.group, served) {
            self.attach().ok();
        }
    }

    /// A copy may have shut its seat down, which takes it out of the group.
    fn forget_closed(&mut self) {
        if self.place.transport == Transport::Udp {
            return;
        }
        for seat in &self.seats {
            if !listens(&seat.socket) {
                self.group.leave(seat.owner);
            }
        }
    }

    /// Puts the program on the group that says what is wanted now, unless it is there already.
    fn attach(&mut self) -> Result<(), Errno> {
        self.put(self.wanted(&self.group))
    }

    /// What the program is to do in a group of this order.
    fn wanted(&self, group: &Group<GenerationId>) -> Steering {
        let everybody = group.index(self.active).unwrap_or(0);
        let probe = self.probe.and_then(|(client, to)| Some((client, group.index(to)?)));
        let probe = probe.filter(|(_, member)| *member != everybody);
        Steering { everybody: vec![everybody], sticky: false, probe }
    }

    fn put(&mut self, wanted: Steering) -> Result<(), Errno> {
        if self.attached.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let mut members = self.seats.iter().filter(|seat| self.group.index(seat.owner).is_some());
        let Some(member) = members.next() else { return Ok(()) };
        self.programs.put(member.socket.as_fd(), &wanted)?;
        self.attached = Some(wanted);
        Ok(())
    }
}
