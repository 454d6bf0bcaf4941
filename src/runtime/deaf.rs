//! A copy that has sent READY=1 is expected to accept connections. The probe that was under way is kept for a while.

use super::Runtime;
use super::readiness::Watch;
use crate::notice::{Notice, Trouble};
use crate::words::Moment;
use std::time::Duration;

/// So long nobody may accept.
const PATIENCE: Duration = Duration::from_secs(5);

/// The probe of a generation that is ready already.
#[derive(Debug)]
pub struct Suspicion {
    watch: Watch,
    until: Moment,
}

impl Suspicion {
    /// Goes on with the watch of a candidate that said that it serves.
    #[must_use]
    pub fn new(watch: Watch, now: Moment) -> Suspicion {
        Suspicion { watch, until: now + PATIENCE }
    }

    /// When to look next.
    #[must_use]
    pub fn next(&self) -> Moment {
        self.watch.next().unwrap_or(self.until).min(self.until)
    }
}

impl Runtime {
    /// Looks at those that are suspected; a connection that was accepted clears one.
    pub(super) fn look_at_suspects(&mut self, now: Moment) {
        let mut deaf = Vec::new();
        for copy in self.copies.values_mut() {
            let Some(suspicion) = copy.suspicion.as_mut().filter(|one| one.next() <= now) else { continue };
            let cleared = suspicion.watch.look(now, &mut self.listeners).is_some() || suspicion.watch.heard_anything();
            if !cleared && suspicion.until > now {
                continue;
            }
            if let Some(Suspicion { watch, .. }) = copy.suspicion.take() {
                watch.end(&mut self.listeners);
            }
            if !cleared && !copy.main_ended() {
                deaf.push(copy.generation);
            }
        }
        for generation in deaf {
            self.tell(&Notice::Diagnosis { generation, what: Trouble::Deaf { after: PATIENCE } });
        }
    }

    /// There is one probe at a time, and now a candidate needs it.
    pub(super) fn forget_suspicions(&mut self) {
        for copy in self.copies.values_mut() {
            if let Some(Suspicion { watch, .. }) = copy.suspicion.take() {
                watch.end(&mut self.listeners);
            }
        }
    }
}
