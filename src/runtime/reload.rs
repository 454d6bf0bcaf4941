//! `--config`: the command line and its file are read again at a restart; the candidate is started under the new plan, and
//! everything else goes by it once that generation is active.

use super::notify_place::NotifyPlace;
use super::plans::{Plans, Remade};
use super::{Runtime, requests};
use crate::cli::{self, Args, Invocation};
use crate::listener::{self, BindError, Inherited};
use crate::notice::{Level, Notice};
use crate::plan::{Capture, InheritedSocket, Lifecycle, ListenerSpec, Plan, ReadyMode, Surroundings};
use crate::supervisor::Event;
use crate::sys::signals::hear;
use crate::words::GenerationId;
use std::ffi::OsString;
use std::rc::Rc;

/// What a plan is made from.
#[derive(Debug)]
pub struct Source {
    /// The command line, the program's name included.
    pub args: Vec<OsString>,
    /// The sockets endless was started with.
    pub passed: Vec<Inherited>,
}

impl Source {
    /// Reads it all again.
    ///
    /// # Errors
    /// A reason in one line.
    fn read(&self, before: &Plan) -> Result<Plan, String> {
        let (args, plan) = self.make(None)?;
        // A name that was not asked for is that of the first command. The directory of the default sockets may be gone.
        let (name, control) = match args.output.name {
            Some(_) if plan.name != before.name => (plan.name.clone(), plan.control.clone()),
            _ => (before.name.clone(), before.control.clone()),
        };
        let control = if args.output.control.is_some() { plan.control.clone() } else { control };
        let plan = Plan { name, control, ..plan };
        if let Some(option) = fixed(before, &plan) {
            return Err(format!("{option} cannot change while endless runs; stop it and start it again"));
        }
        self.refuse_own(before, &plan)?;
        Ok(plan)
    }

    /// By now most descriptors are endless' own.
    fn refuse_own(&self, before: &Plan, after: &Plan) -> Result<(), String> {
        let passed = self.passed.iter().map(|one| one.number);
        let known: Vec<i32> = passed.chain(before.listeners.iter().filter_map(ListenerSpec::descriptor)).collect();
        let unknown = |spec: &&ListenerSpec| spec.descriptor().is_some_and(|number| !known.contains(&number));
        match after.listeners.iter().find(unknown) {
            Some(spec) => Err(format!(
                "--listen {}: this descriptor was neither passed in nor a listener before; give an address, or stop endless and start \
                 it again",
                spec.flag
            )),
            None => Ok(()),
        }
    }

    /// Makes a plan again as it was.
    ///
    /// # Errors
    /// A reason in one line.
    pub(super) fn remake(&self, of: &Remade) -> Result<Plan, String> {
        let (_, plan) = self.make(of.configuration.as_deref())?;
        Ok(Plan { name: of.name.clone(), control: of.control.clone(), ..plan })
    }

    /// `configuration`: the text of the file, where it is not to be read.
    fn make(&self, configuration: Option<&[u8]>) -> Result<(Box<Args>, Plan), String> {
        let one_line = |text: String| text.replace("\nhint: ", "; ");
        let environment: Vec<_> = std::env::vars_os().collect();
        let parsed = cli::parse_with(self.args.iter().cloned(), &environment, configuration);
        let args = match parsed.map_err(|error| one_line(error.to_string()))? {
            Invocation::Run(args) => args,
            _ => return Err("the command line is no longer one that runs something".to_owned()),
        };
        let socket = |one: &Inherited| InheritedSocket { fd: one.number, name: one.name.clone() };
        let around =
            Surroundings { inherited: self.passed.iter().map(socket).collect(), ipv6: listener::has_ipv6, environment };
        let plan = Plan::again(&args, &around).map_err(|error| one_line(error.to_string()))?;
        Ok((args, plan))
    }
}

