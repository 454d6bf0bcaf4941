//! An address that copies bind by themselves: their own sockets, in one SO_REUSEPORT group under a steering program.
//!
//! endless makes none of these sockets. It sets the flag on one that is about to listen, listens in its copy's place, so
//! that the order of the group is known, and keeps a descriptor of it. A generation may have several here.

mod order;

use super::carrier::{self, Carrier, is_mptcp};
use super::group::Group;
use super::hushed::Hushed;
use super::inet::{Place, Transport};
use super::left::{self, is_connected};
use super::program::Steering;
use crate::sys::socket::{listen, steer};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A copy's socket.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    number: u64,
    owner: GenerationId,
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
    /// The socket's number, as /proc/PID/fd shows it.
    inode: u64,
    /// Its copy crashed, and the successor has not asked for it yet.
    waits: bool,
}

/// The sockets of all copies at one address.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Captured {
    place: Place,
    members: Vec<Member>,
    group: Group<u64>,
    active: GenerationId,
    probe: Option<(SocketAddr, GenerationId)>,
    /// The program that is on the group.
    attached: Option<Steering>,
    /// Puts it there where the sockets cannot.
    #[serde(default)]
    carrier: Option<Carrier>,
    last: u64,
    /// Whether sockets were left to their clients here.
    #[serde(default)]
    pub(super) clients: bool,
}

impl Captured {
    /// An address without a socket yet.
    pub(super) fn new(place: Place, active: GenerationId) -> Captured {
        let (members, group) = (Vec::new(), Group::default());
        Captured { place, members, group, active, probe: None, attached: None, carrier: None, last: 0, clients: false }
    }

    /// Where it is bound.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Whether no copy has a socket here any more.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a generation has a socket here that it asked for.
    pub(super) fn has(&self, owner: GenerationId) -> bool {
        self.members.iter().any(|member| member.owner == owner && !member.waits)
    }

    /// Whether another generation than this one has a socket here, or one that crashed has left it one.
    pub(super) fn has_other(&self, owner: GenerationId) -> bool {
        self.members.iter().any(|member| member.owner != owner || member.waits)
    }

