//! What the benchmark asks of the kernel beyond std: the clock all processes share, signals, limits, /proc.
//! The only `unsafe` of the package is here.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Nanoseconds on `CLOCK_MONOTONIC`, comparable between processes (clock_gettime(2)).
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sends a signal; false if the process is gone.
pub fn kill(pid: u32, signal: i32) -> bool {
    // SAFETY: kill(2) takes two numbers. The callers pass pids of their own, not yet reaped children, or of descendants.
    unsafe { libc::kill(pid as i32, signal) == 0 }
}

/// Makes orphaned descendants our children, so that nothing can outlive the benchmark (prctl(2)), and lets short
/// pauses be short: timers may be late by a microsecond instead of 50. What nohup(1) or a shell's `&` have us ignore is no
/// longer ignored: what is started here would do so, too, until it has a handler.
pub fn prepare() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: no function of ours is named, and each of these can have the default.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: both options take a number and change only this process.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0);
    }
}

/// Collects orphans that have ended, if any.
pub fn reap(pid: u32) {
    // SAFETY: a null status pointer is allowed; WNOHANG never blocks (waitpid(2)).
    unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Gives the command this limit of open files, soft and hard (setrlimit(2)).
pub fn limit_files(command: &mut Command, files: u64) {
    let set = move || {
        let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
        // SAFETY: `limit` is a valid rlimit; setrlimit is async-signal-safe, as code between fork and exec must be.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: the closure only makes the one system call above.
    unsafe { command.pre_exec(set) };
}

/// The hard limit of open files a child can get: this much if we may raise it that far, else what we have.
pub fn reachable_limit(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to (getrlimit(2)).
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let mut attempt = Command::new("true");
    limit_files(&mut attempt, wanted);
    if attempt.status().is_ok_and(|status| status.success()) { wanted } else { limit.rlim_max }
}

/// The direct children of a process (all its threads), zombies too.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// All descendants, nearest first.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(&child) = found.get(next) {
        found.extend(children(child));
        next += 1;
    }
    found
}

/// The state letter of proc_pid_stat(5): `Z` is a zombie. `None` if there is no such process.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// How many descriptors a process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Proportional set size in KiB (proc_pid_smaps_rollup(5)).
pub fn pss_kib(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// How often the process was switched onto a processor so far: each wakeup is one of these.
pub fn switches(pid: u32) -> u64 {
    let status = format!("/proc/{pid}/status");
    field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:")
}

/// Its memory that no other process has: heap, stack, what was written to (the same).
pub fn own_memory_kib(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Anonymous:")
}

/// The number behind this word in a file of lines, 0 if there is none.
pub fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Asks again and again, every `every`, until there is an answer or `patience` is over.
pub fn until<T>(patience: Duration, every: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + patience.as_nanos() as u64;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if now() > deadline {
            return None;
        }
        std::thread::sleep(every);
    }
}
