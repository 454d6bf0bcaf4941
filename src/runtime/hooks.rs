//! Running hooks: the commands of one point one after the other, beside the loop.

use super::clock;
use super::home::Home;
use crate::notice::Notice;
use crate::plan::{Hook, Hooks};
use crate::spawn;
use crate::supervisor::HookRun;
use crate::sys::signals::Inherited;
use crate::words::{Exit, HookPoint, Moment, Sig};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid};
use std::collections::VecDeque;
use std::ffi::OsString;

/// What a hook finds in its environment.
pub type Environment = Vec<(OsString, OsString)>;

/// All hooks that are running or waiting for their turn.
#[derive(Debug, Default)]
pub struct RunningHooks {
    runs: Vec<Run>,
}

/// The commands of one point, the first of which is running.
#[derive(Debug)]
struct Run {
    id: HookRun,
    point: HookPoint,
    environment: Environment,
    waiting: VecDeque<String>,
    current: String,
    pid: Pid,
    deadline: Option<Moment>,
    overdue: bool,
}

/// A run that is over, and what there is to tell about it.
#[derive(Debug)]
pub struct Ended {
    /// Which run.
    pub run: HookRun,
    /// The reason of the hook that failed.
    pub result: Result<(), String>,
    /// The failure as a notice.
    pub notice: Option<Notice>,
}

impl RunningHooks {
    /// Starts the first hook of a point. `Some` at once when there is none, or it cannot be started.
    pub fn start(
        &mut self,
        id: HookRun,
        point: HookPoint,
        hooks: &Hooks,
        inherited: &Inherited,
        home: &Home,
        environment: impl FnOnce() -> Environment,
    ) -> Option<Ended> {
        let commands = hooks.list.iter().filter(|hook| hook.point == point);
        let waiting: VecDeque<String> = commands.map(|Hook { command, .. }| command.clone()).collect();
        if waiting.is_empty() {
            return Some(Ended { run: id, result: Ok(()), notice: None });
        }
        let run = Run {
            id,
            point,
            environment: environment(),
            waiting,
            current: String::new(),
            pid: Pid::from_raw(0),
            deadline: None,
            overdue: false,
        };
        self.next(run, hooks, inherited, home)
    }

    fn next(&mut self, mut run: Run, hooks: &Hooks, inherited: &Inherited, home: &Home) -> Option<Ended> {
        let Some(command) = run.waiting.pop_front() else {
            return Some(Ended { run: run.id, result: Ok(()), notice: None });
        };
        run.current = command;
        let _there = home.enter();
        match spawn::launch_shell(&run.current, &run.environment, inherited) {
            Ok(pid) => {
                run.pid = pid;
                let timeout = hooks.timeout.filter(|_| run.point != HookPoint::Watch);
                run.deadline = timeout.map(|timeout| clock::now() + timeout);
                self.runs.push(run);
                None
            }
            Err(error) => Some(run.failed(error.to_string())),
        }
    }

    /// A child ended. `None` when it was no hook's; `Some(None)` when the next hook of its run goes on.
    pub fn child_ended(
        &mut self,
        pid: Pid,
        exit: Exit,
        hooks: &Hooks,
        inherited: &Inherited,
        home: &Home,
    ) -> Option<Option<Ended>> {
        let at = self.runs.iter().position(|run| run.pid == pid)?;
        let run = self.runs.swap_remove(at);
        Some(match exit {
            _ if run.overdue => {
                let timeout = hooks.timeout.unwrap_or_default();
                let why = format!("killed after {} (--hook-timeout)", humantime::format_duration(timeout));
                Some(run.failed(why))
            }
            exit if exit.clean() => self.next(run, hooks, inherited, home),
            exit => Some(run.failed(exit.to_string())),
        })
    }

    /// Kills what has run for too long; its end is told by [`RunningHooks::child_ended`].
    pub fn kill_overdue(&mut self, now: Moment) {
        for run in &mut self.runs {
            if run.deadline.is_some_and(|deadline| deadline <= now) {
                run.overdue = true;
                run.deadline = None;
                // Our unreaped child leads this group, so the number cannot be anybody else's.
                let _ = killpg(run.pid, Signal::SIGKILL);
            }
        }
    }

    /// Kills the hook of this run, where one runs; its end is told as any other.
    pub fn end(&mut self, id: HookRun) {
        for run in self.runs.iter().filter(|run| run.id == id) {
            // As above.
            let _ = killpg(run.pid, Signal::SIGKILL);
        }
    }

    /// Kills what was asked whether something may be done: it is not done any more.
    pub fn end_asked(&mut self) {
        for run in self.runs.iter_mut().filter(|run| matches!(run.point, HookPoint::Pre(_) | HookPoint::Begin)) {
            run.waiting.clear();
            // As above.
            let _ = killpg(run.pid, Signal::SIGKILL);
        }
    }

    /// Whether a process is one of a command that runs.
    #[must_use]
    pub fn has(&self, process: Pid) -> bool {
        getpgid(Some(process)).is_ok_and(|group| self.runs.iter().any(|run| run.pid == group))
    }

    /// The next moment at which one is overdue.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.runs.iter().filter_map(|run| run.deadline).min()
    }

    /// True while one is running.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.runs.is_empty()
    }
}

impl Run {
    fn failed(self, why: String) -> Ended {
        let notice = Notice::HookFailed { point: self.point, command: self.current.clone(), why: why.clone() };
        Ended {
            run: self.id,
            result: Err(format!("hook {} {:?}: {why}", self.point, self.current)),
            notice: Some(notice),
        }
    }
}

/// The signal a point belongs to, for ENDLESS_SIGNAL.
#[must_use]
pub fn signal_of(point: HookPoint) -> Option<Sig> {
    match point {
        HookPoint::Pre(signal) | HookPoint::Post(signal) => Some(signal),
        _ => None,
    }
}
