//! `--config`: the command line and its file are read again at a restart; the candidate is started under the new plan, and
//! everything else goes by it once that generation is active.

use super::Runtime;
use crate::cli::{self, Invocation};
use crate::handoff::Held;
use crate::listener::{Change, Inherited};
use crate::notice::{Level, Notice};
use crate::plan::{InheritedSocket, Lifecycle, Plan, ReadyMode, Surroundings};
use crate::supervisor::Event;
use crate::words::GenerationId;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::rc::Rc;

/// What a plan is made from.
#[derive(Debug)]
pub struct Source {
    /// The command line, the program's name included.
    pub args: Vec<OsString>,
    /// The sockets endless was started with.
    pub passed: Vec<Inherited>,
    /// Whether this machine has IPv6.
    pub ipv6: bool,
}

/// The plans beside the one in force.
#[derive(Debug)]
pub(super) struct Plans {
    source: Source,
    /// The candidate's.
    pub(super) next: Option<(Rc<Plan>, Change)>,
    /// That of each generation that was active.
    of: BTreeMap<GenerationId, Rc<Plan>>,
}

impl Plans {
    pub(super) fn new(source: Source) -> Plans {
        Plans { source, next: None, of: BTreeMap::new() }
    }
}

impl Source {
    /// Reads it all again.
    ///
    /// # Errors
    /// A reason in one line.
    fn read(&self, before: &Plan) -> Result<Plan, String> {
        let one_line = |text: String| text.replace("\nhint: ", "; ");
        let args = match cli::parse(self.args.iter().cloned()).map_err(|error| one_line(error.to_string()))? {
            Invocation::Run(args) => args,
            _ => return Err("the command line is no longer one that runs something".to_owned()),
        };
        let socket = |one: &Inherited| InheritedSocket { fd: one.number, name: one.name.clone() };
        let around = Surroundings {
            inherited: self.passed.iter().map(socket).collect(),
            ipv6: self.ipv6,
            environment: std::env::vars_os().collect(),
        };
        let plan = Plan::new(&args, &around).map_err(|error| one_line(error.to_string()))?;
        // A name that was not asked for is that of the first command.
        let (name, control) = match args.output.name {
            None => (before.name.clone(), before.control.clone()),
            Some(_) => (plan.name.clone(), plan.control.clone()),
        };
        let control = if args.output.control.is_some() { plan.control.clone() } else { control };
        let plan = Plan { name, control, ..plan };
        match fixed(before, &plan) {
            Some(option) => Err(format!("{option} cannot change while endless runs; stop it and start it again")),
            None => Ok(plan),
        }
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
        ("--capture", before.capture != after.capture),
    ];
    changed.into_iter().find(|(_, changed)| *changed).map(|(option, _)| option)
}

impl Runtime {
    pub(super) fn reread(&mut self) {
        let result = self.read_again();
        self.events.push_back(Event::Reread(result.map(Box::new)));
    }

    fn read_again(&mut self) -> Result<Lifecycle, String> {
        let Some(plans) = &mut self.plans else { return Ok(self.plan.lifecycle.clone()) };
        let plan = plans.source.read(&self.plan)?;
        let changed = self.listeners.change(&plan.listeners, &plans.source.passed);
        let (change, notices) = changed.map_err(|error| error.to_string().replace("\nhint: ", "; "))?;
        let lifecycle = plan.lifecycle.clone();
        plans.next = Some((Rc::new(plan), change));
        self.hold();
        self.tell_all(notices);
        Ok(lifecycle)
    }

    /// Exchanges the plan in force and the candidate's, where there is one: around its start.
    pub(super) fn swap_plans(&mut self) {
        if let Some((next, _)) = self.plans.as_mut().and_then(|plans| plans.next.as_mut()) {
            std::mem::swap(&mut self.plan, next);
        }
    }

    /// What a notice means for the plans.
    pub(super) fn settle_plans(&mut self, notice: &Notice) {
        let Some(plans) = &mut self.plans else { return };
        match notice {
            Notice::Ready { generation, .. } => {
                if let Some((next, _)) = plans.next.take() {
                    self.plan = next;
                }
                plans.of.insert(*generation, Rc::clone(&self.plan));
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
                // All of them are open: the generation has them.
                if let Err(error) = self.listeners.change(&self.plan.listeners, &plans.source.passed) {
                    self.tell(&Notice::Note { level: Level::Problem, text: error.to_string() });
                }
                self.hold();
            }
            Notice::Gone { generation } => drop(plans.of.remove(generation)),
            _ => {}
        }
    }

    /// The listeners as the hand-off and the hooks see them.
    fn hold(&mut self) {
        self.held = self.listeners.addresses().map(Held::from).collect();
    }
}
