//! All decisions. The supervisor is a value: events and the time go in, actions come out.
//!
//! It holds no clock, no descriptor, no pid and no path, so that every order of events can be played in a test. A failed
//! action comes back as an event. The numbered promises it keeps stand in ARCHITECTURE.md.

mod configuration;
pub mod event;
pub mod generation;
mod heard;
mod requests;
mod respawn;
mod restart;
mod retire;
mod room;
mod shutdown;
mod upgrade;
mod waiting;

pub use event::{Action, Event, HookContext, HookRun, Outcome, Request, Seats, StopReason, Ticket, Wait, Word};
pub use generation::{Generation, State};

use crate::notice::Notice;
use crate::plan::Lifecycle;
use crate::words::{GenerationId, HookPoint, Moment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that is decided, and what it is decided from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Supervisor {
    policy: Lifecycle,
    /// What each generation was started under, where that can change.
    policies: BTreeMap<GenerationId, Lifecycle>,
    generations: BTreeMap<GenerationId, Generation>,
    /// The newest ready generation, while its main process lives.
    active: Option<GenerationId>,
    /// The generation whose seats get new connections. It may have ended: then its queue waits for a successor.
    steered: Option<GenerationId>,
    attempt: Option<restart::Attempt>,
    /// Restart requests that came during an attempt; together they are one.
    remembered: Vec<Request>,
    /// So many of them came while something served that has ended since.
    #[serde(default)]
    hurried: usize,
    /// The restart whose new generation is on probation.
    proving: Option<waiting::Proving>,
    /// Requests that are done and wait for generations to be gone.
    leaving: Vec<waiting::Leaving>,
    respawn: respawn::Backoff,
    /// True once any generation was ready: from then on a failing start does not end endless.
    served: bool,
    /// Requests whose `pre:` hooks are running.
    asked: Vec<(HookRun, Request)>,
    /// Who waits for the upgrade.
    upgrades: Vec<Request>,
    /// A stop was vetoed once; it will not be again.
    vetoed: bool,
    shutdown: Option<shutdown::Shutdown>,
    last_generation: u32,
    last_run: u64,
    #[serde(skip)]
    out: Vec<Action>,
}

impl Supervisor {
    /// A supervisor that has started nothing yet. `seed` is for the jitter of the respawn delays.
    #[must_use]
    pub fn new(policy: Lifecycle, seed: u64) -> Self {
        Self {
            policy,
            policies: BTreeMap::new(),
            generations: BTreeMap::new(),
            active: None,
            steered: None,
            attempt: None,
            remembered: Vec::new(),
            hurried: 0,
            proving: None,
            leaving: Vec::new(),
            respawn: respawn::Backoff::new(seed),
            served: false,
            asked: Vec::new(),
            upgrades: Vec::new(),
            vetoed: false,
            shutdown: None,
            last_generation: 0,
            last_run: 0,
            out: Vec::new(),
        }
    }

    /// Takes one event and says what is to be done, in order.
    #[must_use = "actions that are not carried out are promises broken"]
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        match event {
            Event::Begin => self.begin_attempt(Vec::new(), 0),
            Event::Request(request) => self.request(now, request),
            Event::HooksDone { run, result } => self.hooks_done(now, run, result),
            Event::Reread(result) => self.reread(now, result),
            Event::Started(_) => {}
            Event::NotStarted(id, failure) => self.not_started(now, id, failure),
            Event::Ready(id, sign) => self.ready(now, id, sign),
            Event::Exited(id, exit) => self.exited(now, id, exit),
            Event::Gone(id) => self.gone(now, id),
            Event::Drained(id) => self.drained(now, id),
            Event::Heard(id, word) => self.heard(now, id, word),
            Event::Upgraded(result) => self.upgraded(result),
            Event::Tick => self.tick(now),
        }
        self.go_on(now);
        std::mem::take(&mut self.out)
    }

    /// The next moment at which `Event::Tick` is owed; None while nothing is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let generations = self.generations.values().filter_map(Generation::deadline);
        let proving = self.proving.as_ref().map(|proving| proving.until);
        let waiting = self.supersede_at().into_iter().chain(self.crowded_until());
        generations.chain(proving).chain(waiting).chain(self.respawn.due).min()
    }

    /// The generations that are not gone, oldest first.
    pub fn generations(&self) -> impl DoubleEndedIterator<Item = &Generation> {
        self.generations.values()
    }

    /// The generation that serves.
    #[must_use]
    pub fn active(&self) -> Option<GenerationId> {
        self.active
    }

    /// True from the request for a restart, which may have to wait, until its new generation is active or has failed.
    #[must_use]
    pub fn attempting(&self) -> bool {
        self.attempt.is_some() || !self.remembered.is_empty()
    }

    /// True once a stop is carried out.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.shutdown.is_some()
    }

    /// When the target is started again after it ended by itself.
    #[must_use]
    pub fn respawn_due(&self) -> Option<Moment> {
        self.respawn.due
    }

    fn tick(&mut self, now: Moment) {
        for id in self.generations.keys().copied().collect::<Vec<_>>() {
            self.generation_due(now, id);
        }
        if self.proving.as_ref().is_some_and(|proving| proving.until <= now) {
            self.proven();
        }
        if self.supersede_at().is_some_and(|at| at <= now) {
            self.supersede();
        }
        if self.respawn.due.is_some_and(|due| due <= now) {
            self.respawn.due = None;
            self.begin_attempt(Vec::new(), 0);
        }
    }

    fn generation_due(&mut self, now: Moment, id: GenerationId) {
        let Some(generation) = self.generations.get(&id) else { return };
        let passed = |at: Moment| at <= now;
        if generation.retiring() && generation.hammer_at.is_some_and(passed) {
            return self.hammer(id);
        }
        match generation.state {
            State::Starting { deadline: Some(at) } if passed(at) => self.not_ready_in_time(now, id),
            State::Guarding { until } if passed(until) => self.retire(now, id),
            State::Draining { limit } if passed(limit) => self.stop_retired(now, id),
            State::Stopping { shut_at: Some(at) } if passed(at) => self.shut_seats(id),
            State::Active if generation.alive_by.is_some_and(passed) => self.stuck(now, id, generation.watchdog),
            _ => {}
        }
    }

    /// New connections go to `to`; seats that only waited for a successor are not needed any more.
    fn steer(&mut self, to: GenerationId) {
        if self.steered == Some(to) {
            return;
        }
        self.out.push(Action::Steer(to));
        let before = self.steered.replace(to);
        if let Some(before) = before.filter(|before| !self.generations.contains_key(before)) {
            self.out.push(Action::Release(before));
        }
    }

    fn run_hooks(&mut self, point: HookPoint, context: HookContext) -> HookRun {
        self.last_run += 1;
        let run = HookRun(self.last_run);
        self.out.push(Action::RunHooks { run, point, context });
        run
    }

    fn report(&mut self, notice: Notice) {
        self.out.push(Action::Report(notice));
    }

    fn answer(&mut self, requests: Vec<Request>, outcome: &Outcome) {
        self.out.extend(requests.into_iter().map(|request| Action::Answer(request.ticket, outcome.clone())));
    }
}
