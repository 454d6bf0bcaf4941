//! The end: everything is told to stop, and when the last is gone, endless exits.

use super::{Action, HookContext, HookRun, Outcome, Request, State, StopReason, Supervisor, Wait};
use crate::notice::Notice;
use crate::plan::SignalAction;
use crate::words::{CODE_HAMMERED, Failure, GenerationId, HookPoint, Moment};
use serde::{Deserialize, Serialize};

/// endless is on its way out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Shutdown {
    /// The exit status; None for a requested stop, which has 0 or the hammer's.
    code: Option<u8>,
    /// Who is answered at the end.
    requests: Vec<Request>,
    /// The generation that served when the stop began, and whether it needed the hammer.
    active: Option<GenerationId>,
    hammered: bool,
    /// The `exit` hooks, once they run.
    exit_run: Option<HookRun>,
    finished: bool,
}

impl Shutdown {
    pub(super) fn note_hammer(&mut self, id: GenerationId) {
        self.hammered |= self.active == Some(id);
    }
}

impl Supervisor {
    pub(super) fn stop_asked(&mut self, now: Moment, request: Request) {
        if self.shutdown.as_ref().is_some_and(|shutdown| shutdown.finished) {
            return self.answer(vec![request], &Outcome::Done(None));
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.requests.push(request);
            if request.wait == Wait::Nobody && shutdown.requests.len() > 1 {
                self.hammer_everything();
            }
            return;
        }
        let asked_before = self.asked.iter().any(|(_, asked)| asked.what == SignalAction::Stop);
        match request.signal {
            Some(signal) if !asked_before && !self.vetoed => self.ask_hooks(signal, request),
            _ => self.begin_shutdown(now, None, vec![request]),
        }
    }

    pub(super) fn stop_hooks_done(&mut self, now: Moment, request: Request, result: Result<(), String>) {
        match result {
            _ if self.shutdown.is_some() => {
                if let Some(shutdown) = &mut self.shutdown {
                    shutdown.requests.push(request);
                }
            }
            Ok(()) => self.begin_shutdown(now, None, vec![request]),
            Err(why) => {
                self.vetoed = true;
                self.report(Notice::Refused { what: "stop", why: why.clone() });
                self.answer(vec![request], &Outcome::Failed(Failure::Vetoed(why)));
            }
        }
    }

    /// Tells every generation to stop. `code` is the exit status, None when the stop was asked for.
    pub(super) fn begin_shutdown(&mut self, now: Moment, code: Option<u8>, requests: Vec<Request>) {
        self.respawn.due = None;
        self.leaving_failed(&Failure::Stopping, |_| true);
        self.abandon_upgrade();
        let waiting = self.abandon_attempt();
        self.answer(waiting, &Outcome::Failed(Failure::Stopping));
        self.shutdown =
            Some(Shutdown { code, requests, active: self.active, hammered: false, exit_run: None, finished: false });
        if let Some(queue) = self.steered.take_if(|steered| !self.generations.contains_key(steered)) {
            self.out.push(Action::Release(queue));
        }
        let all: Vec<_> = self.generations.values().map(|one| (one.id, one.state, one.main_lives)).collect();
        for (id, state, lives) in all {
            match state {
                // The signal it has may be another one, and it may wait for its last client for as long as it takes.
                State::Stopping { .. } if lives => self.out.push(Action::Stop(id, StopReason::Stopped)),
                State::Stopping { .. } | State::Killed => {}
                _ => self.stop(now, id, StopReason::Stopped),
            }
        }
        self.finish_when_empty();
    }

    fn hammer_everything(&mut self) {
        let alive = self.generations.values().filter(|one| one.state != State::Killed);
        for id in alive.map(|one| one.id).collect::<Vec<_>>() {
            self.hammer(id);
        }
    }

    pub(super) fn finish_when_empty(&mut self) {
        let ending = self.shutdown.as_ref().is_some_and(|shutdown| shutdown.exit_run.is_none());
        if !ending || !self.generations.is_empty() {
            return;
        }
        let requests = self.shutdown.as_ref().map(|shutdown| shutdown.requests.clone()).unwrap_or_default();
        self.after_signals(&requests, "stopped");
        let run = self.run_hooks(HookPoint::Exit, HookContext::default());
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.exit_run = Some(run);
        }
    }

    /// True when the hooks were those of the exit: then everything is said and done.
    pub(super) fn shutdown_hooks_done(&mut self, run: HookRun) -> bool {
        let Some(shutdown) = self.shutdown.as_mut().filter(|shutdown| shutdown.exit_run == Some(run)) else {
            return false;
        };
        if std::mem::replace(&mut shutdown.finished, true) {
            return true;
        }
        let hammered = if shutdown.hammered { CODE_HAMMERED } else { 0 };
        let code = shutdown.code.unwrap_or(hammered);
        let requests = std::mem::take(&mut shutdown.requests);
        let unheard = std::mem::take(&mut self.asked).into_iter().map(|(_, request)| request);
        let (stops, others): (Vec<Request>, Vec<Request>) =
            unheard.partition(|request| request.what == SignalAction::Stop);
        self.answer(requests, &Outcome::Done(None));
        self.answer(stops, &Outcome::Done(None));
        self.answer(others, &Outcome::Failed(Failure::Stopping));
        self.report(Notice::Finished { code });
        self.out.push(Action::Finish(code));
        true
    }
}
