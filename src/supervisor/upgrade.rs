//! The upgrade of endless itself: asked for, carried out when no start is under way, answered once.

use super::{Action, Outcome, Request, Supervisor};
use crate::notice::Notice;
use crate::words::Failure;

impl Supervisor {
    /// Nothing is under way that only this program could finish: no start, no hooks that decide something, no stop.
    #[must_use]
    pub fn calm(&self) -> bool {
        self.attempt.is_none() && self.asked.is_empty() && self.shutdown.is_none()
    }

    /// Those who ask while one is under way are answered with it.
    pub(super) fn upgrade_asked(&mut self, request: Request) {
        if self.shutdown.is_some() {
            return self.answer(vec![request], &Outcome::Failed(Failure::Stopping));
        }
        if self.upgrades.is_empty() {
            self.out.push(Action::Upgrade);
        }
        self.upgrades.push(request);
    }

    /// It was carried out, or not and why.
    pub(super) fn upgraded(&mut self, result: Result<(), String>) {
        let requests = std::mem::take(&mut self.upgrades);
        if requests.is_empty() {
            return;
        }
        let outcome = match result {
            Ok(()) => Outcome::Done(self.active),
            Err(why) => {
                self.report(Notice::Refused { what: "upgrade", why: why.clone() });
                Outcome::Failed(Failure::Vetoed(why))
            }
        };
        self.after_signals(&requests, if matches!(outcome, Outcome::Done(_)) { "done" } else { "failed" });
        self.answer(requests, &outcome);
    }

    /// endless stops instead.
    pub(super) fn abandon_upgrade(&mut self) {
        let requests = std::mem::take(&mut self.upgrades);
        self.answer(requests, &Outcome::Failed(Failure::Stopping));
    }
}
