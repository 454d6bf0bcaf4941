//! The promises about what is left after a step, about time that passes, and about the end of all events.

use crate::ledger::{Asked, Kept, Ledger, Owned, Seen, promise};
use endless::plan::{DrainMode, Respawn, SignalAction};
use endless::supervisor::{Event, Wait};
use endless::words::{GenerationId, Moment};
use std::time::Duration;

impl Ledger {
    /// After all actions of one step.
    pub fn after_step(&self, event: &Event, deadline: Option<Moment>) -> Kept {
        if self.finished.is_some() {
            return Ok(());
        }
        let zero = Some(Duration::ZERO);
        let immediate = self.policy.hammer == zero || Some(self.policy.drain.limit) == zero;
        let spins = *event == Event::Tick && deadline.is_some_and(|deadline| deadline <= self.now);
        promise(7, !spins || immediate, || "after a Tick the next deadline is not in the future".into())?;
        self.hammered()?;
        let stuck = self.generations.iter().find(|(_, seen)| seen.tripped && seen.serving()).map(|(id, _)| id);
        promise(4, stuck.is_none(), || format!("generation {stuck:?} has said that it is stuck, and is not killed"))?;
        let untold = self.generations.iter().find(|(_, seen)| seen.stop.is_some() && untold(seen));
        promise(4, untold.is_none(), || format!("what is left of {:?} is not told to stop", untold.map(|(id, _)| id)))?;
        if self.stop_maybe() || !self.ever_ready {
            return Ok(());
        }
        let serving = self.serving();
        promise(10, serving.is_none() || self.steered == serving, || {
            format!("new connections go to {:?} and {serving:?} serves", self.steered)
        })?;
        let hope = self.candidate().filter(|_| serving.is_none());
        promise(10, hope.is_none() || self.steered == hope, || {
            format!("nothing serves, and new connections do not wait for the candidate {hope:?}")
        })?;
        let whole = self.generations.values().filter(|seen| seen.serving() && seen.drain.is_none());
        promise(4, whole.count() <= 2, || "more than one guard beside the active generation".into())?;
        let alive = self.generations.values().filter(|seen| seen.ready.is_some() && !seen.ended());
        let retiring = alive.filter(|seen| seen.retiring().is_some());
        let many = retiring.count() > self.policy.max_retiring;
        let ending = serving.is_none() && self.may_end();
        promise(4, !many || ending, || "more generations retire than --max-retiring".into())?;
        let left = self.generations.iter().find(|(_, seen)| left_behind(seen));
        promise(6, left.is_none(), || format!("the failed candidate {:?} is not killed", left.map(|(id, _)| id)))
    }

    /// A hammer that was asked for falls on everything that retires, at once.
    fn hammered(&self) -> Kept {
        let spared = self.generations.iter().find(|(_, seen)| seen.retiring().is_some());
        let alive = self.generations.iter().find(|(_, seen)| !seen.gone && seen.kill.is_none() && !seen.not_started);
        promise(4, !self.hammer_all || alive.is_none(), || {
            format!("a second stop spares {:?}", alive.map(|(id, _)| id))
        })?;
        promise(4, !self.hammer_now || spared.is_none(), || format!("the hammer spares {:?}", spared.map(|(id, _)| id)))
    }

    /// The clock is about to go on to `next`: everything due before it must have been done.
    pub fn before(&self, next: Moment) -> Kept {
        for (id, seen) in self.generations.iter().filter(|(_, seen)| !seen.gone && seen.kill.is_none()) {
            self.hammer_in_time(*id, seen, next)?;
            self.ready_in_time(*id, seen, next)?;
            self.stopped_in_time(*id, seen, next)?;
            let silent = self.policy.watchdog.zip(seen.alive).map(|(interval, alive)| alive + interval);
            let silent = silent.filter(|_| seen.serving() && self.steered == Some(*id) && !self.stop_maybe());
            promise(4, silent.is_none_or(|due| due >= next), || format!("generation {id} was stuck at {silent:?}"))?;
        }
        self.superseded_in_time(next)
    }

    fn hammer_in_time(&self, id: GenerationId, seen: &Seen, next: Moment) -> Kept {
        let due =
            seen.retiring().and_then(|begun| Some((begun + self.policy.hammer?).max(seen.more.unwrap_or_default())));
        promise(4, due.is_none_or(|due| due >= next), || format!("the hammer of generation {id} was due at {due:?}"))
    }

