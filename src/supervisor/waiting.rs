//! Requests that are done but for what their askers wait for: the probation, or that the older generations are gone.

use super::{Action, Outcome, Request, Supervisor, Wait};
use crate::plan::SignalAction;
use crate::words::{Failure, GenerationId, Moment};
use serde::{Deserialize, Serialize};

/// One that waits for these generations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Leaving {
    request: Request,
    generations: Vec<GenerationId>,
    outcome: Outcome,
}

/// A restart that succeeded and whose probation is not over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Proving {
    pub(super) generation: GenerationId,
    pub(super) until: Moment,
    pub(super) requests: Vec<Request>,
}

impl Supervisor {
    /// The generation on probation is beyond doubt, or another has taken its place.
    pub(super) fn proven(&mut self) {
        if let Some(proving) = self.proving.take() {
            self.restarted(proving.requests, proving.generation);
        }
    }

    /// The active generation has ended: those who wait for its restart to be done are told.
    /// `to`: the older generation that serves again, for whose end nobody waits any more.
    pub(super) fn disproven(&mut self, failure: &Failure, id: GenerationId, to: Option<GenerationId>) {
        self.leaving_failed(failure, |one| {
            one.outcome == Outcome::Done(Some(id)) || to.is_some_and(|to| one.generations.contains(&to))
        });
        if let Some(proving) = self.proving.take() {
            self.answer(proving.requests, &Outcome::Failed(failure.clone()));
        }
    }

    /// A restart has succeeded; who asked for more than that waits for the older generations.
    pub(super) fn restarted(&mut self, requests: Vec<Request>, id: GenerationId) {
        let older: Vec<_> = self.generations.range(..id).map(|(older, _)| *older).collect();
        for request in requests {
            self.answer_when_gone(request, older.clone(), Outcome::Done(Some(id)));
        }
    }

    /// Answers at once, or when none of these is left, as was asked.
    pub(super) fn answer_when_gone(&mut self, request: Request, generations: Vec<GenerationId>, outcome: Outcome) {
        if request.wait == Wait::Gone {
            self.leaving.push(Leaving { request, generations, outcome });
            self.answer_leaving();
        } else {
            self.answer(vec![request], &outcome);
        }
    }

    /// Answers those whose generations are all gone.
    pub(super) fn answer_leaving(&mut self) {
        let gone = |one: &mut Leaving| one.generations.iter().all(|id| !self.generations.contains_key(id));
        let over: Vec<_> = self.leaving.extract_if(.., gone).collect();
        self.out.extend(over.into_iter().map(|one| Action::Answer(one.request.ticket, one.outcome)));
    }

    /// What the restarts among them brought up has ended, or will.
    pub(super) fn leaving_failed(&mut self, failure: &Failure, which: impl Fn(&Leaving) -> bool) {
        let fails = |one: &mut Leaving| one.request.what == SignalAction::Restart && which(one);
        let failed: Vec<_> = self.leaving.extract_if(.., fails).collect();
        self.answer(failed.into_iter().map(|one| one.request).collect(), &Outcome::Failed(failure.clone()));
    }
}
