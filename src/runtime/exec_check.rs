//! `--ready exec=CMD`: a command of the operator's that exits with 0 when the copy serves.

use super::{Runtime, clock};
use crate::spawn;
use crate::supervisor::Event;
use crate::words::{Exit, GenerationId, Moment, ReadySign};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::time::Duration;

/// One try follows the end of the one before it after this long.
const PAUSE: Duration = Duration::from_millis(250);

/// A copy's environment, in which the check is run.
pub type Environment = Vec<(OsString, OsString)>;

/// The check of one candidate.
#[derive(Debug)]
pub struct ExecCheck {
    command: String,
    environment: Environment,
    running: Option<Pid>,
    next: Moment,
}

impl ExecCheck {
    /// A check that was not tried yet. The descriptors of the copy are not there, nor is its notify socket any business of
    /// the check's. ENDLESS_REASON tells it from the processes of the copy.
    #[must_use]
    pub fn new(command: String, mut environment: Environment, main: Pid) -> ExecCheck {
        let of_the_copy = ["LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC"];
        environment.retain(|(name, _)| !of_the_copy.iter().any(|known| name == known));
        environment.push(("ENDLESS_REASON".into(), "ready".into()));
        environment.push(("ENDLESS_CHILD_PID".into(), main.to_string().into()));
        ExecCheck { command, environment, running: None, next: Moment::default() }
    }

    /// When it is to be tried next.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        self.running.is_none().then_some(self.next)
    }
}

impl Drop for ExecCheck {
    fn drop(&mut self) {
        if let Some(running) = self.running {
            // Our child that leads this group is reaped later, and until then the number is nobody else's.
            let _ = killpg(running, Signal::SIGKILL);
        }
    }
}

impl Runtime {
    /// Runs the checks that are due.
    pub(super) fn run_checks(&mut self, now: Moment) {
        for copy in self.copies.values_mut().filter(|copy| copy.executes()) {
            let Some(check) = copy.check.as_mut().filter(|check| check.next().is_some_and(|next| next <= now)) else {
                continue;
            };
            let _there = self.home.enter();
            match spawn::launch_shell(&check.command, &check.environment, &self.inherited) {
                Ok(pid) => {
                    check.running = Some(pid);
                    self.checks.insert(pid);
                }
                // No processes to be had: perhaps at the next try.
                Err(_) => check.next = now + PAUSE,
            }
        }
    }

    /// True when the child that ended was a check.
    pub(super) fn check_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        if !self.checks.remove(&pid) {
            return false;
        }
        let mut checked = self.copies.values_mut().filter_map(|copy| Some((copy.generation, copy.check.as_mut()?)));
        let found = checked.find(|(_, check)| check.running == Some(pid));
        // The others were killed, and nobody waits for their answer.
        let Some((generation, check)): Option<(GenerationId, _)> = found else { return true };
        check.running = None;
        check.next = clock::now() + PAUSE;
        if exit.clean() {
            self.events.push_back(Event::Ready(generation, ReadySign::Checked));
        }
        true
    }
}
