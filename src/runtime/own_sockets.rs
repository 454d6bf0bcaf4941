//! Watching a candidate that makes its own sockets: it is to listen wherever the one before it does.

use super::Runtime;
use super::readiness::{Known, accepted};
use crate::listener::{Listeners, Probe, ProbeState};
use crate::notice::{Level, Notice};
use crate::words::{GenerationId, Moment, ReadySign};
use std::time::Duration;

/// An address at which only the older copies listen this long after the candidate began to listen somewhere was dropped, unless
/// they have been slow to listen there themselves.
const DROPPED: Duration = Duration::from_secs(3);
/// How long the first copy has for its first socket, before it is taken for a program that serves without any.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far a candidate is.
#[derive(Debug)]
pub struct OwnSockets {
    generation: GenerationId,
    began: Moment,
    settle: Duration,
    /// When one that has no socket is ready all the same, if the older copies have none either.
    patience: Moment,
    /// When it was first seen to listen.
    listened: Option<Moment>,
    /// How long after that an address it misses counts as dropped.
    dropped: Duration,
    probe: Option<Probe>,
    /// When the first connection was accepted.
    first: Option<Moment>,
}

impl OwnSockets {
    /// A candidate that was started now.
    pub fn begin(generation: GenerationId, known: Known, now: Moment, settle: Duration) -> OwnSockets {
        let patience = now + if known.alone { PATIENCE.max(settle) } else { settle };
        let dropped = DROPPED.max(known.others_late);
        OwnSockets { generation, began: now, settle, patience, dropped, listened: None, probe: None, first: None }
    }

    /// Looks; `Some` when it serves.
    pub fn look(&mut self, now: Moment, listeners: &mut Listeners) -> Option<ReadySign> {
        if self.probe.is_none() {
            let misses = listeners.misses_captured(self.generation);
            if !listeners.has_captured(self.generation) {
                let in_vain = !misses && self.patience <= now;
                return in_vain.then(|| ReadySign::Guessed(now.since(self.began)));
            }
            let since = now.since(*self.listened.get_or_insert(now));
            if misses && since < self.dropped {
                return None;
            }
            self.probe = Some(listeners.begin_probe(self.generation));
        }
        match self.probe.as_mut()?.check(listeners) {
            // Datagrams: nothing better can be known, unless it listens, too, a little later.
            ProbeState::Impossible => {
                self.probe.take()?.end(listeners);
                let settled = now.since(self.listened.unwrap_or(now)) >= self.settle;
                settled.then(|| ReadySign::Guessed(now.since(self.began)))
            }
            state => accepted(&state, false, &mut self.first, now, self.settle).then_some(ReadySign::Accepted),
        }
    }

    /// Puts the steering back to plain.
    pub fn end(self, listeners: &mut Listeners) {
        if let Some(probe) = self.probe {
            probe.end(listeners);
        }
    }
}

/// So many addresses are named.
const NAMED: usize = 3;

impl Runtime {
    /// A candidate is ready that does not listen everywhere. Whether it is still to come or was dropped only its people know.
    pub(super) fn tell_missed(&mut self, generation: GenerationId) {
        let missed = self.listeners.missed(generation);
        if missed.is_empty() {
            return;
        }
        let more = if missed.len() > NAMED { ", …" } else { "" };
        let text = format!(
            "generation {generation} does not listen at {}{more}, where the copy before it does: who comes there is refused once \
             that one has ended",
            missed[..missed.len().min(NAMED)].join(", ")
        );
        self.tell(&Notice::Note { level: Level::Normal, text });
    }
}
