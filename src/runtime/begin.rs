//! The beginning of the loop: everything it holds, made or taken over, and the first copy started before what it need not
//! wait for.

use super::fd_store::FdStore;
use super::hooks::RunningHooks;
use super::manager::{Manager, Variables};
use super::notify_place::NotifyPlace;
use super::output::Output;
use super::plans::Plans;
use super::signals::Signals;
use super::upgrade::Upgrade;
use super::{Means, Runtime, clock, control, drain, requests};
use crate::notice::{Level, Notice};
use crate::plan::Plan;
use crate::report::Pids;
use crate::spawn::hidden;
use crate::supervisor::{Event, Supervisor};
use crate::sys::signals::{AllBlocked, hear};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

impl Runtime {
    /// Makes ready to run: the pipe for signals, the directory of the notify sockets.
    ///
    /// # Errors
    /// When the pipe cannot be made.
    pub fn new(plan: Plan, mut means: Means) -> std::io::Result<Self> {
        let signals = Signals::prepare()?;
        means.inherited.will_change(&requests::handled(&plan));
        let seed = clock::now().0.subsec_nanos();
        let mut runtime = Self {
            supervisor: Supervisor::new(plan.lifecycle.clone(), u64::from(seed)),
            held: means.listeners.planned_addresses().cloned().collect(),
            plan: Rc::new(plan),
            plans: Plans::new(means.source),
            listeners: means.listeners,
            inherited: means.inherited,
            file_limit: means.file_limit,
            reporter: means.reporter,
            copies: BTreeMap::new(),
            captures: BTreeMap::new(),
            capture_told: BTreeSet::new(),
            pids: Pids::new(),
            signals,
            notify_place: None,
            hooks: RunningHooks::default(),
            control: means.control,
            output: means.output.map(Output::new),
            manager: find_manager(),
            waiting: means.waiting,
            pid_file: means.pid_file,
            status_file: means.status_file,
            home: means.home,
            upgrade: Upgrade::No,
            watching: means.watching,
            began: clock::now(),
            decided: None,
            counted: None,
            events: VecDeque::from([Event::Begin]),
            last_ticket: 0,
            fd_store: FdStore::default(),
            checks: BTreeSet::new(),
            expects: BTreeMap::new(),
            first_to_say: BTreeMap::new(),
            forget: None,
            look_again: None,
            told: drain::ToldOnce::default(),
            failed: false,
            status_told: clock::now(),
            finish: None,
            awake: true,
            rested: None,
        };
        runtime.find_notify_place();
        Ok(runtime)
    }

    fn find_notify_place(&mut self) {
        match NotifyPlace::find(self.plan.process.identity.is_some()) {
            Ok(place) => self.notify_place = Some(place),
            Err(error) => self.tell(&Notice::Note {
                level: Level::Problem,
                text: format!("there is no directory for notify sockets ({error}): READY=1 cannot be received"),
            }),
        }
    }

    /// Starts the first copy; then does what it need not wait for: the signal handlers, after which signals are no longer
    /// `blocked`, and those with handlers not even if they were before; what is left to do at the listeners; and the default
    /// control socket, which is no condition for anything.
    ///
    /// # Errors
    /// When a signal can have no handler; every signal that can be named has been found to take one.
    pub fn begin(&mut self, blocked: AllBlocked) -> std::io::Result<()> {
        self.decide();
        self.signals.install(&requests::handled(&self.plan))?;
        drop(blocked);
        hear(&self.inherited);
        let notices = self.listeners.complete();
        self.tell_all(notices);
        if let Some(text) = hidden() {
            self.tell(&Notice::Note { level: Level::Problem, text: text.into() });
        }
        match control::open_default(&self.plan.control) {
            Ok(None) => {}
            Ok(opened) => self.control = opened,
            Err(notice) => self.tell(&notice),
        }
        Ok(())
    }
}

/// The service manager above us, where there is one.
pub(super) fn find_manager() -> Option<Manager> {
    let variable = |name| std::env::var(name).ok();
    let (usec, pid) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
    let socket = std::env::var_os("NOTIFY_SOCKET");
    Manager::find(&Variables {
        socket: socket.as_deref(),
        watchdog_usec: usec.as_deref(),
        watchdog_pid: pid.as_deref(),
    })
}
