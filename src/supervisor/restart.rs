//! An attempt: from the request for a fresh generation until that one is active or has failed.

use super::waiting::Proving;
use super::{Action, Generation, HookContext, HookRun, Outcome, Request, Seats, State, Supervisor, Wait};
use crate::notice::Notice;
use crate::plan::Lifecycle;
use crate::words::{Exit, Failure, GenerationId, HookPoint, Moment, ReadySign, Sig};
use serde::{Deserialize, Serialize};

/// One attempt to bring a fresh generation up. There is at most one at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Who is answered when it ends.
    pub(super) requests: Vec<Request>,
    /// The signals they came by whose `pre:` hooks are still to run.
    signals: Vec<Sig>,
    pub(super) stage: Stage,
    /// What the configuration says now, once it was read again.
    pub(super) policy: Option<Box<Lifecycle>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Nothing was done yet.
    Due,
    /// The `pre:` hooks of the signal run.
    Pre(HookRun),
    /// The configuration is read again.
    Reading,
    /// The `begin` hooks run.
    Begin(HookRun, GenerationId),
    /// The seats it is to inherit are still held by a process that was killed and has not ended.
    Waiting(GenerationId),
    /// It was started.
    Candidate(GenerationId),
}

impl Supervisor {
    pub(super) fn restart_asked(&mut self, now: Moment, request: Request) {
        if self.shutdown.is_some() {
            self.report(Notice::Refused { what: "restart", why: Failure::Stopping.to_string() });
            return self.answer(vec![request], &Outcome::Failed(Failure::Stopping));
        }
        let room = self.room_at().is_none_or(|at| at <= now);
        if self.attempt.is_none() && room && self.remembered.is_empty() {
            return self.begin_attempt(vec![request], 0);
        }
        if self.remembered.is_empty() {
            self.report(if self.attempt.is_none() { Notice::Crowded } else { Notice::Remembered });
        }
        self.remembered.push(request);
        if self.supersede_at().is_some_and(|at| at <= now) {
            self.supersede();
        }
    }

    /// When the present candidate gives way to a remembered request; None while it need not.
    pub(super) fn supersede_at(&self) -> Option<Moment> {
        let Stage::Candidate(id) = self.attempt.as_ref()?.stage else { return None };
        let candidate = self.generations.get(&id).filter(|_| !self.remembered.is_empty())?;
        Some(candidate.spawned + self.policy.supersede?)
    }

    pub(super) fn begin_attempt(&mut self, requests: Vec<Request>, hurried: usize) {
        self.respawn.postponed = self.respawn.due.take().or(self.respawn.postponed);
        let mut signals: Vec<Sig> = requests.iter().skip(hurried).filter_map(|request| request.signal).collect();
        signals.sort_unstable();
        signals.dedup();
        self.attempt = Some(Attempt { requests, signals, stage: Stage::Due, policy: None });
        self.next_stage();
    }

    /// Runs the `pre:` hooks of the signals that asked, one signal's after the other's, then the `begin` hooks.
    pub(super) fn next_stage(&mut self) {
        let Some(signal) = self.attempt.as_mut().map(|attempt| attempt.signals.pop()) else { return };
        let mut context = HookContext { generation: self.active, old: None, reason: String::new() };
        let stage = if let Some(signal) = signal {
            context.reason = format!("{signal} was received");
            Stage::Pre(self.run_hooks(HookPoint::Pre(signal), context))
        } else if self.to_be_read() {
            self.out.push(Action::Reread);
            Stage::Reading
        } else {
            self.last_generation += 1;
            let id = GenerationId(self.last_generation);
            context = HookContext { generation: Some(id), old: self.active, ..context };
            Stage::Begin(self.run_hooks(HookPoint::Begin, context), id)
        };
        if let Some(attempt) = &mut self.attempt {
            attempt.stage = stage;
        }
    }

