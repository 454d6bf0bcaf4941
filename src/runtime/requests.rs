//! Signals to endless: a copy's readiness, or somebody's request.

use super::copy::Copy;
use super::signals::Received;
use super::{Runtime, clock};
use crate::notice::{Level, Notice};
use crate::plan::{Plan, ReadyMode, Sign, SignalAction};
use crate::spawn::ProcessTable;
use crate::supervisor::{Event, Request, Ticket, Wait};
use crate::words::{GenerationId, ReadySign, Sig};
use nix::sys::signal::{Signal, raise};
use nix::unistd::Pid;

/// Every signal that needs a handler. SIGCHLD is always among them.
pub(super) fn handled(plan: &Plan) -> Vec<Sig> {
    plan.signals.0.keys().copied().chain(ready_signals(plan)).chain(plan.handoff.noise()).chain([Sig::CHLD]).collect()
}

/// The signals by which a copy says that it serves.
fn ready_signals(plan: &Plan) -> impl Iterator<Item = Sig> + '_ {
    let asked = match plan.readiness.mode {
        ReadyMode::Signal(signal) => Some(signal),
        _ => None,
    };
    let brought = plan.handoff.signs().filter_map(|sign| match sign {
        Sign::Signal(signal) => Some(signal),
        _ => None,
    });
    asked.into_iter().chain(brought)
}

impl Runtime {
    pub(super) fn signal_received(&mut self, received: Received) {
        if received.signal == Sig::CHLD {
            return self.reap();
        }
        if self.may_be_a_word(received.signal)
            && let Some(pid) = received.sender
            && let Some(generation) = self.copy_of(Pid::from_raw(pid))
        {
            return self.copy_signalled(generation, pid, received.signal);
        }
        let Some(what) = self.plan.signals.0.get(&received.signal).copied() else { return };
        self.tell(&Notice::Asked { signal: Some(received.signal), sender: received.sender, what: asked_for(what) });
        self.last_ticket += 1;
        let request =
            Request { ticket: Ticket(self.last_ticket), what, signal: Some(received.signal), wait: Wait::Nobody };
        self.events.push_back(Event::Request(request));
    }

    /// Whether this signal, sent by a copy, is something else than a command.
    fn may_be_a_word(&self, signal: Sig) -> bool {
        self.plans
            .all(&self.plan)
            .any(|plan| ready_signals(plan).chain(plan.handoff.noise()).any(|known| known == signal))
            || self.plan.signals.0.get(&signal) == Some(&SignalAction::Stop)
    }

    /// What a copy says by a signal: that it serves, or nothing. It is never a command: programs of several libraries send
    /// their parent SIGTERM when they begin to serve, and endless is not stopped by what it runs.
    fn copy_signalled(&mut self, generation: GenerationId, pid: i32, signal: Sig) {
        let plan = self.plan_of(generation);
        if ready_signals(&plan).any(|known| known == signal) {
            return self.said_ready(generation, Sign::Signal(signal));
        }
        if plan.handoff.noise().all(|known| known != signal) {
            let text = format!(
                "{signal} from pid {pid}, which belongs to generation {generation}: a copy does not stop endless"
            );
            self.tell(&Notice::Note { level: Level::Normal, text });
        }
    }

    /// A copy said that it serves. What one generation has said the next ones are expected to say.
    pub(super) fn said_ready(&mut self, generation: GenerationId, sign: Sign) {
        self.expect(generation, sign);
        let watch = self.copies.get(&generation).and_then(|copy| copy.watch.as_ref());
        if watch.is_some_and(|watch| watch.counts(sign)) {
            let sign = match sign {
                Sign::Notify => ReadySign::Notified,
                Sign::Signal(signal) => ReadySign::Signalled(signal),
                Sign::Ack => ReadySign::Acked,
                Sign::Pipe(fd) => ReadySign::Wrote(fd),
            };
            self.events.push_back(Event::Ready(generation, sign));
        }
        if matches!(sign, Sign::Signal(_)) {
            self.may_have_hidden(generation, sign);
        }
    }

    /// While one signal waits to be taken, a second of the same number is lost (signal(7)). So the word of one generation may
    /// have hidden another's, and an accepted connection is enough for that one.
    fn may_have_hidden(&mut self, by: GenerationId, sign: Sign) {
        let waits = |copy: &&Copy| copy.generation != by && copy.watch.as_ref().is_some_and(|watch| watch.counts(sign));
        let hidden: Vec<GenerationId> = self.copies.values().filter(waits).map(|copy| copy.generation).collect();
        for generation in hidden {
            let (known, plan) = (self.known_of(generation), self.plan_of(generation));
            if let Some(watch) = self.copies.get_mut(&generation).and_then(|copy| copy.watch.as_mut()) {
                watch.accept_too(&plan.readiness.mode, known, &mut self.listeners, clock::now());
            }
        }
    }

    /// The generation a process belongs to.
    fn copy_of(&mut self, pid: Pid) -> Option<GenerationId> {
        if let Some(copy) = self.copies.values().find(|copy| copy.tree.main() == pid) {
            return Some(copy.generation);
        }
        let table = ProcessTable::read();
        self.copies.values().find_map(|copy| copy.tree.had(&table, pid).then_some(copy.generation))
    }

    /// Job control: the copies stop, then endless; what continues endless continues them. For whatever has a deadline the time
    /// between did not pass.
    pub(super) fn suspend(&mut self) {
        let generations: Vec<GenerationId> = self.copies.keys().copied().collect();
        for generation in &generations {
            self.signal_tree(*generation, Sig::STOP);
        }
        let since = clock::now();
        // Returns when somebody has sent SIGCONT.
        let _ = raise(Signal::SIGSTOP);
        clock::leave_out(since);
        if let Some(manager) = &mut self.manager {
            manager.continued(clock::now());
        }
        for generation in generations {
            self.signal_tree(generation, Sig::CONT);
        }
    }
}

/// What an action does, as it is told.
pub(super) fn asked_for(action: SignalAction) -> &'static str {
    if action == SignalAction::Ignore { "nothing but hooks" } else { action.name() }
}
