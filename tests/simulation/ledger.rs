//! What an onlooker knows: everything that was told to the supervisor and everything it did, and nothing of its insides.

use endless::plan::{Lifecycle, SignalAction};
use endless::supervisor::{HookRun, Request, Ticket};
use endless::words::{Exit, GenerationId, HookPoint, Moment, Sig};
use std::collections::BTreeMap;

/// A broken promise: its number in ARCHITECTURE.md (0: the contract of `event.rs`), and how it was broken.
#[derive(Debug, Clone)]
pub struct Broken(pub u8, pub String);

/// Nothing, or a broken promise.
pub type Kept = Result<(), Broken>;

/// Breaks promise `number` unless `kept`.
pub fn promise(number: u8, kept: bool, broken: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(Broken(number, broken())) }
}

/// Who has the seats a generation was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owned {
    /// It has them.
    Here,
    /// A successor has them.
    Moved,
    /// They are closed.
    Released,
}

/// One generation, seen from outside.
#[derive(Debug, Clone)]
pub struct Seen {
    pub spawned: Moment,
    pub spawned_at_step: u64,
    pub seats: Owned,
    pub shut: bool,
    pub started: bool,
    pub not_started: bool,
    pub ready: Option<Moment>,
    /// When it last had reason to be taken to be alive, while it served.
    pub alive: Option<Moment>,
    /// It has said, while it served, that it is stuck.
    pub tripped: bool,
    /// The latest moment it has asked to be waited for.
    pub more: Option<Moment>,
    pub exited: Option<Exit>,
    pub gone: bool,
    pub drain: Option<Moment>,
    pub stop: Option<Moment>,
    /// By the signal of a stop.
    pub stopped_too: bool,
    pub survived: Option<Moment>,
    pub kill: Option<Moment>,
    /// True when SIGKILL was sent while its main process lived.
    pub killed_alive: bool,
}

impl Seen {
    /// A generation spawned now.
    pub fn new(spawned: Moment, spawned_at_step: u64) -> Seen {
        Seen {
            spawned,
            spawned_at_step,
            seats: Owned::Here,
            shut: false,
            started: false,
            not_started: false,
            ready: None,
            alive: None,
            tripped: false,
            more: None,
            exited: None,
            gone: false,
            drain: None,
            stop: None,
            stopped_too: false,
            survived: None,
            kill: None,
            killed_alive: false,
        }
    }

    /// Its main process has ended or was never there.
    pub fn ended(&self) -> bool {
        self.exited.is_some() || self.not_started || self.gone
    }

    /// It was told to end.
    pub fn told(&self) -> bool {
        self.stop.is_some() || self.survived.is_some() || self.kill.is_some()
    }

    /// It was ready, lives, and was not told to stop: it can have the new connections.
    pub fn serving(&self) -> bool {
        self.ready.is_some() && !self.ended() && !self.told()
    }

    /// It was started, may become ready, and nobody has given it up.
    pub fn candidate(&self) -> bool {
        self.ready.is_none() && !self.ended() && !self.told()
    }

    /// Its retirement, or the end of what is left of it, has begun and it has not been killed.
    pub fn retiring(&self) -> Option<Moment> {
        let begun = self.drain.into_iter().chain(self.stop).chain(self.survived).min();
        begun.filter(|_| !self.gone && self.kill.is_none())
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub request: Request,
    pub step: u64,
    pub answered: bool,
}

/// The book of one life.
pub struct Ledger {
    pub policy: Lifecycle,
    pub now: Moment,
    pub step: u64,
    pub generations: BTreeMap<GenerationId, Seen>,
    pub steered: Option<GenerationId>,
    pub asked: BTreeMap<Ticket, Asked>,
    pub hooks: BTreeMap<HookRun, HookPoint>,
    /// The last step at which the `pre:` hooks of a signal agreed.
    pub agreed: BTreeMap<Sig, u64>,
    /// The last step at which what served ended, and nothing else did.
    pub bereft: u64,
    /// `begin` hooks that agreed and whose generation was not spawned yet.
    pub begins: u32,
    /// Since when a stop is being carried out for certain.
    pub stop_since: Option<Moment>,
    /// The generation that served then.
    pub served_at_stop: Option<GenerationId>,
    pub stops_asked: u32,
    pub stops_vetoed: u32,
    /// The seats new connections went to were closed: nothing may start any more.
    pub dark: bool,
    /// The statuses endless may exit with when it gives up now, newest end first.
    pub codes: Vec<u8>,
    /// When the newest of these ends was.
    pub last_end: Option<Moment>,
    /// The last generation that served ended with 0.
    pub clean_end: bool,
    pub ends: Vec<Moment>,
    /// More ends of what served than `--respawn-limit`: nothing is respawned any more.
    pub gave_up: bool,
    pub all_ends: Vec<Moment>,
    /// The same with failed starts counted as well.
    pub may_give_up: bool,
    /// This step carries out a request to hammer what retires.
    pub hammer_now: bool,
    /// This step's event is a stop during a stop.
    pub hammer_all: bool,
    pub ever_ready: bool,
    pub finished: Option<u8>,
}

impl Ledger {
    /// The book before anything has happened.
    pub fn new(policy: Lifecycle) -> Ledger {
        Ledger {
            policy,
            now: Moment::default(),
            step: 0,
            generations: BTreeMap::new(),
            steered: None,
            asked: BTreeMap::new(),
            hooks: BTreeMap::new(),
            agreed: BTreeMap::new(),
            bereft: 0,
            begins: 0,
            stop_since: None,
            served_at_stop: None,
            stops_asked: 0,
            stops_vetoed: 0,
            dark: false,
            codes: Vec::new(),
            last_end: None,
            clean_end: false,
            ends: Vec::new(),
            gave_up: false,
            all_ends: Vec::new(),
            may_give_up: false,
            hammer_now: false,
            hammer_all: false,
            ever_ready: false,
            finished: None,
        }
    }

    /// A stop may be under way: with two requests for it no hook can have prevented both.
    pub fn stop_maybe(&self) -> bool {
        self.stop_since.is_some() || self.stops_asked >= 2
    }

    /// The newest generation that can have the new connections.
    pub fn serving(&self) -> Option<GenerationId> {
        self.generations.iter().rev().find(|(_, seen)| seen.serving()).map(|(id, _)| *id)
    }

    /// The generation that is being started.
    pub fn candidate(&self) -> Option<GenerationId> {
        self.generations.iter().find(|(_, seen)| seen.candidate()).map(|(id, _)| *id)
    }

    /// True while somebody waits for a restart.
    pub fn restart_wanted(&self) -> bool {
        self.unanswered().any(|asked| asked.request.what == SignalAction::Restart)
    }

    /// The requests without an answer.
    pub fn unanswered(&self) -> impl Iterator<Item = &Asked> {
        self.asked.values().filter(|asked| !asked.answered)
    }
}
