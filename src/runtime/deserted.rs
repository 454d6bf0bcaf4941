//! A copy may close a socket it made, and make none in its place: a server that reads its configuration again and has
//! another port or fewer workers then. Nothing tells of a close(2), and clients would wait at endless' descriptor of it
//! for ever. The first one who is not taken shows it.

use super::copy::Copy;
use super::{Runtime, clock};
use crate::notice::{Level, Notice};
use crate::words::{GenerationId, Moment};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Between two looks at who waits.
const PAUSE: Duration = Duration::from_millis(50);
/// So many looks in a row somebody waits where nobody takes them.
const LOOKS: u8 = 3;
/// Where clients are taken, or wait for a server that is busy, the next look is put off, twice as long each time.
const LONGEST: Duration = Duration::from_secs(16);
/// So long at most where it has several sockets: some are served, and those who come to another one go on coming.
const SEVERAL: Duration = Duration::from_secs(1);

/// What is seen at the sockets a copy made.
#[derive(Debug, Default)]
pub struct Deserted {
    /// The listeners where somebody has come, by their places.
    come: BTreeMap<usize, Come>,
    /// How long the first look is put off.
    rest: Duration,
}

#[derive(Debug)]
struct Come {
    next: Moment,
    looks: u8,
}

impl Deserted {
    /// The copy makes another socket: it may close one as well.
    pub fn soon(&mut self) {
        *self = Deserted::default();
    }

    fn next(&self) -> Option<Moment> {
        self.come.values().map(|come| come.next).min()
    }

    /// Somebody was seen to wait, or not. True when it is time to ask whose socket it is.
    fn judge(&mut self, at: usize, waits: bool, now: Moment) -> bool {
        let Some(come) = self.come.get_mut(&at) else { return false };
        (come.next, come.looks) = (now + PAUSE, come.looks + 1);
        if waits && come.looks < LOOKS {
            return false;
        }
        self.come.remove(&at);
        self.rest = (self.rest * 2).clamp(PAUSE, LONGEST);
        waits
    }
}

/// So many sockets are not all waited for while a candidate makes its own.
const VERY_MANY: usize = 256;

impl Runtime {
    /// The copy clients go to, if it makes its own sockets.
    fn maker(&self) -> Option<&Copy> {
        let active = self.supervisor.active().filter(|_| !self.supervisor.stopping())?;
        self.copies.get(&active).filter(|copy| copy.executes() && self.captures.contains_key(&active))
    }

    /// The sockets where it is to be seen that somebody comes, each with the place of its listener. None while there are very
    /// many and a candidate makes as many, for each call of it is a turn of the loop.
    pub(super) fn made(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let makes = |copy: &Copy| copy.watch.is_some() && self.captures.contains_key(&copy.generation);
        let candidate = self.copies.values().any(makes);
        let many = |copy: &&Copy| self.listeners.made(copy.generation).nth(VERY_MANY).is_some();
        self.maker().filter(|copy| !(candidate && many(copy))).into_iter().flat_map(|copy| {
            let made = self.listeners.made(copy.generation);
            made.filter(|(at, _)| !copy.deserted.come.contains_key(at))
        })
    }

    /// Somebody has come to one of them.
    pub(super) fn somebody_came(&mut self, at: usize) {
        let Some(active) = self.supervisor.active() else { return };
        let longest = if self.listeners.has_several(at, active) { SEVERAL } else { LONGEST };
        if let Some(deserted) = self.copies.get_mut(&active).map(|copy| &mut copy.deserted) {
            deserted.come.insert(at, Come { next: clock::now() + deserted.rest.clamp(PAUSE, longest), looks: 0 });
        }
    }

    /// When to look next.
    pub(super) fn deserted_due(&self) -> Option<Moment> {
        self.maker()?.deserted.next()
    }

    /// Looks whether those who came are taken, and closes what nobody has open any more.
    pub(super) fn look_at_deserted(&mut self, now: Moment) {
        let Some(copy) = self.maker() else { return };
        let generation = copy.generation;
        let due = copy.deserted.come.iter().filter(|(_, come)| come.next <= now);
        for at in due.map(|(at, _)| *at).collect::<Vec<_>>() {
            let waits = self.listeners.anybody_at(at, generation);
            let Some(copy) = self.copies.get_mut(&generation) else { return };
            if copy.deserted.judge(at, waits, now) {
                self.ask_whose(at, generation);
            }
        }
    }

    fn ask_whose(&mut self, at: usize, generation: GenerationId) {
        let name = self.listeners.name_of(at);
        let dropped = self.with_open(generation, |listeners, open| listeners.drop_deserted(at, generation, open));
        if dropped == Some(true) {
            let text = format!("generation {generation} has closed its socket at {name}: it is closed here, too");
            self.tell(&Notice::Note { level: Level::Normal, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_after_three_looks_and_a_busy_server_less_and_less() {
        let (mut deserted, now) = (Deserted::default(), Moment::default());
        let come = |deserted: &mut Deserted| deserted.come.insert(0, Come { next: now, looks: 0 });
        for rest in [50, 100, 200] {
            come(&mut deserted);
            assert_eq!([true; 3].map(|waits| deserted.judge(0, waits, now)), [false, false, true]);
            assert_eq!((deserted.rest, deserted.next()), (Duration::from_millis(rest), None));
        }
        for _ in 0..20 {
            come(&mut deserted);
            assert!(!deserted.judge(0, true, now) && !deserted.judge(0, false, now), "they were taken");
        }
        assert_eq!(deserted.rest, LONGEST);
        deserted.soon();
        assert!(deserted.rest.is_zero());
    }
}
