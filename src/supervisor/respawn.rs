//! What follows when the serving generation ended by itself: a delay that doubles, and a limit.

use super::Supervisor;
use crate::notice::Notice;
use crate::plan::Respawn;
use crate::words::{Exit, Failure, GenerationId, Moment};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// After this long in service, restarts included, the next delay is the first one again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// How often it ended, and when the next start is due.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Backoff {
    /// When the next start is due.
    pub(super) due: Option<Moment>,
    /// The end that the present attempt was to make good.
    pub(super) bereft: Option<(GenerationId, Exit)>,
    /// The due start that a restart has taken the place of; it is due again if hooks prevent the restart.
    pub(super) postponed: Option<Moment>,
    ends: VecDeque<Moment>,
    /// Since when there was a generation that serves, and not only since when it is the present one.
    #[serde(default)]
    pub(super) serves_since: Option<Moment>,
    delay: Duration,
    noise: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            due: None,
            bereft: None,
            postponed: None,
            ends: VecDeque::new(),
            serves_since: None,
            delay: FIRST_DELAY,
            noise: seed | 1,
        }
    }

    /// Counts one more end and returns how many there were within `window`.
    fn count(&mut self, now: Moment, window: Duration) -> u32 {
        self.ends.push_back(now);
        while self.ends.front().is_some_and(|first| now.since(*first) > window) {
            self.ends.pop_front();
        }
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// The delay before the next start: doubled each time, plus up to a tenth, so that many do not start in step.
    fn next_delay(&mut self) -> Duration {
        // xorshift64: a few bits that differ from process to process are all the jitter needs.
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let percent = u32::try_from(self.noise % 11).unwrap_or(0);
        let delay = self.delay + self.delay * percent / 100;
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
        delay
    }
}

impl Supervisor {
    pub(super) fn respawn_after_end(&mut self, now: Moment, id: GenerationId, exit: Exit) {
        match self.policy.respawn {
            Respawn::Never => self.begin_shutdown(now, Some(exit.shell_code()), Vec::new()),
            Respawn::OnFailure if exit.clean() => self.begin_shutdown(now, Some(0), Vec::new()),
            Respawn::OnFailure | Respawn::Always => self.respawn(now, id, exit, exit.shell_code()),
        }
    }

    /// Nothing serves any more. What did has done so for long enough: the next delay is the first one again.
    pub(super) fn forgive(&mut self, now: Moment) {
        if self.respawn.serves_since.take().is_some_and(|since| now.since(since) >= HEALTHY_AFTER) {
            self.respawn.delay = FIRST_DELAY;
        }
    }

    /// A start failed while nothing serves.
    pub(super) fn respawn_after_failure(&mut self, now: Moment, failure: &Failure) {
        let code = failure.exit_code();
        let exit = match failure {
            Failure::Exited(exit) => *exit,
            _ => Exit::Code(code),
        };
        match self.policy.respawn {
            Respawn::Never => self.begin_shutdown(now, Some(code), Vec::new()),
            _ => self.respawn(now, GenerationId(self.last_generation), exit, code),
        }
    }

    fn respawn(&mut self, now: Moment, id: GenerationId, exit: Exit, code: u8) {
        if let Some((limit, within)) = self.policy.respawn_limit {
            let ends = self.respawn.count(now, within);
            if ends > limit {
                self.report(Notice::GaveUp { ends, within });
                return self.begin_shutdown(now, Some(code), Vec::new());
            }
        }
        self.respawn.postponed = None;
        let delay = self.respawn.next_delay();
        self.respawn.due = Some(now + delay);
        self.report(Notice::Respawning { generation: id, exit, delay });
    }
}
