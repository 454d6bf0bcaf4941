//! What is asked of endless, and the hooks that run before and after it.

use super::{Action, HookContext, HookRun, Outcome, Request, State, Supervisor};
use crate::notice::Notice;
use crate::plan::SignalAction;
use crate::words::{Failure, GenerationId, HookPoint, Moment, Sig};

/// What a `post:` hook of a signal is told when all is well.
const DONE: &str = "done";
const NOTHING_RETIRES: &str = "nothing is retiring";

impl Supervisor {
    pub(super) fn request(&mut self, now: Moment, request: Request) {
        match request.what {
            SignalAction::Restart => self.restart_asked(now, request),
            SignalAction::Stop => self.stop_asked(now, request),
            _ => match request.signal {
                Some(signal) => self.ask_hooks(signal, request),
                None => self.carry_out(request),
            },
        }
    }

    /// Runs the `pre:` hooks of the signal a request came by.
    pub(super) fn ask_hooks(&mut self, signal: Sig, request: Request) {
        let context = HookContext { generation: self.active, old: None, reason: format!("{signal} was received") };
        let run = self.run_hooks(HookPoint::Pre(signal), context);
        self.asked.push((run, request));
    }

    pub(super) fn hooks_done(&mut self, now: Moment, run: HookRun, result: Result<(), String>) {
        if let Some(at) = self.asked.iter().position(|(asked, _)| *asked == run) {
            let (_, request) = self.asked.swap_remove(at);
            match request.what {
                SignalAction::Stop => self.stop_hooks_done(now, request, result),
                _ => self.request_hooks_done(request, result),
            }
        } else if self.shutdown_hooks_done(run) {
        } else {
            self.attempt_hooks_done(now, run, result);
        }
    }

    fn request_hooks_done(&mut self, request: Request, result: Result<(), String>) {
        match result {
            Ok(()) => self.carry_out(request),
            Err(why) => {
                self.report(Notice::Refused { what: request.what.name(), why: why.clone() });
                self.answer(vec![request], &Outcome::Failed(Failure::Vetoed(why)));
            }
        }
    }

    fn carry_out(&mut self, request: Request) {
        match request.what {
            SignalAction::Upgrade => self.upgrade_asked(request),
            SignalAction::Forward(signal) => self.forward(request, signal),
            SignalAction::Hammer => {
                let hammered = self.hammer_retiring();
                let reason = if hammered.is_empty() { NOTHING_RETIRES } else { DONE };
                self.done(request, hammered, reason);
            }
            SignalAction::Reopen => self.act(request, Action::Reopen),
            SignalAction::Suspend => self.act(request, Action::Suspend),
            _ => self.done(request, Vec::new(), DONE),
        }
    }

    fn act(&mut self, request: Request, action: Action) {
        self.out.push(action);
        self.done(request, Vec::new(), DONE);
    }

    fn done(&mut self, request: Request, hammered: Vec<GenerationId>, reason: &str) {
        self.after_signals(std::slice::from_ref(&request), reason);
        self.answer_when_gone(request, hammered, Outcome::Done(self.active));
    }

    fn forward(&mut self, request: Request, signal: Sig) {
        let killed = |id: &GenerationId| self.generations.get(id).is_none_or(|one| one.state == State::Killed);
        if let Some(active) = self.active.filter(|id| !killed(id)) {
            self.out.push(Action::Forward(active, signal));
            return self.done(request, Vec::new(), DONE);
        }
        let failure = Failure::NothingServes;
        self.report(Notice::Refused { what: request.what.name(), why: failure.to_string() });
        self.after_signals(std::slice::from_ref(&request), &failure.to_string());
        self.answer(vec![request], &Outcome::Failed(failure));
    }

    fn hammer_retiring(&mut self) -> Vec<GenerationId> {
        let retiring: Vec<_> = self.generations.values().filter(|one| one.retiring()).map(|one| one.id).collect();
        if retiring.is_empty() {
            self.report(Notice::Refused { what: "hammer", why: NOTHING_RETIRES.to_owned() });
        }
        for id in &retiring {
            self.hammer(*id);
        }
        retiring
    }

    /// Runs the `post:` hooks of the signals these requests came by, each signal's once.
    pub(super) fn after_signals(&mut self, requests: &[Request], reason: &str) {
        let mut signals: Vec<Sig> = requests.iter().filter_map(|request| request.signal).collect();
        signals.sort_unstable();
        signals.dedup();
        for signal in signals {
            let context = HookContext { generation: self.active, old: None, reason: reason.to_owned() };
            self.run_hooks(HookPoint::Post(signal), context);
        }
    }
}
