//! Files that a copy wants to remove when they are its successor's: Unix paths, and pid files.

use super::Runtime;
use super::trapped::descriptor_number;
use crate::listener::Verdict;
use crate::spawn::{Caller, ProcessTable};
use crate::sys::seccomp::{Call, Calls, Trap};
use crate::words::GenerationId;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// No pid file is longer.
const LONGEST_PID_FILE: u64 = 16;

impl Runtime {
    /// Whether it matters that somebody removes a file.
    pub(super) fn minds_unlinks(&self) -> bool {
        self.copies.len() > 1 || self.listeners.any_path()
    }

    /// Answers a call that removes a file.
    pub(super) fn unlink_trapped(
        &mut self,
        of: GenerationId,
        calls: &Calls,
        call: &Call,
        caller: Caller,
    ) -> Option<Verdict> {
        let number = descriptor_number(call);
        let (from, text) = match call.trap {
            Trap::UnlinkAt if call.args[2] & libc::AT_REMOVEDIR.unsigned_abs() as u64 != 0 => return None,
            Trap::UnlinkAt if number == libc::AT_FDCWD => (None, call.args[1]),
            Trap::UnlinkAt => (Some(number), call.args[1]),
            _ => (None, call.args[0]),
        };
        let path = caller.path(from, Path::new(&caller.text(text).ok()?))?;
        if !calls.waits(call) {
            return None;
        }
        if self.names_a_newer_copy(of, &path) {
            return Some(Verdict::Answer(Ok(())));
        }
        Some(self.listeners.unlink_asked(of, &path))
    }

    /// Whether a file holds the pid of a process of a newer generation.
    fn names_a_newer_copy(&mut self, of: GenerationId, path: &Path) -> bool {
        let Some(pid) = pid_in(path) else { return false };
        let table = ProcessTable::read();
        let mut newer = self.copies.range_mut((std::ops::Bound::Excluded(of), std::ops::Bound::Unbounded));
        newer.any(|(_, copy)| copy.tree.members(&table).iter().any(|member| member.pid == pid))
    }
}

/// The pid in a small file. What else is put there between the look and the opening is not waited for.
fn pid_in(path: &Path) -> Option<Pid> {
    fs::symlink_metadata(path).ok().filter(|file| file.is_file() && file.len() <= LONGEST_PID_FILE)?;
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
    let mut text = String::new();
    file.take(LONGEST_PID_FILE).read_to_string(&mut text).ok()?;
    text.trim().parse().map(Pid::from_raw).ok()
}
