//! The loop: waits for what happens, asks the supervisor, carries out what it says. One thread, one poll(2).

mod ack;
mod begin;
mod capture;
mod carry;
mod channels;
mod children;
mod clients;
pub mod control;
mod copy;
mod deaf;
mod deserted;
pub mod detach;
mod diagnosis;
mod drain;
mod exec_check;
mod fd_store;
mod format;
pub mod home;
mod hooks;
mod http;
mod image;
mod in_use;
mod manager;
pub mod notify;
mod notify_place;
mod output;
mod outside;
mod own_sockets;
pub mod pid_file;
mod plans;
mod readiness;
pub mod reload;
mod requests;
mod said;
mod sender;
pub mod signals;
mod start;
mod status;
pub mod status_file;
mod survivors;
mod trapped;
mod unlinked;
pub mod upgrade;
mod wait;
pub mod watch;

use crate::listener::{Bound, Listeners};
use crate::notice::Notice;
use crate::plan::{Plan, Rlimit, Sign, SignalAction};
use crate::report::{Pids, Reporter, Sink};
use crate::spawn::Inherited;
use crate::supervisor::{Event, Generation, Request, State, Supervisor};
pub use crate::sys::clock;
use crate::words::{GenerationId, Moment};
use capture::Capture;
use control::Control;
use copy::Copy;
use fd_store::FdStore;
use hooks::RunningHooks;
use manager::Manager;
use notify_place::NotifyPlace;
use output::Output;
use pid_file::PidFile;
use plans::Plans;
use reload::Source;
use signals::Signals;
use status::Decided;
use status_file::StatusFile;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use upgrade::Upgrade;
use watch::Watching;

/// What one run of endless holds besides the plan: everything made before the first generation starts.
#[derive(Debug)]
pub struct Means {
    /// Every listener, bound.
    pub listeners: Listeners,
    /// Signal dispositions and mask as endless was started with them; the target gets them back.
    pub inherited: Inherited,
    /// The limit of open files endless was started with; the target gets it back.
    pub file_limit: Option<Rlimit>,
    /// The voice.
    pub reporter: Reporter,
    /// The control socket.
    pub control: Option<Control>,
    /// What the plan is made from.
    pub source: Source,
    /// The pid file.
    pub pid_file: Option<PidFile>,
    /// The status file.
    pub status_file: Option<StatusFile>,
    /// Where endless was started.
    pub home: home::Home,
    /// What is watched.
    pub watching: Option<Watching>,
    /// Where what the target prints goes.
    pub output: Option<Sink>,
    /// Who waits for the first generation (`--detach`).
    pub waiting: Option<OwnedFd>,
}

/// Everything the loop holds.
#[derive(Debug)]
pub struct Runtime {
    /// The plan in force.
    plan: Rc<Plan>,
    plans: Plans,
    listeners: Listeners,
    inherited: Inherited,
    file_limit: Option<Rlimit>,
    reporter: Reporter,
    /// The listeners as the hand-off and the hooks see them.
    held: Vec<Bound>,
    supervisor: Supervisor,
    copies: BTreeMap<GenerationId, Copy>,
    /// Where the calls of each generation that makes its own sockets come from. They outlive the copy where its processes do.
    captures: BTreeMap<GenerationId, Capture>,
    /// It was told why there are none.
    capture_told: BTreeSet<String>,
    pids: Pids,
    signals: Signals,
    notify_place: Option<NotifyPlace>,
    hooks: RunningHooks,
    control: Option<Control>,
    output: Option<Output>,
    manager: Option<Manager>,
    waiting: Option<OwnedFd>,
    pid_file: Option<PidFile>,
    status_file: Option<StatusFile>,
    home: home::Home,
    upgrade: Upgrade,
    watching: Option<Watching>,
    began: Moment,
    /// How the newest start ended.
    decided: Option<Decided>,
    /// What a status has counted in this turn of the loop.
    counted: Option<status::Open>,
    /// What the supervisor has not been told yet.
    events: VecDeque<Event>,
    last_ticket: u64,
    /// What copies have left for the next ones.
    fd_store: FdStore,
    /// What runs for `--ready exec=`, and what was killed of it and has not ended.
    checks: BTreeSet<nix::unistd::Pid>,
    /// How each program, by what it is known by, has said that it serves: that is expected of it again.
    expects: BTreeMap<String, Sign>,
    /// The generation that was the first to say so, of the program it is expected of.
    first_to_say: BTreeMap<GenerationId, String>,
    /// A generation whose end is being told.
    forget: Option<GenerationId>,
    /// When trees without a main process are looked at again.
    look_again: Option<Moment>,
    told: drain::ToldOnce,
    /// A restart has failed since then.
    failed: bool,
    /// When the status file was written last.
    status_told: Moment,
    finish: Option<u8>,
    /// Something has happened since memory was given back.
    awake: bool,
    /// When it was given back last.
    rested: Option<Moment>,
}

impl Runtime {
    /// Runs until everything is gone. Returns the exit status.
    #[must_use]
    pub fn run(mut self) -> u8 {
        loop {
            self.decide();
            self.go_on_with_upgrade();
            if !self.events.is_empty() {
                continue;
            }
            if let Some(code) = self.finish.filter(|_| !self.hooks.any() && self.checks.is_empty()) {
                self.drain_output();
                self.tell_waiting_failed(code);
                if let Some(control) = self.control.take() {
                    control.close(clock::now());
                }
                self.listeners.close();
                self.reporter.finish();
                return code;
            }
            if let (Some(_), Some(control)) = (self.finish, &mut self.control) {
                control.send_away(&self.hooks);
            }
            self.wait();
        }
    }

    /// Tells the supervisor what happened and does what it says, until nothing new has come of it.
    fn decide(&mut self) {
        while let Some(event) = self.events.pop_front() {
            if let (Event::Request(Request { what: SignalAction::Restart, .. }), Some(manager)) =
                (&event, &mut self.manager)
            {
                manager.reloading(clock::now());
            }
            if let Event::Gone(generation) = event {
                self.forget = Some(generation);
                self.copies.values_mut().for_each(|copy| copy.channels.gone(generation));
            }
            if let Event::Ready(generation, _) = event {
                self.drop_clients(generation);
            }
            for action in self.supervisor.handle(clock::now(), event) {
                self.carry_out(action);
            }
            self.tidy();
        }
        self.write_status();
        if let Some(manager) = &mut self.manager {
            let (starting, stopping) = (self.supervisor.attempting(), self.supervisor.stopping());
            manager.update(clock::now(), self.supervisor.active(), starting, stopping);
        }
    }

    /// Ends the watches that are decided, and forgets the pid of a generation once its end was told.
    fn tidy(&mut self) {
        let waiting = |one: &&Generation| matches!(one.state, State::Starting { .. });
        let candidate = self.supervisor.generations().find(waiting).map(|one| one.id);
        for copy in self.copies.values_mut().filter(|copy| Some(copy.generation) != candidate) {
            if let Some(watch) = copy.watch.take() {
                let active = self.supervisor.active() == Some(copy.generation);
                watch.end(&mut self.listeners);
                if active {
                    self.listeners.drop_waiting(copy.generation);
                }
            }
            copy.check = None;
        }
        if let Some(gone) = self.forget.take() {
            self.pids.remove(&gone);
            self.plans.of.remove(&gone);
        }
    }

    fn tell(&self, notice: &Notice) {
        self.reporter.tell(notice, &self.pids);
    }

    fn tell_all(&self, notices: Vec<Notice>) {
        for notice in notices {
            self.tell(&notice);
        }
    }
}
