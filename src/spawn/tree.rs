//! The tree of a copy: its main process, everything in its group, and every descendant that left the group.
//!
//! endless is a subreaper, so a descendant whose parent has ended becomes a child of endless. So whatever is left of a
//! copy is below its main process, or below a child of endless that is an orphan of this copy. Whose orphan it is
//! tells, in this order: its group or session, seen in this tree before; ENDLESS_PID and ENDLESS_GENERATION in its
//! environment; a socket that only this copy has, for a program that shows a title (nginx) has written it over its
//! environment. An orphan that tells none of these belongs to nobody.

use super::sockets::holds_any;
use super::table::{ProcessEntry, ProcessTable, own_children};
use crate::sys::process::{self, ChildState};
use crate::words::{GenerationId, Sig};
use nix::errno::Errno;
use nix::unistd::{Pid, getpgrp, getsid};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::os::fd::AsFd;

/// Looks at all processes at most this often while new ones appear in a tree that is being signalled.
const ROUNDS: usize = 16;

/// How often an environment that looks empty is read again.
const PATIENCE: usize = 20;

/// The processes of one copy.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tree {
    /// Its main process, the leader of its group. Our child: until it was waited for, its pid is no other process,
    /// and the number of its group none but its group.
    #[serde(with = "super::pid")]
    main: Pid,
    generation: GenerationId,
    /// Groups and sessions that living processes of the tree had at the last look, without endless' own. A number that
    /// is in use as one of these is given to no new process.
    #[serde(with = "super::pid::set")]
    known: HashSet<Pid>,
    /// The numbers of the sockets that nobody else has.
    #[serde(skip)]
    own: HashSet<u64>,
}

/// One living process of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its pid.
    pub pid: Pid,
    /// The name of its program.
    pub name: String,
    group: Pid,
    start: u64,
}

/// A process that could not be signalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub member: Member,
    /// Why: EPERM where it runs as somebody else.
    pub errno: Errno,
}

impl Tree {
    /// The tree below a process that [`super::launch`] has made.
    #[must_use]
    pub fn new(main: Pid, generation: GenerationId) -> Tree {
        Tree { main, generation, known: HashSet::from([main]), own: HashSet::new() }
    }

    /// Says by which sockets orphans of this copy are known. None when others are about to get them.
    pub fn set_own_sockets(&mut self, sockets: HashSet<u64>) {
        self.own = sockets;
    }

    /// The main process, which is the number of the group too.
    #[must_use]
    pub fn main(&self) -> Pid {
        self.main
    }

    /// The living processes of the tree, the main process included, and remembers their groups and sessions.
    pub fn members(&mut self, table: &ProcessTable) -> Vec<Member> {
        let mut found = self.all(table);
        found.retain(|entry| entry.living);
        if !table.is_there() {
            return Vec::new();
        }
        self.known = found.iter().flat_map(|entry| [entry.group, entry.session]).filter(not_ours()).collect();
        found.into_iter().map(Member::from).collect()
    }

    /// Whether a process is one of the tree, or was until it ended and has not been waited for.
    #[must_use]
    pub fn had(&self, table: &ProcessTable, pid: Pid) -> bool {
        self.all(table).iter().any(|entry| entry.pid == pid)
    }

