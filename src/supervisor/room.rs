//! Room for one more retiring generation, and the restart that waits for it.

use super::{State, Supervisor};
use crate::notice::{Level, Notice};
use crate::words::Moment;
use std::time::Duration;

/// A restart that would make one retiring generation too many waits until the oldest had this long to finish: a burst of
/// restarts then becomes fewer restarts, and cuts no short request off.
const PATIENCE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// When a restart need not wait any longer for the oldest retiring generation, which it would hammer; None while there is
    /// room for one more.
    pub(super) fn room_at(&self) -> Option<Moment> {
        self.active?;
        let guarded = self.generations.values().any(|one| matches!(one.state, State::Guarding { .. }));
        let more = usize::from(guarded || self.policy.probation.is_zero());
        let retiring = self.generations.values().filter(|one| one.retiring());
        let full = retiring.clone().count() + more > self.policy.max_retiring;
        retiring.filter_map(|one| one.retired).min().filter(|_| full).map(|since| since + PATIENCE)
    }

    /// When the restart that waits for room begins at the latest.
    pub(super) fn crowded_until(&self) -> Option<Moment> {
        self.room_at().filter(|_| self.attempt.is_none() && !self.remembered.is_empty())
    }

    /// Begins the attempt that was remembered, if there is one and room for it. After every event: whatever ended the one
    /// before, or made room.
    pub(super) fn go_on(&mut self, now: Moment) {
        let waits = self.attempt.is_none() && !self.remembered.is_empty() && self.shutdown.is_none();
        if waits && self.room_at().is_none_or(|at| at <= now) {
            let requests = std::mem::take(&mut self.remembered);
            let hurried = std::mem::take(&mut self.hurried);
            let hurried = if self.active.is_none() { hurried } else { 0 };
            if requests.iter().take(hurried).any(|request| request.signal.is_some()) {
                self.report(hurry());
            }
            self.begin_attempt(requests, hurried);
        }
    }
}

/// Why `pre:` hooks of a restart do not run.
pub(super) fn hurry() -> Notice {
    let text = "nothing serves: the restart does not wait for its pre: hooks".to_owned();
    Notice::Note { level: Level::Normal, text }
}
