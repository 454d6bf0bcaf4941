//! Carrying out what the supervisor decided.

use super::copy::Main;
use super::status::Decided;
use super::{Runtime, clock, hooks, watch};
use crate::handoff::LONGEST_STRING;
use crate::listener::Bound;
use crate::notice::{Level, Notice};
use crate::plan::KillMode;
use crate::spawn::{ProcessEntry, ProcessTable};
use crate::supervisor::{Action, Event, HookContext, HookRun, StopReason};
use crate::words::{GenerationId, HookPoint, Sig};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::OsString;

impl Runtime {
    pub(super) fn carry_out(&mut self, action: Action) {
        match action {
            Action::RunHooks { run, point, context } => self.run_hooks(run, point, &context),
            Action::Reread => self.reread(),
            Action::Spawn { generation, seats } => self.start(generation, seats),
            Action::Steer(to) => self.steer(to),
            Action::Drain(generation) => self.drain(generation),
            Action::Stop(generation, reason) => self.stop(generation, reason),
            Action::ShutSeats(generation) => self.listeners.shut(generation),
            Action::Kill(generation) => self.kill(generation),
            Action::Release(generation) => self.release(generation),
            Action::Forward(generation, signal) => self.forward(generation, signal),
            Action::Reopen => self.reopen(),
            Action::Suspend => self.suspend(),
            Action::Upgrade => self.upgrade(),
            Action::Answer(ticket, outcome) => {
                // Nobody waits for the answer to a signal: the log has it.
                let client = self.control.as_mut().and_then(|control| control.answer(ticket, &outcome, clock::now()));
                client.into_iter().for_each(|client| self.client_goes_on(client));
            }
            Action::Report(notice) => {
                self.decided = Decided::of(&notice, clock::now()).or(self.decided.take());
                let refused = matches!(notice, Notice::Refused { what: "restart", .. });
                self.failed |= refused || matches!(notice, Notice::Failed { .. } | Notice::HandedBack { .. });
                if matches!(notice, Notice::Ready { .. }) {
                    // Whoever waits sees it: a failure before it is no news any more.
                    self.failed = false;
                }
                self.settle_plans(&notice);
                if matches!(notice, Notice::Ready { .. } | Notice::HandedBack { .. }) {
                    self.watch_as_planned();
                }
                if let Notice::Failed { generation, .. } | Notice::HandedBack { from: generation, .. } = &notice {
                    self.unsay(*generation);
                }
                if let Notice::Ready { generation, sign, .. } = &notice {
                    // What it printed on its way stands before the line that it is ready.
                    self.printed(*generation);
                    self.tell_missed(*generation);
                    self.suspect(*generation, sign);
                    self.keep_what_it_left(*generation);
                }
                self.tell(&notice);
                self.tell_waiting_ready(&notice);
                if let Notice::Failed { generation, .. } = notice {
                    self.tell_last_lines(generation);
                }
            }
            Action::Finish(code) => {
                // A build that goes on is no reason to stay, nor an answer nobody waits for.
                self.hooks.end(watch::RUN);
                self.hooks.end_asked();
                self.finish = Some(code);
            }
        }
    }

    /// It is gone. A path it has removed at its end leads to the active one again.
    fn release(&mut self, generation: GenerationId) {
        self.listeners.release(generation);
        if let Some(active) = self.supervisor.active() {
            let notices = self.listeners.check_planned_paths(active);
            self.tell_all(notices);
        }
    }

    pub(super) fn run_hooks(&mut self, run: HookRun, point: HookPoint, context: &HookContext) {
        let pids = &self.pids;
        let addresses = &self.held;
        let environment = || {
            let pid = |generation: Option<GenerationId>| generation.and_then(|one| pids.get(&one)).map(i32::to_string);
            // NUL bytes of abstract names as /proc/net/unix has them.
            let said = |held: &Bound| held.address.plain().to_string_lossy().replace('\0', "@");
            let addresses = addresses.iter().map(said).collect::<Vec<_>>().join(" ");
            // A longer one would keep the hook from being run (execve(2)).
            let addresses = Some(addresses).filter(|all| all.len() + "ENDLESS_ADDR=".len() < LONGEST_STRING);
            let mut variables: hooks::Environment = std::env::vars_os().collect();
            let mut set = |name: &str, value: Option<String>| {
                variables.retain(|(known, _)| known != name);
                variables.push((OsString::from(name), OsString::from(value.unwrap_or_default())));
            };
            set("ENDLESS_SIGNAL", hooks::signal_of(point).map(|signal| signal.to_string()));
            set("ENDLESS_GENERATION", context.generation.map(|generation| generation.to_string()));
            set("ENDLESS_PID", Some(std::process::id().to_string()));
            set("ENDLESS_CHILD_PID", pid(context.generation));
            set("ENDLESS_OLD_PID", pid(context.old));
            set("ENDLESS_ADDR", addresses);
            set("ENDLESS_REASON", Some(context.reason.clone()));
            variables
        };
        let ended = self.hooks.start(run, point, &self.plan.hooks, &self.inherited, &self.home, environment);
        self.hooks_ended(ended);
    }