/// The first option that has changed and cannot.
fn fixed(before: &Plan, after: &Plan) -> Option<&'static str> {
    let signal = |plan: &Plan| match plan.readiness.mode {
        ReadyMode::Signal(signal) => Some(signal),
        _ => None,
    };
    let changed = [
        ("--name", before.name != after.name),
        ("--control", before.control != after.control),
        ("--pid-file", before.pid_file != after.pid_file),
        ("--status-file", before.status_file != after.status_file),
        ("--log-file", before.files.log != after.files.log),
        ("--output", before.files.output != after.files.output),
        ("--events", before.files.events != after.files.events),
        ("--detach", before.files.detach != after.files.detach),
        ("--log-format, --quiet or --verbose", before.output != after.output),
        ("--on", before.signals != after.signals),
        ("--ready signal=SIG", signal(before) != signal(after)),
        (
            "--capture (always where there is no --listen)",
            (before.capture == Capture::Always) != (after.capture == Capture::Always),
        ),
    ];
    changed.into_iter().find(|(_, changed)| *changed).map(|(option, _)| option)
}

impl Runtime {
    pub(super) fn reread(&mut self) {
        let result = self.read_again();
        self.events.push_back(Event::Reread(result.map(Box::new)));
    }

    fn read_again(&mut self) -> Result<Lifecycle, String> {
        let plans = &mut self.plans;
        let there = self.home.enter();
        let plan = plans.source.read(&self.plan)?;
        drop(there);
        // Before anything is changed: signals that nobody means have handlers then, and do nothing.
        let handled = requests::handled(&plan);
        self.inherited.will_change(&handled);
        self.signals.install(&handled).map_err(|error| format!("a signal cannot have a handler: {error}"))?;
        hear(&self.inherited);
        let changed = self.listeners.change(&plan.listeners, &plans.source.passed);
        let (change, notices) = changed.map_err(|error| error.to_string().replace("\nhint: ", "; "))?;
        let lifecycle = plan.lifecycle.clone();
        if self.plan.process.identity.is_none() && plan.process.identity.is_some() {
            self.notify_place = NotifyPlace::find(true).ok().or(self.notify_place.take());
        }
        plans.next = Some((Rc::new(plan), change));
        self.hold();
        self.tell_all(notices);
        Ok(lifecycle)
    }

    /// Exchanges the plan in force and the candidate's, where there is one: around its start.
    fn swap_plans(&mut self) {
        if let Some((next, _)) = &mut self.plans.next {
            std::mem::swap(&mut self.plan, next);
        }
    }

    /// Starts a generation under the plan that is to be its own.
    pub(super) fn start_under_its_plan(&mut self, generation: GenerationId, start: impl FnOnce(&mut Runtime)) {
        self.swap_plans();
        if self.plan.lifecycle.rereads {
            self.plans.of.insert(generation, Rc::clone(&self.plan));
        }
        start(self);
        self.swap_plans();
    }

    /// What a notice means for the plans.
    pub(super) fn settle_plans(&mut self, notice: &Notice) {
        if !self.plan.lifecycle.rereads {
            return;
        }
        let plans = &mut self.plans;
        match notice {
            Notice::Ready { .. } => {
                if let Some((next, _)) = plans.next.take() {
                    self.plan = next;
                }
                self.listeners.settle();
            }
            Notice::Failed { .. } | Notice::Refused { what: "restart", .. } => {
                if let Some((_, change)) = plans.next.take() {
                    self.listeners.undo(change);
                    self.hold();
                }
            }
            Notice::HandedBack { to, .. } => {
                let Some(plan) = plans.of.get(to) else { return };
                self.plan = Rc::clone(plan);
                if let Err(error) = self.listen_as_planned() {
                    self.tell(&Notice::Note { level: Level::Problem, text: error.to_string() });
                }
                self.hold();
            }
            _ => {}
        }
    }

    /// Makes the listeners of the plan in force the next ones. All of them are open: the generation that serves has them. Where
    /// a candidate is on its way, those of its plan are the next ones again, and what its failure leads back to is this.
    fn listen_as_planned(&mut self) -> Result<(), BindError> {
        let Plans { source, next, .. } = &mut self.plans;
        self.listeners.change(&self.plan.listeners, &source.passed)?;
        match next {
            Some((next, change)) => *change = self.listeners.change(&next.listeners, &source.passed)?.0,
            None => self.listeners.settle(),
        }
        Ok(())
    }

    /// The listeners as the hand-off and the hooks see them.
    fn hold(&mut self) {
        self.held = self.listeners.planned_addresses().cloned().collect();
    }
}
