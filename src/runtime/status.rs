//! How things are, for `endless status`.

use super::copy::Copy;
use super::{Runtime, clock};
use crate::control::{GenerationStatus, LastStart, ListenerStatus, Status};
use crate::notice::Notice;
use crate::supervisor::{Generation, State};
use crate::words::{Failure, GenerationId, Moment, version};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How the newest start that is decided ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Decided {
    generation: u32,
    ok: bool,
    pub(super) reason: String,
    at: Moment,
}

impl Decided {
    /// What a notice says about it.
    pub(super) fn of(notice: &Notice, at: Moment) -> Option<Decided> {
        let (generation, ok, reason) = match notice {
            Notice::Ready { generation, sign, .. } => (generation, true, sign.to_string()),
            Notice::Failed { generation, failure, .. } => (generation, false, failure.to_string()),
            Notice::HandedBack { from, exit, .. } => (from, false, Failure::Crashed(*exit).to_string()),
            _ => return None,
        };
        Some(Decided { generation: generation.0, ok, reason, at })
    }
}

/// How many connections the generations have open.
pub(super) type Open = BTreeMap<GenerationId, usize>;

impl Runtime {
    pub(super) fn status_now(&mut self) -> Status {
        let now = clock::now();
        // Who asks a thousand times at once keeps the loop busy no longer than who asks once.
        let open = self.counted.take().unwrap_or_else(|| self.open_connections(now));
        let generations = self.supervisor.generations().rev();
        let generations = generations.map(|one| self.generation_status(one, now, &open)).collect();
        self.counted = Some(open);
        Status {
            generations,
            name: self.plan.name.clone(),
            pid: std::process::id(),
            endless: version().to_owned(),
            command: self.plan.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            state: self.state().to_owned(),
            uptime_ms: millis(now.since(self.began)),
            active: self.supervisor.active().map(|active| active.0),
            respawn_ms: self.supervisor.respawn_due().map(|due| millis(due.since(now))),
            last_start: self.decided.as_ref().map(|decided| LastStart {
                generation: decided.generation,
                ok: decided.ok,
                reason: decided.reason.clone(),
                ago_ms: millis(now.since(decided.at)),
            }),
            listeners: self
                .listeners
                .addresses()
                .map(|bound| ListenerStatus { name: bound.name.to_string(), address: bound.address.to_string() })
                .collect(),
        }
    }

    /// What each generation that serves or has served has open: an older one what was written down when new connections went
    /// elsewhere and is not over, the active one the rest.
    fn open_connections(&self, now: Moment) -> Open {
        let watched = |copy: &Copy| Some(copy.drain.as_ref()?.watch.as_ref()?.cookies().collect());
        let known: BTreeMap<GenerationId, HashSet<u64>> =
            self.copies.iter().filter_map(|(id, copy)| Some((*id, watched(copy)?))).collect();
        let ours = |id: GenerationId, cookie: u64| match known.get(&id) {
            Some(own) => own.contains(&cookie),
            None => !known.values().any(|other| other.contains(&cookie)),
        };
        self.listeners.accepted(known.keys().copied().chain(self.supervisor.active()), now, ours)
    }

    fn state(&self) -> &'static str {
        let starting = self.supervisor.generations().any(|one| matches!(one.state, State::Starting { .. }));
        match self.supervisor.active() {
            _ if self.supervisor.stopping() => "stopping",
            Some(_) if self.supervisor.attempting() => "restarting",
            Some(_) => "serving",
            None if starting => "starting",
            None => "down",
        }
    }

    fn generation_status(&self, one: &Generation, now: Moment, open: &Open) -> GenerationStatus {
        let copy = self.copies.get(&one.id);
        let hammer = one.hammer_at.filter(|_| one.retiring());
        GenerationStatus {
            generation: one.id.0,
            pid: self.pids.get(&one.id).copied().filter(|_| copy.is_some_and(|copy| !copy.main_ended())),
            state: name(one.state).to_owned(),
            age_ms: millis(now.since(one.spawned)),
            open: open.get(&one.id).and_then(|count| u32::try_from(*count).ok()),
            queued: self.listeners.queued(one.id),
            hammer_ms: hammer.map(|at| millis(at.since(now))),
            status: copy.and_then(|copy| copy.status.clone()),
        }
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Starting { .. } => "starting",
        State::Active => "active",
        State::Guarding { .. } => "guarding",
        State::Draining { .. } => "draining",
        State::Stopping { .. } => "stopping",
        State::Killed => "killed",
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