    fn all<'a>(&self, table: &'a ProcessTable) -> Vec<&'a ProcessEntry> {
        let me = Pid::this();
        let main_is_ours = self.main_is_ours();
        let mut found: Vec<&ProcessEntry> = Vec::new();
        let mut seen = HashSet::new();
        let roots = table.children(me).filter(|child| self.is_root(child, main_is_ours));
        // The group by itself matters only where endless could not become a subreaper.
        let group = table.entries().iter().filter(|entry| main_is_ours && entry.group == self.main);
        for entry in roots.chain(group) {
            if seen.insert(entry.pid) {
                found.push(entry);
            }
        }
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            found.extend(table.children(parent.pid).filter(|child| seen.insert(child.pid)));
            next += 1;
        }
        found
    }

    /// Whether anything of the tree lives. Costs one system call while the main process does; after that it looks at
    /// the children of endless, and at all processes only where that tells nothing.
    pub fn alive(&mut self) -> bool {
        if process::child_state(self.main) == ChildState::Running {
            return true;
        }
        match (self.has_orphan(), process::send(group(self.main), 0)) {
            (Some(true), _) => true,
            (Some(false), Err(Errno::ESRCH)) => false,
            (_, group) => {
                let table = ProcessTable::read();
                if table.is_there() { !self.members(&table).is_empty() } else { group != Err(Errno::ESRCH) }
            }
        }
    }

    /// Signals the main process alone.
    ///
    /// # Errors
    /// ESRCH when it has ended and was waited for, EPERM where it runs as somebody else.
    pub fn signal_main(&self, signal: Sig) -> nix::Result<()> {
        if self.main_is_ours() { process::send(self.main, signal.0) } else { Err(Errno::ESRCH) }
    }

    /// Signals one process of the tree.
    ///
    /// # Errors
    /// ESRCH when it is not in the tree, EPERM where it runs as somebody else.
    pub fn signal_member(&mut self, pid: Pid, signal: Sig) -> nix::Result<()> {
        let members = self.members(&ProcessTable::read());
        members.iter().find(|member| member.pid == pid).ok_or(Errno::ESRCH)?.signal(signal)
    }

    /// Another process of the tree, which has become our own child, takes the place of the main process, which has ended.
    /// False when it is not there, or somebody else's child.
    pub fn replace_main(&mut self, heir: Pid) -> bool {
        let table = ProcessTable::read();
        let ours = table.children(Pid::this()).any(|child| child.pid == heir && child.living);
        let member = ours && self.members(&table).iter().any(|member| member.pid == heir);
        if member {
            self.main = heir;
            self.known.insert(heir);
        }
        member
    }

    /// Signals the whole tree, each process once, and looks again until nothing new appears. Returns those it could
    /// not.
    ///
    /// The group goes first and in one call: what has SIGKILL pending can no longer fork. Its number is safe as long
    /// as the main process was not waited for; after that, and for all that left the group, each process is held by a
    /// pidfd.
    pub fn kill_tree(&mut self, signal: Sig) -> Vec<Refused> {
        let by_group = self.main_is_ours();
        let group_answer = if by_group { process::send(group(self.main), signal.0) } else { Ok(()) };
        let mut done = HashSet::new();
        let mut refused = Vec::new();
        for round in 0..ROUNDS {
            let mut members = self.members(&ProcessTable::read());
            let alone = members.len() <= 1;
            members.retain(|member| done.insert((member.pid, member.start)));
            let in_group = |member: &Member| by_group && member.group == self.main;
            let settled = members.is_empty() || (group_answer.is_ok() && members.iter().all(in_group));
            // A look is not one moment: what changes its parent during it can be missed, so one is not enough.
            if settled && (alone || round > 0) {
                break;
            }
            for member in members {
                let answer = if in_group(&member) { group_answer } else { member.signal(signal) };
                refused
                    .extend(answer.err().filter(|errno| *errno != Errno::ESRCH).map(|errno| Refused { member, errno }));
            }
        }
        refused
    }

    pub(super) fn main_is_ours(&self) -> bool {
        process::child_state(self.main) != ChildState::Gone
    }

    /// None when the kernel does not show the children of a process.
    fn has_orphan(&self) -> Option<bool> {
        for _look in 0..2 {
            let children = own_children()?.into_iter().filter(|pid| *pid != self.main);
            if children.filter_map(ProcessEntry::read).any(|child| child.living && self.owns_orphan(&child)) {
                return Some(true);
            }
        }
        Some(false)
    }

    fn is_root(&self, child: &ProcessEntry, main_is_ours: bool) -> bool {
        if child.pid == self.main && main_is_ours { true } else { self.owns_orphan(child) }
    }

    fn owns_orphan(&self, orphan: &ProcessEntry) -> bool {
        self.known.contains(&orphan.group)
            || self.known.contains(&orphan.session)
            || self.is_named_by(orphan.pid)
            || !self.own.is_empty() && holds_any(orphan.pid, &self.own)
    }

    /// Whether the environment a process was started with says that it is of this copy. Hooks know the generation
    /// too, and are told apart by ENDLESS_REASON.
    fn is_named_by(&self, pid: Pid) -> bool {
        let environment = environment(pid);
        let has = |start: &str| environment.split(|byte| *byte == 0).any(|one| one.starts_with(start.as_bytes()));
        let is = |whole: &str| environment.split(|byte| *byte == 0).any(|one| one == whole.as_bytes());
        is(&format!("ENDLESS_PID={}", Pid::this()))
            && is(&format!("ENDLESS_GENERATION={}", self.generation))
            && !has("ENDLESS_REASON=")
    }
}

impl Member {
    /// Signals this process and no later one of the same pid: the start is compared after the pidfd holds it.
    fn signal(&self, signal: Sig) -> nix::Result<()> {
        let held = process::pidfd_open(self.pid);
        if ProcessEntry::read(self.pid).is_none_or(|now| now.start != self.start) {
            return Err(Errno::ESRCH);
        }
        match held {
            Ok(held) => process::pidfd_send_signal(held.as_fd(), signal.0),
            // An old kernel, or no descriptors left.
            Err(_) => process::send(self.pid, signal.0),
        }
    }
}

impl From<&ProcessEntry> for Member {
    fn from(entry: &ProcessEntry) -> Member {
        Member { pid: entry.pid, name: entry.name.clone(), group: entry.group, start: entry.start }
    }
}

/// The environment a process was started with. It looks empty for a moment in the middle of execve(2), hence the
/// patience: an orphan overlooked then would never be found again.
fn environment(pid: Pid) -> Vec<u8> {
    for _look in 0..PATIENCE {
        match fs::read(format!("/proc/{pid}/environ")) {
            Ok(environment) if environment.is_empty() => std::thread::yield_now(),
            Ok(environment) => return environment,
            Err(_) => break,
        }
    }
    Vec::new()
}

fn group(leader: Pid) -> Pid {
    Pid::from_raw(-leader.as_raw())
}

/// Our own group and session say nothing: all that endless starts is in its session.
fn not_ours() -> impl Fn(&Pid) -> bool {
    let ours = [Some(getpgrp()), getsid(None).ok()];
    move |number| !ours.contains(&Some(*number))
}
