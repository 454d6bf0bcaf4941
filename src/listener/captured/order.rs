//! Where the sockets at a captured address stand in their group, and which of them the steering program chooses.

use super::{Captured, Member};
use crate::listener::inet::{Place, Transport};
use crate::listener::program::Steering;
use crate::sys::socket::{hear, hush, interface, listens, number, steer};
use crate::words::GenerationId;
use nix::sys::socket::{Shutdown, shutdown};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The number of a socket that somebody else has put into the group.
const STRANGER: u64 = u64::MAX;

impl Captured {
    pub(super) fn join(&mut self, owner: GenerationId, socket: OwnedFd) {
        let inode = number(&socket);
        // One that was shut down and listens again is the same.
        let known = self.members.iter().find(|member| member.owner == owner && member.inode == inode && inode != 0);
        if let Some(number) = known.map(|member| member.number) {
            self.group.join(number);
        } else {
            self.last += 1;
            self.group.join(self.last);
            self.members.push(Member { number: self.last, owner, socket, inode, waits: false });
        }
        self.attach().ok();
    }

    /// A copy may have shut its socket down, which takes it out of the group.
    pub(super) fn forget_closed(&mut self) {
        let closed = |member: &&Member| self.place.transport == Transport::Tcp && !listens(&member.socket);
        for member in self.members.iter().filter(closed) {
            self.group.leave(member.number);
        }
    }

    /// Where a generation's sockets are in the group: those it asked for, or, as long as there is none, those that wait.
    pub(super) fn indices(&self, owner: GenerationId) -> Vec<usize> {
        let index = |member: &Member| Some((member.waits, self.group.index(member.number)?));
        let own: Vec<_> = self.members.iter().filter(|member| member.owner == owner).filter_map(index).collect();
        let asked_for = own.iter().any(|(waits, _)| !waits);
        own.into_iter().filter(|(waits, _)| !(*waits && asked_for)).map(|(_, index)| index).collect()
    }

    /// Puts the program wanted now on the group. Where the active generation has no socket, its newest neighbour serves.
    pub(super) fn attach(&mut self) -> nix::Result<()> {
        self.attach_but(None)
    }

    /// The same without one of the members everybody goes to, unless it is the only one.
    pub(super) fn attach_but(&mut self, avoided: Option<usize>) -> nix::Result<()> {
        let in_group = |member: &&Member| self.group.index(member.number).is_some();
        let mut everybody = self.indices(self.active);
        if everybody.is_empty() {
            let newest = self.members.iter().filter(in_group).map(|member| member.owner).max();
            everybody = newest.map(|newest| self.indices(newest)).unwrap_or_default();
        }
        if everybody.len() > 1 {
            everybody.retain(|index| Some(*index) != avoided);
        }
        let probe = self.probe.filter(|(_, to)| *to != self.active);
        let probe = probe.and_then(|(client, to)| Some((client, *self.indices(to).first()?)));
        let wanted = Steering { everybody, sticky: self.place.transport == Transport::Udp, probe };
        if self.attached.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let Some(member) = self.members.iter().find(in_group) else { return Ok(()) };
        match &self.carrier {
            Some(carrier) => carrier.steer(&wanted.program())?,
            None => steer(member.socket.as_fd(), &wanted.program())?,
        }
        self.attached = Some(wanted);
        Ok(())
    }

    /// Ends listening on one. A stranger cannot be hushed: beside one the program is right for afterwards first, and the socket
    /// that goes is hushed, which is the one it chooses until then.
    pub(super) fn leave_one(&mut self, number: u64) {
        let Some(at) = self.members.iter().position(|member| member.number == number) else { return };
        let strangers = self.has_strangers();
        // Where there are others than the active one it is hushed already.
        let hushed = strangers && hush(self.members[at].socket.as_fd());
        self.group.leave(number);
        if strangers {
            self.attach().ok();
        }
        shutdown(self.members[at].socket.as_raw_fd(), Shutdown::Both).ok();
        if hushed {
            hear(self.members[at].socket.as_fd());
        }
    }

    /// Where its group is, and the interface the sockets are bound to; None where strangers cannot be counted: what an MPTCP
    /// server listens on is several sockets.
    pub(in crate::listener) fn group_at(&self) -> Option<(Place, i32)> {
        let countable = self.place.transport == Transport::Tcp && self.carrier.is_none();
        countable.then(|| (self.place, self.members.first().map_or(0, |member| interface(&member.socket))))
    }

    /// Whether somebody else was seen in the group.
    pub(in crate::listener) fn has_strangers(&self) -> bool {
        self.group.index(STRANGER).is_some()
    }

    /// There are so many sockets in the group. To be called before one joins, for it stands behind them, and before everybody
    /// is sent elsewhere.
    pub(in crate::listener) fn recount(&mut self, members: usize) {
        self.forget_closed();
        self.group.recount(members, STRANGER);
    }
}
