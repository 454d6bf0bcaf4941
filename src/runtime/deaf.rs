//! A generation that is said to serve takes what comes to its sockets. Where somebody waits there and is not taken, a line
//! says so. Nothing is asked of it for that: the first client shows it, and until then nothing wakes.

use super::copy::Copy;
use super::{Runtime, clock};
use crate::listener::Untaken;
use crate::notice::{Notice, Trouble};
use crate::plan::ReadyMode;
use crate::words::{GenerationId, Moment, ReadySign};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// So long nobody of those who wait may be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks. A server that takes its clients has taken the first one before the first look.
const PAUSE: Duration = Duration::from_secs(1);
/// So many of the listeners where nobody is taken are named.
const MOST_NAMED: usize = 4;

/// What is left to be seen of a generation that is active, and was not seen to take a client.
#[derive(Debug, Serialize, Deserialize)]
pub struct Suspicion {
    /// The listeners where nothing was seen of it yet.
    listeners: BTreeSet<usize>,
    /// Those of them where somebody waits.
    #[serde(skip)]
    waiting: BTreeMap<usize, Wait>,
}

/// What was seen at one listener.
#[derive(Debug)]
struct Wait {
    since: Moment,
    next: Moment,
    who: Option<Untaken>,
}

impl Suspicion {
    /// Somebody waits at a listener, which may be over in a moment. All are looked at together, so that those where nobody is
    /// taken are told together.
    fn begin(&mut self, at: usize, now: Moment) {
        let next = self.next().unwrap_or(now + PAUSE);
        self.waiting.entry(at).or_insert(Wait { since: now, next, who: None });
    }

    fn next(&self) -> Option<Moment> {
        self.waiting.values().map(|wait| wait.next).min()
    }

    /// Takes what was seen at a listener. True when the same clients have waited for too long.
    fn judge(&mut self, at: usize, who: Result<Option<Untaken>, Errno>, now: Moment) -> bool {
        let (Some(wait), Ok(Some(_)) | Err(_)) = (self.waiting.get_mut(&at), &who) else {
            self.waiting.remove(&at);
            self.listeners.remove(&at);
            return false;
        };
        wait.next = now + PAUSE;
        // Where the kernel has not told, the next look says more.
        let Ok(Some(who)) = who else { return false };
        if wait.who.as_ref().is_none_or(|before| !who.are_still(before)) {
            (wait.since, wait.who) = (now, Some(who));
        }
        now.since(wait.since) >= PATIENCE
    }
}

impl Runtime {
    /// A generation is active. What it was not seen to do is waited for.
    pub(super) fn suspect(&mut self, generation: GenerationId, sign: &ReadySign) {
        let asked_there = matches!(self.plan.readiness.mode, ReadyMode::ProbeHttp(_));
        let seen = matches!(sign, ReadySign::Accepted) || asked_there && matches!(sign, ReadySign::Answered(_));
        if seen {
            return;
        }
        let listeners = self.listeners.handed(generation).collect();
        if let Some(copy) = self.copies.get_mut(&generation) {
            copy.suspicion = Some(Suspicion { listeners, waiting: BTreeMap::new() });
        }
    }

    /// The generation that is looked at now, if any: the one clients go to. True when there is no other.
    fn suspect_now(&self) -> Option<(&Copy, bool)> {
        let active = self.supervisor.active().filter(|_| !self.supervisor.stopping())?;
        let copy = self.copies.get(&active).filter(|copy| copy.executes())?;
        Some((copy, self.copies.len() == 1))
    }

    /// The sockets where its first client is waited for, each with the place of its listener.
    pub(super) fn unseen(&self) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let suspect =
            self.suspect_now().and_then(|(copy, alone)| Some((copy.generation, copy.suspicion.as_ref()?, alone)));
        suspect.into_iter().flat_map(move |(generation, suspicion, alone)| {
            let quiet = suspicion.listeners.iter().filter(|at| !suspicion.waiting.contains_key(at));
            quiet.filter_map(move |at| Some((*at, self.listeners.handed_seat(*at, generation, alone)?)))
        })
    }

    /// Somebody has come to one of them.
    pub(super) fn somebody_waits(&mut self, at: usize) {
        let active = self.supervisor.active().and_then(|active| self.copies.get_mut(&active));
        if let Some(suspicion) = active.and_then(|copy| copy.suspicion.as_mut()) {
            suspicion.begin(at, clock::now());
        }
    }

    /// When to look next.
    pub(super) fn suspect_due(&self) -> Option<Moment> {
        self.suspect_now()?.0.suspicion.as_ref()?.next()
    }

    /// Looks whether those who waited are taken.
    pub(super) fn look_at_suspect(&mut self, now: Moment) {
        let Some((copy, alone)) = self.suspect_now() else { return };
        let generation = copy.generation;
        let waiting = copy.suspicion.iter().flat_map(|suspicion| &suspicion.waiting);
        let due: Vec<usize> = waiting.filter(|(_, wait)| wait.next <= now).map(|(at, _)| *at).collect();
        let mut deaf = Vec::new();
        for at in due {
            let others = self.copies.values().filter(|copy| copy.generation != generation);
            let others = others.filter_map(|copy| copy.drain.as_ref()?.watch.as_ref());
            let seat = self.listeners.handed_seat(at, generation, alone);
            let seen = seat.map(|seat| self.listeners.untaken(at, seat, others));
            let suspicion = self.copies.get_mut(&generation).and_then(|copy| copy.suspicion.as_mut());
            let Some(suspicion) = suspicion else { return };
            let Some(who) = seen else {
                // Other generations use that socket now.
                suspicion.waiting.remove(&at);
                continue;
            };
            if suspicion.judge(at, who, now) {
                deaf.push(at);
            }
        }
        if !deaf.is_empty() {
            self.deaf(generation, &deaf);
        }
    }

    fn deaf(&mut self, generation: GenerationId, at: &[usize]) {
        if let Some(copy) = self.copies.get_mut(&generation) {
            copy.suspicion = None;
        }
        let mut listeners: Vec<String> = at.iter().take(MOST_NAMED).map(|at| self.listeners.name_of(*at)).collect();
        if at.len() > MOST_NAMED {
            listeners.push(format!("{} more", at.len() - MOST_NAMED));
        }
        self.tell(&Notice::Diagnosis { generation, what: Trouble::Deaf { listeners, after: PATIENCE } });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_looked_at_again_where_the_kernel_has_not_told() {
        let mut suspicion = Suspicion { listeners: BTreeSet::from([0, 1]), waiting: BTreeMap::new() };
        let now = Moment(Duration::from_secs(7));
        [0, 1].into_iter().for_each(|at| suspicion.begin(at, now));
        let later = now + PAUSE;
        assert!(!suspicion.judge(0, Err(Errno::EMFILE), later));
        assert!(!suspicion.judge(1, Ok(None), later));
        assert_eq!((suspicion.listeners, suspicion.waiting.len()), (BTreeSet::from([0]), 1));
        assert_eq!(suspicion.waiting[&0].next, later + PAUSE);
    }
}
