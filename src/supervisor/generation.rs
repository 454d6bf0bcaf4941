//! One generation's states, and the deadlines each of them has.

use crate::words::{GenerationId, Moment};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A generation that is not gone yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub id: GenerationId,
    /// Where it stands in its life.
    pub state: State,
    /// When it was started.
    pub spawned: Moment,
    /// When it became active, if it ever did.
    pub ready: Option<Moment>,
    /// True until its main process has ended, or could not be made.
    pub main_lives: bool,
    /// False when its seats were handed to a successor.
    pub has_seats: bool,
    /// How often it is to say that it is alive; None: it need not.
    pub watchdog: Option<Duration>,
    /// When it is taken to be stuck; set while it is active.
    pub alive_by: Option<Moment>,
    /// When its retirement began.
    pub retired: Option<Moment>,
    /// When it is killed at the latest; set when its retirement or its stop begins.
    pub hammer_at: Option<Moment>,
}

/// The states in the order a life goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Candidate: started and not yet ready. Fails at the deadline.
    Starting {
        /// None: it may take for ever.
        deadline: Option<Moment>,
    },
    /// The newest ready one.
    Active,
    /// Kept whole beside the active one until then, in case that one dies.
    Guarding {
        /// The end of the probation.
        until: Moment,
    },
    /// It gets no new connections and finishes what it has.
    Draining {
        /// It is told to stop then at the latest.
        limit: Moment,
    },
    /// Its stop signal was sent, or its main process has ended and the rest was told to stop.
    Stopping {
        /// When its own seats are shut down.
        shut_at: Option<Moment>,
    },
    /// SIGKILL was sent to all of it.
    Killed,
}

impl Generation {
    /// A generation that is started now.
    #[must_use]
    pub fn new(id: GenerationId, now: Moment, deadline: Option<Moment>, watchdog: Option<Duration>) -> Self {
        Self {
            id,
            state: State::Starting { deadline },
            spawned: now,
            ready: None,
            main_lives: true,
            has_seats: true,
            watchdog,
            alive_by: None,
            retired: None,
            hammer_at: None,
        }
    }

    /// It is alive now, and active: the next sign of that is due.
    pub fn watch_from(&mut self, now: Moment) {
        self.alive_by = self.watchdog.filter(|_| self.state == State::Active).map(|interval| now + interval);
    }

    /// True while it is on its way out and not yet killed.
    #[must_use]
    pub fn retiring(&self) -> bool {
        matches!(self.state, State::Draining { .. } | State::Stopping { .. })
    }

    /// True while it could take the listeners back: it was ready once and was not told to stop.
    #[must_use]
    pub fn can_take_over(&self) -> bool {
        self.main_lives && matches!(self.state, State::Guarding { .. } | State::Draining { .. })
    }

    /// The next moment at which something is due for it.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let own = match self.state {
            State::Starting { deadline } => deadline,
            State::Guarding { until } => Some(until),
            State::Draining { limit } => Some(limit),
            State::Stopping { shut_at } => shut_at,
            State::Active => self.alive_by,
            State::Killed => None,
        };
        let hammer = if self.retiring() { self.hammer_at } else { None };
        own.into_iter().chain(hammer).min()
    }
}