    pub(super) fn hooks_ended(&mut self, ended: Option<hooks::Ended>) {
        let Some(ended) = ended else { return };
        if let Some(notice) = &ended.notice {
            self.tell(notice);
        }
        if ended.run == watch::RUN {
            return self.watch_executed(ended.result);
        }
        self.events.push_back(Event::HooksDone { run: ended.run, result: ended.result });
    }

    fn stop(&mut self, generation: GenerationId, reason: StopReason) {
        if reason == StopReason::Retired {
            self.end_drain(generation);
        }
        let retirement = self.plan_at_end(generation).retirement;
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        let signal = match reason {
            StopReason::Retired => retirement.retire_signal,
            StopReason::Stopped | StopReason::Survived => retirement.stop_signal,
        };
        if reason == StopReason::Stopped && copy.stopped == Some(signal) {
            // Many servers take a second one for "at once".
            return;
        }
        self.begin_progress(generation);
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        match &mut copy.main {
            Main::Starting { stop, .. } => *stop = Some(reason),
            Main::Running => {
                copy.stopped = Some(signal);
                self.tell(&Notice::Stopping { generation, signal });
                if retirement.kill_mode == KillMode::Group {
                    self.signal_tree(generation, signal);
                } else {
                    self.signal_main(generation, signal);
                }
                self.wake_stopped(generation);
            }
            Main::NotExecuted => {}
            Main::Ended => self.stop_survivors(generation, signal),
        }
    }

    /// What is stopped, by a terminal for one, acts on no signal before it is continued.
    fn wake_stopped(&mut self, generation: GenerationId) {
        let main = self.copies.get(&generation).map(|copy| copy.tree.main());
        if main.and_then(ProcessEntry::read).is_some_and(|entry| entry.stopped) {
            self.signal_tree(generation, Sig::CONT);
        }
    }

    /// The main process is gone; what it left behind is named and told to stop, by the signal the main process got if it
    /// got one. With `--kill-mode group` it got that one itself, and many servers take a second one for "at once".
    fn stop_survivors(&mut self, generation: GenerationId, signal: Sig) {
        let kill_mode = self.plan_at_end(generation).retirement.kill_mode;
        let Some(copy) = self.copies.get_mut(&generation).filter(|_| kill_mode != KillMode::Process) else { return };
        if !copy.tree.alive() {
            return;
        }
        let members = copy.tree.members(&ProcessTable::read());
        if members.is_empty() {
            return;
        }
        let told = copy.stopped.filter(|_| kill_mode == KillMode::Group);
        let signal = copy.stopped.unwrap_or(signal);
        let pids = members.into_iter().map(|member| (member.pid.as_raw(), member.name)).collect();
        self.tell(&Notice::Survivors { generation, pids });
        if told.is_none() {
            self.tell(&Notice::Stopping { generation, signal });
            self.signal_tree(generation, signal);
        }
    }

    fn kill(&mut self, generation: GenerationId) {
        let kill_mode = self.plan_at_end(generation).retirement.kill_mode;
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        copy.killed = true;
        match kill_mode {
            KillMode::Process => self.signal_main(generation, Sig::KILL),
            KillMode::Mixed | KillMode::Group => self.signal_tree(generation, Sig::KILL),
        }
    }

    fn forward(&mut self, generation: GenerationId, signal: Sig) {
        if self.copies.get(&generation).is_some_and(|copy| matches!(copy.main, Main::Running)) {
            self.signal_main(generation, signal);
        }
    }

    fn signal_main(&mut self, generation: GenerationId, signal: Sig) {
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        let answer = match copy.heir.filter(|_| signal != Sig::KILL) {
            Some(heir) => match copy.tree.signal_member(heir, signal) {
                // It has ended, and nobody has said which is the main process now.
                Err(Errno::ESRCH) => {
                    copy.heir = None;
                    copy.tree.signal_main(signal)
                }
                answer => answer,
            },
            None => copy.tree.signal_main(signal),
        };
        let main = copy.tree.main();
        match answer {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => self.refused(main, "the main process", signal, errno),
        }
    }

    pub(super) fn signal_tree(&mut self, generation: GenerationId, signal: Sig) {
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        for refused in copy.tree.kill_tree(signal) {
            self.refused(refused.member.pid, &refused.member.name, signal, refused.errno);
        }
    }

    /// A process that runs as somebody else cannot be signalled by an endless that is not root.
    fn refused(&self, pid: Pid, name: &str, signal: Sig, errno: Errno) {
        let text = format!("{signal} cannot be sent to {name} (pid {pid}): {}", errno.desc());
        self.tell(&Notice::Note { level: Level::Problem, text });
    }
}
