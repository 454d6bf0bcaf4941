//! Finding the processes of a test by the mark in their environment, and looking at single ones.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::process::Command;

/// The variable every process of a test has.
pub const MARK: &str = "ENDLESS_TEST_MARK";

/// The pids of the living processes with this mark.
pub fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let is_marked = |pid: &Pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    all().into_iter().filter(is_marked).filter(|pid| alive(*pid)).collect()
}

fn all() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

/// Its children, theirs, and so on. Some programs write their title over the environment, and a mark is gone with that.
pub fn descendants(of: Pid) -> Vec<Pid> {
    let parent = |pid: &Pid| status(*pid, "PPid").and_then(|text| text.parse().ok()).map(Pid::from_raw);
    let all: Vec<_> = all().into_iter().filter_map(|pid| Some((pid, parent(&pid)?))).collect();
    let mut found = vec![of];
    let mut next = 0;
    while let Some(one) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// Kills them, until there are none.
pub fn kill_marked(mark: &str) {
    for _look in 0..100 {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::yield_now();
    }
}

/// One line of /proc/PID/status (proc(5)).
pub fn status(pid: Pid, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Whether it is there and no zombie.
pub fn alive(pid: Pid) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Whether SIGKILL is on its way to it: it runs nothing any more.
pub fn doomed(pid: Pid) -> bool {
    let pending = |field| status(pid, field).and_then(|mask| u64::from_str_radix(&mask, 16).ok()).unwrap_or(0);
    (pending("SigPnd") | pending("ShdPnd")) & 1 << (nix::libc::SIGKILL - 1) != 0
}

/// The children of a process that have ended and were not waited for.
pub fn zombies_of(parent: Pid) -> Vec<Pid> {
    let of = |pid: &Pid| status(*pid, "PPid") == Some(parent.to_string());
    let dead = |pid: &Pid| status(*pid, "State").is_some_and(|state| state.starts_with('Z'));
    all().into_iter().filter(of).filter(dead).collect()
}

/// The environment a process was executed with (proc_pid_environ(5)). In the middle of execve(2) it is empty.
#[track_caller]
pub fn environment(pid: Pid) -> BTreeMap<String, String> {
    let read = || fs::read(format!("/proc/{pid}/environ")).unwrap();
    let all = super::until("it has an environment", || Some(read()).filter(|all| !all.is_empty()));
    let text = String::from_utf8_lossy(&all);
    text.split('\0').filter_map(|one| one.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

/// The arguments of a process, the program's name first.
pub fn arguments(pid: Pid) -> Vec<String> {
    let all = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    String::from_utf8_lossy(&all).split_terminator('\0').map(str::to_owned).collect()
}

/// Every open descriptor of a process and what it leads to: `socket:[4711]`, `/dev/null`.
pub fn open_files(pid: Pid) -> BTreeMap<i32, String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(Result::ok);
    let one = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.display().to_string()))
    };
    entries.filter_map(one).collect()
}

/// How many descriptors a process has open.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// The limit of open files under which a process can open `left` more (getrlimit(2): one above the highest number).
pub fn limit_for(pid: Pid, left: usize) -> i32 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let open: HashSet<i32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    (0..).filter(|number| !open.contains(number)).nth(left).unwrap()
}

/// When it started, in clock ticks since boot (proc(5)); None when it is gone.
pub fn started(pid: Pid) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()
}

/// Now in the same ticks.
pub fn now() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).unwrap().unwrap().unsigned_abs();
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap();
    let (seconds, nanos) = (now.tv_sec().unsigned_abs(), now.tv_nsec().unsigned_abs());
    seconds * ticks + nanos * ticks / 1_000_000_000
}

/// Changes a limit of a running process (prlimit(1)): `nofile=20:`, `nproc=1:`. Only the same user may do so, or root
/// with all its capabilities, which a container has not.
pub fn limit(pid: Pid, what: &str) {
    let user = status(pid, "Uid").unwrap().split_whitespace().next().unwrap().to_owned();
    let mut command = if user == nix::unistd::getuid().to_string() {
        Command::new("prlimit")
    } else {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), "--clear-groups", "prlimit"]);
        command
    };
    let done = command.args([format!("--pid={pid}"), format!("--{what}")]).status();
    assert!(done.unwrap().success(), "prlimit --{what}");
}

/// A soft limit of a running process by its name in /proc/PID/limits: `Max processes`.
pub fn soft_limit(pid: Pid, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}
