//! One look at the processes of the machine, through /proc (proc(5)).

use nix::unistd::Pid;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

/// Longest line of /proc/PID/stat: 51 numbers and a name.
const LONGEST_STAT: usize = 2048;
/// A flag of the kernel's (include/linux/sched.h): do_exit() sets it before anything of the process is given back.
const PF_EXITING: u64 = 4;

/// One process, as /proc/PID/stat shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its pid.
    pub pid: Pid,
    /// Its parent's pid.
    pub parent: Pid,
    /// Its process group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// When it started, in clock ticks since boot: together with the pid it is this process and no later one.
    pub start: u64,
    /// False for a zombie: it has ended and was not waited for.
    pub living: bool,
    /// True while it is stopped, by SIGSTOP or by its terminal (signal(7)).
    pub stopped: bool,
    /// True once it is about to end: it may have closed its descriptors already.
    pub exiting: bool,
    /// The name of its program, 15 bytes at most.
    pub name: String,
}

impl ProcessEntry {
    /// Looks at one process. None: there is no such process, or no /proc.
    #[must_use]
    pub fn read(pid: Pid) -> Option<ProcessEntry> {
        let mut line = [0; LONGEST_STAT];
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut line).ok()?;
        ProcessEntry::parse(&line[..length])
    }

    /// The name stands in parentheses and may itself hold parentheses, blanks and line ends: it reaches to the last
    /// `)`.
    fn parse(line: &[u8]) -> Option<ProcessEntry> {
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let pid = number(Some(std::str::from_utf8(&line[..open]).ok()?.trim_end()))?;
        let name = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
        let mut rest = std::str::from_utf8(&line[close + 1..]).ok()?.split_ascii_whitespace();
        let state = rest.next()?;
        let (living, stopped) = (!matches!(state, "Z" | "X" | "x"), state == "T");
        let [parent, group, session] = [number(rest.next())?, number(rest.next())?, number(rest.next())?];
        // Field 9 of the line; the session was field 6.
        let flags: u64 = number(rest.nth(2))?;
        let start = number(rest.nth(12))?;
        let [pid, parent, group, session] = [pid, parent, group, session].map(Pid::from_raw);
        let exiting = flags & PF_EXITING != 0;
        Some(ProcessEntry { pid, parent, group, session, start, living, stopped, exiting, name })
    }
}

fn number<N: FromStr>(text: Option<&str>) -> Option<N> {
    text?.parse().ok()
}

/// All processes at one moment, nearly: it is read one after the other.
#[derive(Debug, Clone, Default)]
pub struct ProcessTable {
    entries: Vec<ProcessEntry>,
    children: HashMap<Pid, Vec<usize>>,
}

impl ProcessTable {
    /// Reads it, some microseconds a process. Empty without /proc.
    #[must_use]
    pub fn read() -> ProcessTable {
        let directory = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = directory.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ProcessTable::from_entries(pids.filter_map(|pid| ProcessEntry::read(Pid::from_raw(pid))).collect())
    }

    pub(super) fn from_entries(entries: Vec<ProcessEntry>) -> ProcessTable {
        let mut children: HashMap<Pid, Vec<usize>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            children.entry(entry.parent).or_default().push(at);
        }
        ProcessTable { entries, children }
    }

    /// False where it tells nothing: without /proc, and without a descriptor to read it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.entries.iter().any(|entry| entry.pid == Pid::this())
    }

    /// All of them.
    #[must_use]
    pub fn entries(&self) -> &[ProcessEntry] {
        &self.entries
    }

    /// The children of a process.
    pub fn children(&self, parent: Pid) -> impl Iterator<Item = &ProcessEntry> {
        self.children.get(&parent).into_iter().flatten().map(|at| &self.entries[*at])
    }
}

/// What to do where /proc does not show the processes that we see (proc(5), pid_namespaces(7)). None where it does.
#[must_use]
pub fn hidden() -> Option<&'static str> {
    match fs::read_link("/proc/self") {
        Ok(number) if number == Path::new(&std::process::id().to_string()) => None,
        Ok(_) => Some(
            "/proc is another pid namespace's: processes that leave a copy's group, and who listens where, are not found \
             (mount -t proc proc /proc, or unshare --mount-proc)",
        ),
        Err(_) => Some(
            "/proc is not mounted: what a target binds by itself is not captured, and processes that leave its group are not \
             found (mount -t proc proc /proc)",
        ),
    }
}

/// The children of this process, by /proc/self/task/TID/children. None where the kernel does not show them
/// (CONFIG_PROC_CHILDREN). A child may be missed while another one is just ending; a second look finds it.
pub(super) fn own_children() -> Option<Vec<Pid>> {
    let mut pids = Vec::new();
    for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let list = fs::read_to_string(task.path().join("children")).ok()?;
        pids.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw));
    }
    Some(pids)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 8192 99 18446744073709551615";

    #[test]
    fn a_name_may_hold_anything() {
        for name in ["sh", "a b", "a) R 1 (b", ")", "", "(()", "x\ny"] {
            let entry = ProcessEntry::parse(format!("42 ({name}) {REST}\n").as_bytes()).unwrap();
            assert_eq!(entry.name, name);
            assert_eq!((entry.pid, entry.parent), (Pid::from_raw(42), Pid::from_raw(7)));
            assert_eq!((entry.group, entry.session), (Pid::from_raw(42), Pid::from_raw(40)));
            assert_eq!((entry.start, entry.living, entry.exiting), (123_456, true, false));
        }
    }

    #[test]
    fn a_zombie_does_not_live() {
        let line = format!("42 (sh) {}", REST.replacen('S', "Z", 1));
        assert!(!ProcessEntry::parse(line.as_bytes()).unwrap().living);
    }

    #[test]
    fn one_that_is_about_to_end_is_known() {
        let line = format!("42 (sh) {}", REST.replacen("4194560", "4194564", 1));
        assert!(ProcessEntry::parse(line.as_bytes()).unwrap().exiting);
    }

    #[test]
    fn a_broken_line_is_nothing() {
        for line in ["", "42", "42 (sh", ")42 (", "x (sh) S 1 1 1", "42 (sh) S 1 1 1"] {
            assert_eq!(ProcessEntry::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn we_are_in_it() {
        let table = ProcessTable::read();
        let me = table.entries().iter().find(|entry| entry.pid == Pid::this()).unwrap();
        assert_eq!(me.parent, Pid::parent());
        assert_eq!(me.group, nix::unistd::getpgrp());
        assert!(table.children(me.parent).any(|child| child.pid == me.pid));
        assert_eq!(ProcessEntry::read(Pid::this()).map(|entry| entry.start), Some(me.start));
    }
}