    pub(super) fn attempt_hooks_done(&mut self, now: Moment, done: HookRun, result: Result<(), String>) {
        let Some(stage) = self.attempt.as_ref().map(|attempt| attempt.stage) else { return };
        match (stage, result) {
            (Stage::Pre(run), Ok(())) if run == done => self.next_stage(),
            (Stage::Pre(run), Err(why)) if run == done => {
                self.report(Notice::Refused { what: "restart", why: why.clone() });
                self.attempt_failed(now, None, Failure::Vetoed(why));
            }
            (Stage::Begin(run, id), Ok(())) if run == done => self.spawn(now, id),
            (Stage::Begin(run, id), Err(why)) if run == done => {
                self.attempt_failed(now, Some(id), Failure::Vetoed(why))
            }
            _ => {}
        }
    }

    /// Starts the candidate: beside a living generation with seats of its own, else with the seats, queue and all, of the
    /// one that ended.
    fn spawn(&mut self, now: Moment, id: GenerationId) {
        let heir_to = self.steered.filter(|_| self.active.is_none());
        let held = heir_to.and_then(|steered| self.generations.get_mut(&steered));
        let stage = match held {
            Some(holder) if holder.main_lives => Stage::Waiting(id),
            Some(holder) => {
                holder.has_seats = false;
                Stage::Candidate(id)
            }
            None => Stage::Candidate(id),
        };
        if let Some(attempt) = &mut self.attempt {
            attempt.stage = stage;
        }
        if stage == Stage::Candidate(id) {
            let next = self.attempt.as_ref().and_then(|attempt| attempt.policy.as_deref());
            let policy = next.unwrap_or(&self.policy).clone();
            let deadline = policy.ready_timeout.map(|timeout| now + timeout);
            let watchdog = policy.watchdog;
            if policy.rereads {
                self.policies.insert(id, policy);
            }
            self.generations.insert(id, Generation::new(id, now, deadline, watchdog));
            let seats = heir_to.map_or(Seats::Fresh, Seats::Of);
            if self.active.is_none() {
                self.steered = Some(id);
            }
            self.out.push(Action::Spawn { generation: id, seats });
        }
    }

    /// A process that was killed has ended: an attempt that waited for its seats goes on.
    pub(super) fn seats_free(&mut self, now: Moment) {
        if let Some(Attempt { stage: Stage::Waiting(id), .. }) = self.attempt {
            self.spawn(now, id);
        }
    }

    fn candidate(&self) -> Option<GenerationId> {
        match self.attempt.as_ref()?.stage {
            Stage::Candidate(id) => Some(id),
            _ => None,
        }
    }