    fn ready_in_time(&self, id: GenerationId, seen: &Seen, next: Moment) -> Kept {
        let due = self.policy.ready_timeout.filter(|_| seen.candidate()).map(|timeout| seen.spawned + timeout);
        let due = due.map(|due| due.max(seen.more.unwrap_or_default()));
        promise(6, due.is_none_or(|due| due >= next), || format!("generation {id} was to be ready at {due:?}"))
    }

    fn stopped_in_time(&self, id: GenerationId, seen: &Seen, next: Moment) -> Kept {
        let due = seen.drain.filter(|_| seen.serving()).map(|drain| drain + self.policy.drain.limit);
        promise(4, due.is_none_or(|due| due >= next), || format!("the drain of generation {id} was over at {due:?}"))?;
        let wake = seen.stop.filter(|_| !seen.shut && seen.seats == Owned::Here && !seen.ended());
        let wake = wake.map(|stop| stop + Duration::from_millis(250));
        promise(4, wake.is_none_or(|due| due >= next), || format!("the seats of {id} were to be shut at {wake:?}"))?;
        // An older one beside the active one: its guard ends with the probation.
        let active = self.steered.filter(|active| *active > id && seen.serving() && seen.drain.is_none());
        let ready = active.and_then(|active| self.generations[&active].ready);
        let over = ready.filter(|_| !self.stop_maybe()).map(|ready| ready + self.policy.probation);
        let mode = self.policy.drain.mode == DrainMode::Off;
        promise(1, over.is_none_or(|due| due >= next), || {
            format!("the guard {id} was to retire at {over:?} (drain off: {mode})")
        })
    }

    fn superseded_in_time(&self, next: Moment) -> Kept {
        let Some(id) = self.candidate().filter(|_| !self.stop_maybe()) else { return Ok(()) };
        let seen = &self.generations[&id];
        let waiting = self
            .unanswered()
            .any(|asked| asked.request.what == SignalAction::Restart && asked.step > seen.spawned_at_step);
        let due = self.policy.supersede.filter(|_| waiting).map(|age| seen.spawned + age);
        promise(3, due.is_none_or(|due| due >= next), || format!("generation {id} was to be superseded at {due:?}"))
    }

    /// The policy ends endless now that nothing serves.
    pub fn may_end(&self) -> bool {
        let over = match self.policy.respawn {
            Respawn::Never => true,
            Respawn::OnFailure => self.clean_end,
            Respawn::Always => false,
        };
        over || self.may_give_up || !self.ever_ready
    }

    /// No event is owed and no deadline is set: then something serves and nothing else is going on.
    pub fn at_rest(&self) -> Kept {
        if self.finished.is_some() {
            return Ok(());
        }
        let hangs = self.candidate().is_some() && self.policy.ready_timeout.is_none();
        let serves = self.serving().is_some();
        let patient = self.policy.hammer.is_none();
        let left = self.generations.values().filter(|seen| !seen.gone);
        let busy_end = left.clone().any(Seen::told);
        let busy = left.clone().any(|seen| !(seen.candidate() || seen.serving() || patient && seen.told()));
        promise(7, !busy, || "asleep for ever with a generation on its way out".into())?;
        if self.stop_since.is_some() {
            return promise(7, patient && left.count() > 0, || "asleep for ever instead of finishing a stop".into());
        }
        let ending = patient && left.count() > 0 && self.may_end();
        promise(7, serves || hangs || ending, || "asleep for ever and nothing serves".into())?;
        let waits = |asked: &&Asked| patient && busy_end && asked.request.wait == Wait::Gone;
        let open = self.unanswered().find(|asked| !waits(asked));
        promise(8, open.is_none() || hangs || ending, || format!("asleep for ever without an answer to {open:?}"))
    }
}

/// Promise 6: a candidate whose main process has ended is killed with all of it.
fn left_behind(seen: &Seen) -> bool {
    seen.ready.is_none() && seen.exited.is_some() && !seen.not_started && !seen.gone && seen.kill.is_none()
}

/// Its main process has ended, and what it may have left behind does not know that it is to stop.
fn untold(seen: &Seen) -> bool {
    seen.exited.is_some() && !seen.gone && seen.kill.is_none() && seen.survived.is_none()
}
