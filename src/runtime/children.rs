//! What becomes of the processes: executed, ended, gone with all that descends from them.

use super::copy::Main;
use super::{Runtime, clock};
use crate::plan::KillMode;
use crate::spawn;
use crate::supervisor::{Action, Event};
use crate::words::{Exit, Failure, GenerationId, Sig};
use nix::unistd::Pid;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// A tree whose main process is gone is looked at this often, should no SIGCHLD come when the rest of it ends.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Runtime {
    /// SIGCHLD: takes everything that ended.
    pub(super) fn reap(&mut self) {
        for (pid, exit) in spawn::reap_all() {
            self.child_ended(pid, exit);
        }
        self.look_for_gone();
    }

    fn child_ended(&mut self, pid: Pid, exit: Exit) {
        if let Some(ended) = self.hooks.child_ended(pid, exit, &self.plan.hooks, &self.inherited, &self.home) {
            return self.hooks_ended(ended);
        }
        if self.check_ended(pid, exit) || self.upgrade_check_ended(pid, exit) {
            return;
        }
        let generation = self.copies.values().find(|copy| copy.tree.main() == pid && !copy.main_ended());
        let Some(generation) = generation.map(|copy| copy.generation) else { return };
        if let Some(copy) = self.copies.get_mut(&generation).filter(|_| exit.clean()) {
            // It may have daemonized, and what goes on may have said something.
            copy.tree.set_own_sockets(self.listeners.own_sockets(generation));
        }
        self.notified(generation);
        self.channel_spoke(generation);
        self.executed(generation);
        if exit.clean() && self.succeeded_by_heir(generation) {
            return;
        }
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        let was = std::mem::replace(&mut copy.main, Main::Ended);
        if !matches!(was, Main::NotExecuted) {
            self.ended_early(generation, exit);
            self.events.push_back(Event::Exited(generation, exit));
        }
    }

    /// What one copy had alone another one gets now.
    pub(super) fn forget_own_sockets(&mut self) {
        for copy in self.copies.values_mut() {
            copy.tree.set_own_sockets(HashSet::new());
        }
    }

    /// Reads the report of a child between fork and exec: it became the target, or it could not.
    pub(super) fn executed(&mut self, generation: GenerationId) {
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        let Main::Starting { report, stop } = &copy.main else { return };
        let stop = *stop;
        match spawn::read_report(report) {
            None => {}
            Some(Ok(())) => {
                copy.main = Main::Running;
                self.events.push_back(Event::Started(generation));
                if let Some(reason) = stop {
                    self.carry_out(Action::Stop(generation, reason));
                }
            }
            Some(Err((step, errno))) => {
                copy.main = Main::NotExecuted;
                self.not_executed(generation, &step, errno);
                self.events.push_back(Event::NotStarted(generation, Failure::NotExecuted { step, errno }));
            }
        }
    }

    /// Tells which generations are gone with all of their tree, and kills what shows up in one that was killed.
    pub(super) fn look_for_gone(&mut self) {
        let main_only = |one: GenerationId| self.plan_at_end(one).retirement.kill_mode == KillMode::Process;
        let main_only: BTreeSet<GenerationId> = self.copies.keys().copied().filter(|one| main_only(*one)).collect();
        let mut gone = Vec::new();
        let mut late = Vec::new();
        let mut left = false;
        for copy in self.copies.values_mut().filter(|copy| copy.main_ended()) {
            if main_only.contains(&copy.generation) || !copy.tree.alive() {
                gone.push(copy.generation);
            } else {
                left = true;
                if copy.killed {
                    late.push(copy.generation);
                }
            }
        }
        for generation in late {
            self.signal_tree(generation, Sig::KILL);
        }
        self.look_again = left.then(|| clock::now() + LOOK_AGAIN);
        for generation in gone {
            self.copies.remove(&generation);
            self.events.push_back(Event::Gone(generation));
        }
    }
}