    /// One of them, whosever it is.
    pub(super) fn any(&self) -> Option<BorrowedFd<'_>> {
        self.members.first().map(|member| member.socket.as_fd())
    }

    /// A generation's sockets.
    pub(super) fn sockets(&self, owner: GenerationId) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.members.iter().filter(move |member| member.owner == owner).map(|member| member.socket.as_fd())
    }

    /// Listens on a socket for its copy: from then on it is the last of the group, and gets connections as steering says.
    pub(super) fn listen(&mut self, owner: GenerationId, socket: OwnedFd, backlog: i32) -> nix::Result<()> {
        self.forget_closed();
        let shares = getsockopt(&socket, sockopt::ReusePort)?;
        setsockopt(&socket, sockopt::ReusePort, &true)?;
        if is_mptcp(&socket) && self.carrier.is_none() {
            self.add_carrier(&socket);
        }
        if self.group.is_empty() {
            // Before anybody can come, so that a stranger who joins later gets nothing. Where the copy has set the flag itself,
            // another of its sockets may be bound there, and listen(2) refuses one that has a program then.
            let program = Steering::default();
            let alone = !shares && steer(socket.as_fd(), &program.program()).is_ok();
            self.attached = alone.then_some(program);
        }
        listen(socket.as_fd(), backlog)?;
        self.join(owner, socket);
        Ok(())
    }

    /// Without one the group is an ordinary one: steering fails, and says so.
    fn add_carrier(&mut self, beside: &OwnedFd) {
        let Ok(carrier) = Carrier::beside(beside, self.place.at) else { return };
        self.group.join(carrier::NUMBER);
        if self.members.is_empty() {
            self.attached = carrier.begin();
        }
        self.carrier = Some(carrier);
    }

    /// Binds a datagram socket for its copy, which takes it into the group. `exclusive`: nobody else may have the address.
    pub(super) fn bind(&mut self, owner: GenerationId, socket: OwnedFd, exclusive: bool) -> nix::Result<()> {
        let shares = getsockopt(&socket, sockopt::ReusePort)?;
        setsockopt(&socket, sockopt::ReusePort, &true)?;
        if self.group.is_empty() {
            // See `found::found`: with the program before bind(2) a busy address is an error as ever.
            let program = Steering::default();
            let alone = exclusive && steer(socket.as_fd(), &program.program()).is_ok();
            self.attached = alone.then_some(program);
        }
        left::bind_beside(&socket, self.place.at, self.clients).inspect_err(|_| {
            setsockopt(&socket, sockopt::ReusePort, &shares).ok();
        })?;
        self.join(owner, socket);
        Ok(())
    }

    /// Lets go of those datagram sockets of a generation that turned out to be clients: closed soon, or connected.
    pub(super) fn drop_clients(&mut self, owner: GenerationId, open: &dyn Fn(u64) -> bool) {
        if self.place.transport == Transport::Udp {
            self.drop_all(|member| member.owner == owner && (is_connected(&member.socket) || !open(member.inode)));
        }
    }

    /// New connections go to this generation, where it has a socket here; else nothing changes.
    pub(super) fn steer(&mut self, to: GenerationId) -> nix::Result<()> {
        self.forget_closed();
        self.active = to;
        self.attach()
    }

    /// One client, known by its address, goes to this generation; everybody else to the active one as before.
    pub(super) fn steer_one(&mut self, client: SocketAddr, to: GenerationId) -> nix::Result<()> {
        self.forget_closed();
        if self.indices(to).is_empty() {
            return Err(Errno::ECONNREFUSED);
        }
        self.probe = Some((client, to));
        self.attach()
    }

    /// Everybody goes to the active generation again.
    pub(super) fn steer_nobody(&mut self) {
        self.probe = None;
        self.attach().ok();
    }

    /// Ends listening on a generation's sockets: an accept(2) that waits there returns.
    pub(super) fn shut(&mut self, owner: GenerationId) {
        if self.place.transport == Transport::Tcp {
            self.leave(|member| member.owner == owner);
        }
    }

    /// Closes a generation's sockets.
    pub(super) fn release(&mut self, owner: GenerationId) {
        self.drop_all(|member| member.owner == owner);
    }

    /// Closes those of a generation's sockets that it has closed itself. `open`: whether the socket of a number is open in
    /// any of its processes.
    pub(super) fn drop_closed(&mut self, owner: GenerationId, open: &dyn Fn(u64) -> bool) {
        self.drop_all(|member| member.owner == owner && !member.waits && !open(member.inode));
    }

    /// Closes some sockets. Of datagram sockets the others are not hushed meanwhile, for that would lose datagrams.
    fn drop_all(&mut self, which: impl Fn(&Member) -> bool) {
        let numbers: Vec<u64> = self.members.iter().filter(|member| which(member)).map(|one| one.number).collect();
        let Some(_) = numbers.first() else { return };
        if self.place.transport == Transport::Tcp {
            self.leave(|member| numbers.contains(&member.number));
            self.members.retain(|member| !numbers.contains(&member.number));
            if self.members.is_empty() && self.carrier.take().is_some() {
                (self.group, self.attached) = (Group::default(), None);
            }
            return;
        }
        for number in numbers {
            // The last one moves into the hole: until that is done nobody is sent to it, if there are others.
            self.attach_but(self.group.last()).ok();
            self.group.leave(number);
            let gone = self.members.extract_if(.., |member| member.number == number).last();
            if let Some(gone) = gone.filter(|gone| !self.members.is_empty() || is_connected(&gone.socket)) {
                self.clients |= left::close(gone.socket);
            } // else it may have been left with endless (FDSTORE=1, sd_notify(3)), and serve the next copy.
        }
        self.attach().ok();
    }

    /// The sockets of a generation that has ended wait, with their queues, for another.
    pub(super) fn rename(&mut self, from: GenerationId, to: GenerationId) {
        for member in self.members.iter_mut().filter(|member| member.owner == from) {
            (member.owner, member.waits) = (to, true);
        }
        if self.active == from {
            self.active = to;
        }
    }

    /// Gives a copy a socket that waits for it: `put` puts it in place of the one it is about to bind. None: none waits.
    pub(super) fn hand_over(
        &mut self,
        owner: GenerationId,
        put: impl Fn(BorrowedFd<'_>) -> nix::Result<()>,
    ) -> Option<nix::Result<()>> {
        // One that was connected was a client's: nobody else gets through to it.
        let fits = |member: &&mut Member| member.owner == owner && member.waits && !is_connected(&member.socket);
        let member = self.members.iter_mut().find(fits)?;
        let answer = put(member.socket.as_fd());
        member.waits = answer.is_err();
        self.attach().ok();
        Some(answer)
    }

    /// Whether a socket waits for it.
    pub(super) fn any_waits(&self, owner: GenerationId) -> bool {
        self.members.iter().any(|member| member.owner == owner && member.waits)
    }

    /// Closes what still waits for a generation that does not need it.
    pub(super) fn drop_waiting(&mut self, owner: GenerationId) {
        self.drop_all(|member| member.owner == owner && member.waits);
    }

    /// Ends listening on some sockets, which takes them out of the group. The steering program has no index of them first.
    fn leave(&mut self, which: impl Fn(&Member) -> bool) {
        self.forget_closed();
        // Until the program is right again nobody is to get a connection but the active generation.
        let others = self.members.iter().filter(|member| member.owner != self.active && self.members.len() > 2);
        let hushed = Hushed::all(others.map(|member| member.socket.as_fd()));
        let leaving: Vec<u64> = self.members.iter().filter(|member| which(member)).map(|one| one.number).collect();
        for number in leaving {
            self.leave_one(number);
        }
        self.attach().ok();
        hushed.end();
    }
}
