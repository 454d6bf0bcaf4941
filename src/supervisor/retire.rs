//! From active to gone: guard, drain, stop, hammer; and what happens when a generation ends by itself.

use super::{Action, HookContext, State, StopReason, Supervisor};
use crate::notice::Notice;
use crate::plan::DrainMode;
use crate::words::{Exit, Failure, GenerationId, HookPoint, Moment};
use std::time::Duration;

/// A server stuck in a blocking accept is woken this long after its stop signal. One that looks for a stop ten times a second
/// has closed its listeners by then; an event loop that has not would fail in accept(2) again and again.
const SHUT_AFTER: Duration = Duration::from_millis(250);

impl Supervisor {
    /// The generation that was active until now is kept whole beside the new one.
    pub(super) fn guard(&mut self, id: GenerationId, until: Moment) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.state = State::Guarding { until };
            self.report(Notice::Guarding { generation: id, length: self.policy.probation });
        }
    }

    /// One guard at a time: the earlier one retires.
    pub(super) fn retire_guards(&mut self, now: Moment) {
        let guards = self.generations.values().filter(|one| matches!(one.state, State::Guarding { .. }));
        for id in guards.map(|one| one.id).collect::<Vec<_>>() {
            self.retire(now, id);
        }
    }

    pub(super) fn retire(&mut self, now: Moment, id: GenerationId) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.hammer_at = self.policy.hammer.map(|hammer| now + hammer);
        generation.retired = Some(now);
        generation.state = State::Draining { limit: now + self.policy.drain.limit };
        self.report(Notice::Retiring { generation: id });
        match self.policy.drain.mode {
            DrainMode::Off => self.stop_retired(now, id),
            DrainMode::Queue | DrainMode::Quiet | DrainMode::Soft => self.out.push(Action::Drain(id)),
        }
        self.hammer_surplus();
    }

    /// One more has begun to retire, or what ended before has left something behind: more than `--max-retiring` are too many,
    /// and the oldest are hammered.
    pub(super) fn hammer_surplus(&mut self) {
        let retiring: Vec<_> = self.generations.values().filter(|one| one.retiring()).map(|one| one.id).collect();
        let surplus = retiring.len().saturating_sub(self.policy.max_retiring);
        for id in retiring.into_iter().take(surplus) {
            self.hammer(id);
        }
    }

    pub(super) fn drained(&mut self, now: Moment, id: GenerationId) {
        if self.generations.get(&id).is_some_and(|one| matches!(one.state, State::Draining { .. })) {
            self.stop_retired(now, id);
        }
    }

    pub(super) fn stop_retired(&mut self, now: Moment, id: GenerationId) {
        self.stop(now, id, StopReason::Retired);
    }

    pub(super) fn stop(&mut self, now: Moment, id: GenerationId, reason: StopReason) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let wake = reason != StopReason::Survived;
        generation.state = State::Stopping { shut_at: wake.then(|| now + SHUT_AFTER) };
        if generation.hammer_at.is_none() {
            generation.hammer_at = self.policy.hammer.map(|hammer| now + hammer);
        }
        self.out.push(Action::Stop(id, reason));
    }

    pub(super) fn shut_seats(&mut self, id: GenerationId) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.state = State::Stopping { shut_at: None };
            if generation.has_seats {
                self.out.push(Action::ShutSeats(id));
            }
        }
    }

    pub(super) fn hammer(&mut self, id: GenerationId) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.state = State::Killed;
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.note_hammer(id);
        }
        self.report(Notice::Hammered { generation: id });
        self.out.push(Action::Kill(id));
    }

    pub(super) fn exited(&mut self, now: Moment, id: GenerationId, exit: Exit) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.main_lives = false;
        match generation.state {
            State::Starting { .. } => self.candidate_ended(now, id, exit),
            State::Active => self.active_ended(now, id, exit),
            State::Guarding { .. } | State::Draining { .. } => {
                self.report(Notice::Exited { generation: id, exit, expected: false });
                self.stop(now, id, StopReason::Survived);
            }
            State::Stopping { .. } | State::Killed => {
                let killed = generation.state == State::Killed;
                self.active.take_if(|active| *active == id);
                self.report(Notice::Exited { generation: id, exit, expected: true });
                if !killed {
                    self.out.push(Action::Stop(id, StopReason::Survived));
                }
            }
        }
        // One that has just ended is no surplus: most leave nothing behind, and are gone in a moment.
        self.seats_free(now);
    }

    fn active_ended(&mut self, now: Moment, id: GenerationId, exit: Exit) {
        self.active = None;
        self.report(Notice::Exited { generation: id, exit, expected: false });
        self.stop(now, id, StopReason::Survived);
        self.bereft(now, id, exit);
    }

    /// What served does not serve any more: an older generation takes over, or a candidate, or a fresh one.
    pub(super) fn bereft(&mut self, now: Moment, id: GenerationId, exit: Exit) {
        let older = self.generations.values().rev().find(|one| one.can_take_over()).map(|one| one.id);
        if let Some(older) = older {
            self.hand_back(now, id, older, exit);
        } else {
            self.disproven(&Failure::Crashed(exit), id, None);
            self.forgive(now);
            // A restart that waits for room is one, too. Nor is there anything left that its hooks could keep from harm.
            self.hurried = self.remembered.len();
            if self.attempt_takes_over() || !self.remembered.is_empty() {
                self.respawn.bereft = Some((id, exit));
            } else {
                self.respawn_after_end(now, id, exit);
            }
        }
    }

    /// The newest older generation that was not told to stop serves again.
    fn hand_back(&mut self, now: Moment, from: GenerationId, to: GenerationId, exit: Exit) {
        self.steer(to);
        self.active = Some(to);
        self.decide_by(to);
        if let Some(older) = self.generations.get_mut(&to) {
            older.state = State::Active;
            older.retired = None;
            older.hammer_at = None;
            older.watch_from(now);
        }
        self.report(Notice::HandedBack { from, to, exit });
        let failure = Failure::Crashed(exit);
        let context = HookContext { generation: Some(from), old: Some(to), reason: failure.to_string() };
        self.run_hooks(HookPoint::Failed, context);
        self.disproven(&failure, from, Some(to));
    }

    pub(super) fn gone(&mut self, now: Moment, id: GenerationId) {
        let Some(generation) = self.generations.remove(&id) else { return };
        self.policies.remove(&id);
        if generation.ready.is_some() {
            self.report(Notice::Gone { generation: id });
            let context = HookContext { generation: Some(id), old: None, reason: String::new() };
            self.run_hooks(HookPoint::Retired, context);
        }
        let heirless = self.steered != Some(id) || self.shutdown.is_some();
        if generation.has_seats && heirless {
            self.out.push(Action::Release(id));
        }
        self.seats_free(now);
        self.answer_leaving();
        self.finish_when_empty();
    }
}
