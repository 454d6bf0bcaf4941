//! The configuration that a restart reads again: what is decided by, from the next generation on.

use super::Supervisor;
use super::restart::{Attempt, Stage};
use crate::notice::Notice;
use crate::plan::Lifecycle;
use crate::words::{Failure, GenerationId, Moment};

impl Supervisor {
    /// A restart reads the configuration again; a respawn goes on with what it had.
    pub(super) fn to_be_read(&self) -> bool {
        let unread = |attempt: &Attempt| attempt.policy.is_none() && !attempt.requests.is_empty();
        self.policy.rereads && self.attempt.as_ref().is_some_and(unread)
    }

    pub(super) fn reread(&mut self, now: Moment, result: Result<Box<Lifecycle>, String>) {
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.stage == Stage::Reading) else { return };
        match result {
            Ok(policy) => {
                attempt.policy = Some(policy);
                self.next_stage();
            }
            Err(why) => {
                let requests = attempt.requests.clone();
                self.report(Notice::Refused { what: "restart", why: why.clone() });
                self.attempt_failed(now, None, Failure::Vetoed(why.clone()));
                self.after_signals(&requests, &why);
            }
        }
    }

    /// What the active generation was started under counts.
    pub(super) fn decide_by(&mut self, id: GenerationId) {
        if let Some(policy) = self.policies.get(&id) {
            self.policy = policy.clone();
        }
    }
}
