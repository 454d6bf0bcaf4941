//! What is probably wrong with a candidate that does not come to serve: one line each, and only when the signs of it are there.

use super::format::wrong_with;
use super::{Runtime, in_use};
use crate::listener::listening_ports;
use crate::notice::{Notice, Trouble, Unseen};
use crate::plan::{Capture, Plan, Protocol, presets};
use crate::spawn::{ProcessEntry, ProcessTable, holds_any};
use crate::sys::socket::number;
use crate::words::{Exit, GenerationId, Moment};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A candidate that is not ready at this age is looked at, and again at twice the age.
pub const LOOK_AFTER: Duration = Duration::from_secs(3);

/// Programs that close what they were started with before they start another: Node.js marks it so, sudo and Python's
/// subprocess close it.
const CLOSERS: [&str; 8] = ["npm", "npx", "nodemon", "concurrently", "cross-env", "dotenv", "honcho", "sudo"];

impl Runtime {
    /// The candidate has been started for a while and is not ready: is there a wrapper in the way?
    pub(super) fn look_at_late_candidates(&mut self, now: Moment) {
        let late = |copy: &&mut super::copy::Copy| copy.look_closer.is_some_and(|at| at <= now);
        let generations: Vec<GenerationId> =
            self.copies.values_mut().filter(late).map(|copy| copy.generation).collect();
        for generation in generations {
            let Some(copy) = self.copies.get_mut(&generation) else { continue };
            // At twice the age once more, for the server may not be there yet.
            copy.look_closer = copy.watch.as_ref().map(|watch| now + watch.age(now));
            if copy.look_closer.is_some()
                && let Some(trouble) = self.in_the_way(generation).or_else(|| self.unused(generation))
            {
                self.diagnose(generation, trouble);
            }
        }
    }

    /// The main process of a candidate has ended: did it leave a daemon behind, could it not bind, was it without sockets?
    pub(super) fn ended_early(&mut self, generation: GenerationId, exit: Exit) {
        let Some(copy) = self.copies.get(&generation).filter(|copy| copy.watch.is_some() && !copy.diagnosed) else {
            return;
        };
        let captured = copy.filtered || self.captures.contains_key(&copy.generation);
        let plan = self.plan_of(generation);
        let trouble = match exit {
            Exit::Code(0) => self.daemonized(generation),
            Exit::Code(_) if !plan.listeners.is_empty() => match closer(&plan) {
                Some(wrapper) => Some(Trouble::Closed { wrapper, server: None }),
                None => self.binds_itself(generation, captured),
            },
            Exit::Code(_) => self.bound_unseen(generation, captured),
            Exit::Signal(..) => None,
        };
        if let Some(trouble) = trouble {
            self.diagnose(generation, trouble);
        }
    }

    /// Its file could not be executed: is there something wrong with what is in it?
    pub(super) fn not_executed(&mut self, generation: GenerationId, step: &str, errno: i32) {
        let Some(file) = step.strip_prefix("execute ") else { return };
        let _there = self.home.enter();
        let plan = self.plan_of(generation);
        let seen = plan.process.chdir.as_deref().map_or_else(|| file.into(), |dir| dir.join(file));
        if let Some(why) = wrong_with(&seen, errno) {
            self.diagnose(generation, Trouble::NotExecutable { file: file.to_owned(), why });
        }
    }

    fn diagnose(&mut self, generation: GenerationId, what: Trouble) {
        if let Some(copy) = self.copies.get_mut(&generation) {
            copy.diagnosed = true;
            copy.look_closer = None;
        }
        self.tell(&Notice::Diagnosis { generation, what });
    }

    /// It names an address of a listener, has done nothing to its sockets, and what it has printed, where that is known, says
    /// that the address is in use. Of a captured one that has to be known: most of these fail for another reason.
    fn binds_itself(&mut self, generation: GenerationId, captured: bool) -> Option<Trouble> {
        self.printed(generation);
        let printed = self.output.as_ref().and_then(|output| output.tail(generation));
        let said = printed.map(in_use::is_said);
        if !said.unwrap_or(!captured) || self.listeners.touched(generation) {
            return None;
        }
        let address = in_use::named(&self.plan_of(generation), &self.held)?.plain().to_string_lossy().into_owned();
        Some(Trouble::BindsItself { address, said: said.is_some(), captured })
    }

