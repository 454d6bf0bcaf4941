//! What the lives came to: proof that the interesting things happen in them.

use crate::ledger::Ledger;
use endless::notice::Notice;
use endless::supervisor::{Action, Outcome, Seats, StopReason};
use endless::words::{Failure, HookPoint};
use std::collections::BTreeMap;

/// How often each thing happened.
#[derive(Debug, Default, Clone)]
pub struct Tally(pub BTreeMap<&'static str, u64>);

/// What must happen in many lives, or the simulation proves less than it says.
pub const EXPECTED: [&str; 17] = [
    "restart done",
    "superseded",
    "not ready in time",
    "crashed in probation",
    "vetoed",
    "refused by a stop",
    "handed back",
    "hammered",
    "stuck",
    "survivors stopped",
    "seats inherited",
    "respawned",
    "gave up",
    "finished 0",
    "finished 137",
    "finished otherwise",
    "drained and handed back",
];

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Counts an action, before the ledger has it.
    pub fn action(&mut self, action: &Action, ledger: &Ledger) {
        match action {
            Action::Answer(_, Outcome::Done(Some(_))) => self.count("restart done"),
            Action::Answer(_, Outcome::Failed(failure)) => self.failure(failure),
            Action::Report(Notice::HandedBack { .. }) => self.count("handed back"),
            Action::Report(Notice::Stuck { .. }) => self.count("stuck"),
            Action::Report(Notice::Hammered { .. }) => self.count("hammered"),
            Action::Report(Notice::Respawning { .. }) => self.count("respawned"),
            Action::Report(Notice::GaveUp { .. }) => self.count("gave up"),
            Action::Stop(_, StopReason::Survived) => self.count("survivors stopped"),
            Action::Spawn { seats: Seats::Of(_), .. } => self.count("seats inherited"),
            Action::Steer(id) if ledger.generations[id].drain.is_some() => self.count("drained and handed back"),
            Action::RunHooks { point: HookPoint::Exit, .. } => self.count("exit hooks"),
            _ => {}
        }
    }

    fn failure(&mut self, failure: &Failure) {
        self.count(match failure {
            Failure::Superseded => "superseded",
            Failure::NotReady(_) => "not ready in time",
            Failure::Crashed(_) => "crashed in probation",
            Failure::Vetoed(_) => "vetoed",
            Failure::Stopping => "refused by a stop",
            Failure::NothingServes => "refused, nothing serves",
            Failure::Exited(_) => "died before ready",
            Failure::NotMade { .. } | Failure::NotExecuted { .. } => "not started",
        });
    }

    /// Counts a whole life.
    pub fn life(&mut self, ledger: &Ledger) {
        match ledger.finished {
            Some(0) => self.count("finished 0"),
            Some(137) => self.count("finished 137"),
            Some(_) => self.count("finished otherwise"),
            None => self.count("unfinished"),
        }
    }

    /// Adds another life's tally.
    pub fn add(&mut self, other: &Tally) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }
}
