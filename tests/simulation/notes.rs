//! How the onlooker writes events into the book, before the supervisor gets them.

use crate::ledger::{Asked, Ledger, Seen};
use endless::plan::SignalAction;
use endless::supervisor::{Event, HookRun, Request, Wait, Word};
use endless::words::{Exit, Failure, GenerationId, HookPoint, Moment};

impl Ledger {
    /// Notes an event before the supervisor gets it.
    pub fn note(&mut self, now: Moment, event: &Event) {
        self.now = now;
        self.step += 1;
        self.hammer_now = false;
        self.hammer_all = false;
        match event {
            Event::Request(request) => self.note_request(*request),
            Event::HooksDone { run, result } => self.note_hooks(*run, result.is_ok()),
            Event::Started(id) => self.seen(*id).started = true,
            Event::NotStarted(id, failure) => self.note_not_started(*id, failure),
            Event::Ready(id, _) => self.note_ready(*id),
            Event::Exited(id, exit) => self.note_exit(*id, *exit),
            Event::Gone(id) => self.seen(*id).gone = true,
            Event::Reread(result) => {
                if result.is_err() {
                    self.vetoed();
                }
            }
            Event::Heard(id, word) => self.note_word(*id, *word),
            Event::Begin | Event::Drained(_) | Event::Upgraded(_) | Event::Tick => {}
        }
    }

    /// What is known of a generation.
    pub fn seen(&mut self, id: GenerationId) -> &mut Seen {
        self.generations.get_mut(&id).expect("the world speaks of a generation that was never spawned")
    }

    fn note_request(&mut self, request: Request) {
        self.asked.insert(request.ticket, Asked { request, step: self.step, answered: false });
        match request.what {
            SignalAction::Stop => {
                self.stops_asked += 1;
                self.hammer_all = self.stop_since.is_some() && request.wait == Wait::Nobody;
                if request.signal.is_none() {
                    self.stop_now();
                }
            }
            SignalAction::Hammer => self.hammer_now = request.signal.is_none(),
            SignalAction::Restart
            | SignalAction::Forward(_)
            | SignalAction::Upgrade
            | SignalAction::Reopen
            | SignalAction::Suspend
            | SignalAction::Ignore => {}
        }
    }

    fn note_hooks(&mut self, run: HookRun, agreed: bool) {
        match self.hooks.get(&run) {
            Some(HookPoint::Pre(signal)) => {
                if agreed {
                    self.agreed.insert(*signal, self.step);
                }
                let of_signal = |asked: &&Asked| asked.request.signal == Some(*signal);
                let what = self.unanswered().find(of_signal).map(|asked| asked.request.what);
                self.hammer_now = what == Some(SignalAction::Hammer) && agreed;
                match what {
                    Some(SignalAction::Stop) if agreed || self.stops_vetoed > 0 => self.stop_now(),
                    Some(SignalAction::Stop) => self.stops_vetoed += 1,
                    Some(SignalAction::Restart) if !agreed => self.vetoed(),
                    _ => {}
                }
            }
            Some(HookPoint::Begin) if agreed => self.begins += 1,
            Some(HookPoint::Begin) => self.ended_with(125),
            _ => {}
        }
    }

    /// Before anything ever served, a veto is how the first start failed; later it changes nothing.
    fn vetoed(&mut self) {
        if !self.ever_ready {
            self.ended_with(125);
        }
    }

    /// Something that served or was to serve has ended; endless exits with this status if it gives up now.
    pub fn ended_with(&mut self, code: u8) {
        self.codes.insert(0, code);
        self.last_end = Some(self.now);
        self.all_ends.push(self.now);
        if let Some((limit, within)) = self.policy.respawn_limit {
            let recent = self.all_ends.iter().filter(|end| self.now.since(**end) <= within).count();
            self.may_give_up |= recent > limit as usize;
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
            self.ended_with(code);
        }
        self.seen(id).not_started = true;
    }

    fn note_ready(&mut self, id: GenerationId) {
        let now = self.now;
        let seen = self.seen(id);
        if seen.candidate() {
            seen.ready = Some(now);
            seen.alive = Some(now);
            self.ever_ready = true;
        }
    }

    fn note_word(&mut self, id: GenerationId, word: Word) {
        let now = self.now;
        let (active, watched) = (self.steered == Some(id), self.policy.watchdog.is_some());
        let seen = self.seen(id);
        match word {
            Word::Stuck if seen.serving() && active && watched => seen.tripped = true,
            Word::Alive if seen.serving() && active => seen.alive = Some(now),
            Word::MoreTime(more) if seen.candidate() || seen.retiring().is_some() => {
                seen.more = seen.more.max(Some(now + more));
            }
            _ => {}
        }
    }

    /// The active generation is killed because it is stuck: that is an end as any other.
    pub fn note_stuck(&mut self, now: Moment) {
        let nobody = self.serving().is_none();
        if nobody {
            self.bereft = self.step;
            self.ended_with(137);
            self.clean_end = false;
            if !self.restart_wanted() {
                self.ends.push(now);
            }
            if let Some((limit, within)) = self.policy.respawn_limit {
                let recent = self.ends.iter().filter(|end| now.since(**end) < within).count();
                self.gave_up |= self.candidate().is_none() && recent > limit as usize;
            }
        }
    }

    fn note_exit(&mut self, id: GenerationId, exit: Exit) {
        let now = self.now;
        let seen = self.seen(id);
        let served = seen.serving();
        let failed = seen.candidate();
        seen.exited = Some(exit);
        if failed {
            self.ended_with(Failure::Exited(exit).exit_code());
        } else if served && self.serving().is_none() {
            self.bereft = self.step;
            self.ended_with(exit.shell_code());
            self.clean_end = exit.clean();
            if !self.restart_wanted() {
                self.ends.push(now);
            }
            if let Some((limit, within)) = self.policy.respawn_limit {
                let recent = self.ends.iter().filter(|end| now.since(**end) < within).count();
                self.gave_up |= self.candidate().is_none() && recent > limit as usize;
            }
        }
    }
}