    /// The active copy listens on a port at a socket that is not known here.
    fn bound_unseen(&mut self, generation: GenerationId, captured: bool) -> Option<Trouble> {
        let active = self.supervisor.active()?;
        let open = self.copies.get_mut(&active)?.tree.open_sockets()?;
        let known: Vec<u16> = self.listeners.addresses().filter_map(|one| Some(one.address.inet()?.port())).collect();
        let ports = listening_ports(&open);
        let port = ports.into_iter().find(|port| !known.contains(port))?;
        let why = match captured {
            _ if self.plan_of(generation).capture == Capture::Never => Unseen::NotAsked,
            true => Unseen::Passed,
            false => Unseen::Refused,
        };
        Some(Trouble::Unseen { port, why })
    }

    /// Somebody of its tree still holds one of its seats.
    fn daemonized(&mut self, generation: GenerationId) -> Option<Trouble> {
        let mut seats = self.seat_numbers(generation);
        seats.extend(self.listeners.own_sockets(generation));
        let members = self.copies.get_mut(&generation)?.tree.members(&ProcessTable::read());
        let holder = members.iter().find(|member| holds_any(member.pid, &seats))?;
        let plan = self.plan_of(generation);
        let program = Path::new(plan.command.first()?).file_name()?.to_string_lossy().into_owned();
        let flag = presets::foreground(&program).map(str::to_owned);
        Some(Trouble::Daemonized { name: holder.name.clone(), pid: holder.pid.as_raw(), flag })
    }

    /// The main process runs another program as its child, which does not get what it needs.
    fn in_the_way(&mut self, generation: GenerationId) -> Option<Trouble> {
        let handoff = &self.plan_of(generation).handoff;
        if !handoff.speaks(Protocol::Systemd) || !handoff.listen_pid {
            return None;
        }
        let seats = self.seat_numbers(generation);
        let copy = self.copies.get_mut(&generation)?;
        let main = copy.tree.main();
        let table = ProcessTable::read();
        let members = copy.tree.members(&table);
        let wrapper = ProcessEntry::read(main)?.name;
        let other = |pid: Pid| program(pid).is_some_and(|exe| Some(exe) != program(main));
        let server = members.iter().rev().find(|member| member.pid != main && other(member.pid))?;
        let pid = server.pid.as_raw();
        if !seats.is_empty() && !holds_any(server.pid, &seats) {
            return Some(Trouble::Closed { wrapper, server: Some((server.name.clone(), pid)) });
        }
        let told = environment(server.pid);
        let wrong = told.iter().any(|one| *one == format!("LISTEN_PID={main}").into_bytes());
        wrong.then(|| Trouble::WrongPid { wrapper, main: main.as_raw(), server: server.name.clone(), pid })
    }

    /// None of its processes has a socket any more that it was handed, and it is not one that gets them when it binds.
    fn unused(&mut self, generation: GenerationId) -> Option<Trouble> {
        let seats = self.seat_numbers(generation);
        let copy = self.copies.get_mut(&generation).filter(|copy| !copy.filtered)?;
        let open = copy.tree.open_sockets()?;
        (!seats.is_empty() && seats.is_disjoint(&open)).then_some(Trouble::Unused)
    }

    /// The sockets of a generation, as /proc/PID/fd shows them.
    fn seat_numbers(&self, generation: GenerationId) -> HashSet<u64> {
        self.listeners.seats(generation).iter().map(number).collect()
    }
}

fn program(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

fn environment(pid: Pid) -> Vec<Vec<u8>> {
    let text = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// The name of the command, when it is one that closes descriptors and these are above 2.
fn closer(plan: &Plan) -> Option<String> {
    let name = Path::new(plan.command.first()?).file_name()?.to_str()?;
    let passed = plan.handoff.numbers(&plan.listeners).iter().any(|number| *number > 2);
    (passed && CLOSERS.contains(&name)).then(|| name.to_owned())
}
