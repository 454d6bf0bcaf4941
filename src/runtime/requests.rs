//! Signals to endless: a copy's readiness, or somebody's request.

use super::Runtime;
use super::copy::Copy;
use super::signals::Received;
use crate::notice::Notice;
use crate::plan::{Plan, ReadyMode, SignalAction};
use crate::spawn::ProcessTable;
use crate::supervisor::{Event, Request, Ticket, What};
use crate::words::{GenerationId, ReadySign, Sig};
use nix::sys::signal::{Signal, raise};
use nix::unistd::Pid;

/// Every signal that needs a handler.
pub(super) fn handled(plan: &Plan) -> impl Iterator<Item = Sig> + '_ {
    let readiness = match plan.readiness.mode {
        ReadyMode::Signal(signal) => Some(signal),
        _ => None,
    };
    plan.signals.0.keys().copied().chain(readiness)
}

impl Runtime {
    pub(super) fn signal_received(&mut self, received: Received) {
        if received.signal == Sig::CHLD {
            return self.reap();
        }
        if self.plan.readiness.mode == ReadyMode::Signal(received.signal)
            && let Some(generation) = received.sender.and_then(|pid| self.copy_of(Pid::from_raw(pid)))
        {
            return self.ready_signal(generation, received.signal);
        }
        let Some(action) = self.plan.signals.0.get(&received.signal).copied() else { return };
        self.tell(&Notice::Asked { signal: received.signal, sender: received.sender, what: name(action) });
        if action == SignalAction::Suspend {
            self.suspend();
        }
        let what = match action {
            SignalAction::Restart => What::Restart,
            SignalAction::Stop => What::Stop,
            SignalAction::Hammer => What::Hammer,
            SignalAction::Forward(signal) => What::Forward(signal),
            SignalAction::Suspend | SignalAction::Ignore => What::Nothing,
        };
        self.last_ticket += 1;
        let request = Request { ticket: Ticket(self.last_ticket), what, signal: Some(received.signal) };
        self.events.push_back(Event::Request(request));
    }

    /// A signal that a copy sends under `--ready signal=…` is its readiness and never a command.
    fn ready_signal(&mut self, generation: GenerationId, signal: Sig) {
        let watch = self.copies.get(&generation).and_then(|copy| copy.watch.as_ref());
        if watch.is_some_and(|watch| watch.counts_signal(signal)) {
            self.events.push_back(Event::Ready(generation, ReadySign::Signalled(signal)));
        }
    }

    /// The generation a process belongs to.
    fn copy_of(&mut self, pid: Pid) -> Option<GenerationId> {
        if let Some(copy) = self.copies.values().find(|copy| copy.tree.main() == pid) {
            return Some(copy.generation);
        }
        let table = ProcessTable::read();
        let is_member = |copy: &mut Copy| copy.tree.members(&table).iter().any(|member| member.pid == pid);
        self.copies.values_mut().find_map(|copy| is_member(copy).then_some(copy.generation))
    }

    /// Job control: the copies stop, then endless; what continues endless continues them.
    fn suspend(&mut self) {
        let generations: Vec<GenerationId> = self.copies.keys().copied().collect();
        for generation in &generations {
            self.signal_tree(*generation, Sig::STOP);
        }
        // Returns when somebody has sent SIGCONT.
        let _ = raise(Signal::SIGSTOP);
        for generation in generations {
            self.signal_tree(generation, Sig::CONT);
        }
    }
}

fn name(action: SignalAction) -> &'static str {
    match action {
        SignalAction::Restart => "restart",
        SignalAction::Stop => "stop",
        SignalAction::Hammer => "hammer",
        SignalAction::Forward(_) => "forward",
        SignalAction::Suspend => "suspend",
        SignalAction::Ignore => "nothing but hooks",
    }
}