    pub(super) fn ready(&mut self, now: Moment, id: GenerationId, sign: ReadySign) {
        if self.candidate() != Some(id) {
            return;
        }
        let requests = self.attempt.take().map(|attempt| attempt.requests).unwrap_or_default();
        self.decide_by(id);
        self.proven();
        self.respawn.bereft = None;
        self.respawn.postponed = None;
        self.steer(id);
        self.served = true;
        let old = self.active.replace(id);
        if old.is_none() {
            self.respawn.serves_since = Some(now);
        }
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.state = State::Active;
            generation.ready = Some(now);
            generation.watch_from(now);
            let took = now.since(generation.spawned);
            self.report(Notice::Ready { generation: id, sign, took });
        }
        self.retire_guards(now);
        let until = now + self.policy.probation;
        let (early, rest) = requests.iter().copied().partition(|request: &Request| request.wait == Wait::Active);
        self.answer(early, &Outcome::Done(Some(id)));
        if until > now && (old.is_some() || !rest.is_empty()) {
            // Whoever asked for it waits for the probation, even if nobody is left who could stand guard.
            if let Some(old) = old {
                self.guard(old, until);
            }
            self.proving = Some(Proving { generation: id, until, requests: rest });
        } else {
            self.restarted(rest, id);
        }
        if let Some(old) = old.filter(|_| until <= now) {
            self.retire(now, old);
        }
        self.hammer_surplus();
        self.run_hooks(HookPoint::Ready, HookContext { generation: Some(id), old, reason: String::new() });
        self.after_signals(&requests, "ready");
    }

    pub(super) fn not_started(&mut self, now: Moment, id: GenerationId, failure: Failure) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.main_lives = false;
            if self.candidate() == Some(id) {
                self.attempt_failed(now, Some(id), failure);
            }
        }
    }

    pub(super) fn not_ready_in_time(&mut self, now: Moment, id: GenerationId) {
        let timeout = self.policies.get(&id).unwrap_or(&self.policy).ready_timeout.unwrap_or_default();
        self.attempt_failed(now, Some(id), Failure::NotReady(timeout));
    }

    pub(super) fn candidate_ended(&mut self, now: Moment, id: GenerationId, exit: Exit) {
        self.attempt_failed(now, Some(id), Failure::Exited(exit));
    }

    /// Rolls back: what was started is killed with all of it, and what served before goes on.
    pub(super) fn attempt_failed(&mut self, now: Moment, id: Option<GenerationId>, failure: Failure) {
        let Some(attempt) = self.attempt.take() else { return };
        if let Some(id) = id {
            self.respawn.bereft = None;
            self.respawn.postponed = None;
            self.report(Notice::Failed { generation: id, failure: failure.clone(), kept: self.active });
            let made = !matches!(failure, Failure::NotMade { .. } | Failure::NotExecuted { .. });
            self.discard(id, made);
        }
        let context = HookContext { generation: id, old: self.active, reason: failure.to_string() };
        self.run_hooks(HookPoint::Failed, context);
        if id.is_some() {
            self.after_signals(&attempt.requests, &failure.to_string());
        }
        self.answer(attempt.requests, &Outcome::Failed(failure.clone()));
        if !self.remembered.is_empty() {
            if let Some(id) = id.filter(|_| self.served && self.active.is_none()) {
                // Should hooks prevent the next start, this one is what is to be made good.
                self.respawn.bereft = Some((id, failure.as_exit()));
            }
        } else if !self.served {
            self.begin_shutdown(now, Some(failure.exit_code()), Vec::new());
        } else if self.active.is_none() {
            let prevented = id.is_none();
            match (self.respawn.bereft.take(), self.respawn.postponed.take()) {
                (Some((ended, exit)), _) if prevented => self.respawn_after_end(now, ended, exit),
                (None, Some(due)) if prevented => self.respawn.due = Some(due),
                _ => self.respawn_after_failure(now, &failure),
            }
        }
    }

    pub(super) fn supersede(&mut self) {
        let Some(id) = self.candidate() else { return };
        let requests = self.attempt.take().map(|attempt| attempt.requests).unwrap_or_default();
        self.report(Notice::Failed { generation: id, failure: Failure::Superseded, kept: self.active });
        self.discard(id, true);
        // A start was made in the place of the one that was due, and to make good what had ended.
        self.respawn.postponed = None;
        self.respawn.bereft = None;
        self.answer(requests, &Outcome::Failed(Failure::Superseded));
    }

    /// SIGKILL to what is left of a failed candidate.
    fn discard(&mut self, id: GenerationId, made: bool) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.state = State::Killed;
            if made {
                self.out.push(Action::Kill(id));
            }
        }
    }

    /// The active generation ended during an attempt: the candidate gets the new connections, so that they wait for it.
    /// There is nothing left that a `pre:` hook could keep from harm, so none is waited for. True when there is an attempt
    /// to put hope in.
    pub(super) fn attempt_takes_over(&mut self) -> bool {
        let Some(attempt) = &mut self.attempt else { return false };
        match attempt.stage {
            Stage::Candidate(candidate) => self.steer(candidate),
            Stage::Pre(_) => {
                attempt.signals.clear();
                self.report(super::room::hurry());
                self.next_stage();
            }
            _ => {}
        }
        true
    }

    /// Ends the attempt because endless stops. Returns everybody who waits for a restart.
    pub(super) fn abandon_attempt(&mut self) -> Vec<Request> {
        let mut requests = self.attempt.take().map(|attempt| attempt.requests).unwrap_or_default();
        requests.append(&mut self.remembered);
        requests.extend(self.proving.take().map(|proving| proving.requests).unwrap_or_default());
        requests
    }
}
