//! What a copy says about itself while it runs: that it is alive, that it is stuck, that it needs more time (sd_notify(3)).

use super::{Action, Generation, State, Supervisor, Word};
use crate::notice::Notice;
use crate::words::{Exit, GenerationId, Moment, Sig};
use std::time::Duration;

impl Supervisor {
    pub(super) fn heard(&mut self, now: Moment, id: GenerationId, word: Word) {
        match word {
            Word::MoreTime(more) => self.more_time(now, id, more),
            Word::Alive => self.alive(now, id, None),
            Word::AliveEvery(interval) => self.alive(now, id, Some(interval)),
            Word::Stuck => {
                let serves = |one: &Generation| one.watchdog.is_some() && one.state == State::Active;
                if self.generations.get(&id).is_some_and(serves) {
                    self.stuck(now, id, None);
                }
            }
        }
    }

    /// A candidate has until then at least to become ready, and what is on its way out to go. Never less than before.
    fn more_time(&mut self, now: Moment, id: GenerationId, more: Duration) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if let State::Starting { deadline: Some(deadline) } = &mut generation.state {
            *deadline = (*deadline).max(now + more);
        }
        if generation.retiring() {
            generation.hammer_at = generation.hammer_at.map(|at| at.max(now + more));
        }
    }

    fn alive(&mut self, now: Moment, id: GenerationId, interval: Option<Duration>) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if let (Some(watchdog), Some(interval)) = (&mut generation.watchdog, interval) {
            *watchdog = interval;
        }
        generation.watch_from(now);
    }

    /// The active generation has said nothing for too long, or that it is stuck: it has ended as good as by itself, and is
    /// killed with all of it.
    pub(super) fn stuck(&mut self, now: Moment, id: GenerationId, silence: Option<Duration>) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.state = State::Killed;
        self.active = None;
        self.report(Notice::Stuck { generation: id, silence });
        self.out.push(Action::Kill(id));
        self.bereft(now, id, Exit::Signal(Sig::KILL));
    }
}
