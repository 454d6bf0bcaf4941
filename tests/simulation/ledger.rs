//! What an onlooker knows: everything that was told to the supervisor and everything it did, and nothing of its insides.

use endless::plan::Lifecycle;
use endless::supervisor::{Event, HookRun, Request, Ticket, What};
use endless::words::{Exit, Failure, GenerationId, HookPoint, Moment};
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
    pub exited: Option<Exit>,
    pub gone: bool,
    pub drain: Option<Moment>,
    pub stop: Option<Moment>,
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
            exited: None,
            gone: false,
            drain: None,
            stop: None,
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
    pub clean_end: bool,
    pub ends: Vec<Moment>,
    pub gave_up: bool,
    pub hammer_now: bool,
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
            begins: 0,
            stop_since: None,
            served_at_stop: None,
            stops_asked: 0,
            stops_vetoed: 0,
            dark: false,
            codes: Vec::new(),
            clean_end: false,
            ends: Vec::new(),
            gave_up: false,
            hammer_now: false,
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
        self.unanswered().any(|asked| asked.request.what == What::Restart)
    }

    /// The requests without an answer.
    pub fn unanswered(&self) -> impl Iterator<Item = &Asked> {
        self.asked.values().filter(|asked| !asked.answered)
    }

    /// Notes an event before the supervisor gets it.
    pub fn note(&mut self, now: Moment, event: &Event) {
        self.now = now;
        self.step += 1;
        self.hammer_now = false;
        match event {
            Event::Request(request) => self.note_request(*request),
            Event::HooksDone { run, result } => self.note_hooks(*run, result.is_ok()),
            Event::Started(id) => self.seen(*id).started = true,
            Event::NotStarted(id, failure) => self.note_not_started(*id, failure),
            Event::Ready(id, _) => self.note_ready(*id),
            Event::Exited(id, exit) => self.note_exit(*id, *exit),
            Event::Gone(id) => self.seen(*id).gone = true,
            Event::Begin | Event::Drained(_) | Event::Tick => {}
        }
    }

    /// What is known of a generation.
    pub fn seen(&mut self, id: GenerationId) -> &mut Seen {
        self.generations.get_mut(&id).expect("the world speaks of a generation that was never spawned")
    }

    fn note_request(&mut self, request: Request) {
        self.asked.insert(request.ticket, Asked { request, step: self.step, answered: false });
        match request.what {
            What::Stop => {
                self.stops_asked += 1;
                if request.signal.is_none() {
                    self.stop_now();
                }
            }
            What::Hammer => self.hammer_now = request.signal.is_none(),
            What::Restart | What::Forward(_) | What::Nothing => {}
        }
    }

    fn note_hooks(&mut self, run: HookRun, agreed: bool) {
        match self.hooks.get(&run) {
            Some(HookPoint::Pre(signal)) => {
                let of_signal = |asked: &&Asked| asked.request.signal == Some(*signal);
                let what = self.unanswered().find(of_signal).map(|asked| asked.request.what);
                self.hammer_now = what == Some(What::Hammer) && agreed;
                match what {
                    Some(What::Stop) if agreed || self.stops_vetoed > 0 => self.stop_now(),
                    Some(What::Stop) => self.stops_vetoed += 1,
                    Some(What::Restart) if !agreed => self.codes.insert(0, 125),
                    _ => {}
                }
            }
            Some(HookPoint::Begin) if agreed => self.begins += 1,
            Some(HookPoint::Begin) => self.codes.insert(0, 125),
            _ => {}
        }
    }

    /// A stop is carried out from here on.
    pub fn stop_now(&mut self) {
        if self.stop_since.is_none() {
            self.stop_since = Some(self.now);
            self.served_at_stop = self.serving();
        }
    }

    fn note_not_started(&mut self, id: GenerationId, failure: &Failure) {
        let code = failure.exit_code();
        if !self.seen(id).told() {
            self.codes.insert(0, code);
        }
        self.seen(id).not_started = true;
    }

    fn note_ready(&mut self, id: GenerationId) {
        let now = self.now;
        let seen = self.seen(id);
        if seen.candidate() {
            seen.ready = Some(now);
            self.ever_ready = true;
        }
    }

    fn note_exit(&mut self, id: GenerationId, exit: Exit) {
        let now = self.now;
        let seen = self.seen(id);
        let served = seen.serving();
        let failed = seen.candidate();
        seen.exited = Some(exit);
        if failed {
            self.codes.insert(0, Failure::Exited(exit).exit_code());
        } else if served && self.serving().is_none() {
            self.codes.insert(0, exit.shell_code());
            self.clean_end = exit.clean();
            self.ends.push(now);
            if let Some((limit, within)) = self.policy.respawn_limit {
                let recent = self.ends.iter().filter(|end| now.since(**end) < within).count();
                self.gave_up |= self.candidate().is_none() && recent > limit as usize;
            }
        }
    }
}
