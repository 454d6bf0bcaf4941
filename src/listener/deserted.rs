//! Sockets that copies made by themselves and have closed since: endless' own descriptor keeps them open, and whoever
//! comes there waits for nobody.

use super::listeners::Listeners;
use super::port::Port;
use super::queue::anybody_waits;
use crate::words::GenerationId;
use nix::sys::stat::fstat;
use std::collections::HashSet;
use std::os::fd::BorrowedFd;

/// With more listeners than this a look through all of them takes its time, so it is worth a question first.
const MANY: usize = 256;

impl Listeners {
    /// The sockets a generation made by itself, each with the place of its listener.
    pub fn made(&self, generation: GenerationId) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let any = self.list.len() <= MANY || !self.asked.is_empty();
        let list = self.list.iter().enumerate().filter(move |_| any);
        let theirs = list.filter(move |(_, one)| !matches!(one.port, Port::Name(_)) && one.has_captured(generation));
        theirs.flat_map(move |(at, one)| one.own_seats(generation).map(move |seat| (at, seat)))
    }

    /// Whether a generation has more than one socket at a listener.
    #[must_use]
    pub fn has_several(&self, at: usize, generation: GenerationId) -> bool {
        self.list.get(at).is_some_and(|one| one.own_seats(generation).nth(1).is_some())
    }

    /// The numbers of the sockets only this generation has, made by itself or not.
    #[must_use]
    pub fn own_sockets(&self, generation: GenerationId) -> HashSet<u64> {
        let seats = self.list.iter().flat_map(|one| one.own_seats(generation));
        seats.filter_map(|seat| fstat(seat).ok()).map(|file| file.st_ino).collect()
    }

    /// Whether somebody waits at one of those of one listener.
    #[must_use]
    pub fn anybody_at(&self, at: usize, generation: GenerationId) -> bool {
        self.list.get(at).is_some_and(|one| one.has_captured(generation) && anybody_waits(one.own_seats(generation)))
    }

    /// Closes those of one listener that are not open in the copy any more. True when there were any.
    pub fn drop_deserted(&mut self, at: usize, generation: GenerationId, open: &dyn Fn(u64) -> bool) -> bool {
        let Some(listener) = self.list.get_mut(at) else { return false };
        let before = listener.own_seats(generation).count();
        match &mut listener.port {
            Port::Captured(captured) => captured.drop_closed(generation, open),
            Port::Path(path) if path.captured => path.drop_closed(generation, open),
            _ => {}
        }
        listener.own_seats(generation).count() < before
    }
}
