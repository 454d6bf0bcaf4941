//! Files that a copy wants to remove when they are its successor's: Unix paths, and pid files.

use super::Runtime;
use super::trapped::descriptor_number;
use crate::listener::Verdict;
use crate::spawn::{Caller, ProcessTable};
use crate::sys::seccomp::{Call, Calls, Trap};
use crate::words::GenerationId;
use nix::libc;
use nix::unistd::Pid;
use std::fs;
use std::path::Path;

/// No pid file is longer.
const LONGEST_PID_FILE: u64 = 16;

impl Runtime {
    /// Whether it matters that somebody removes a file.
    pub(super) fn minds_unlinks(&self) -> bool {
        self.copies.len() > 1 || self.listeners.any_path_captured()
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
        let small = fs::symlink_metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LONGEST_PID_FILE);
        let text = if small { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        let Ok(pid) = text.trim().parse().map(Pid::from_raw) else { return false };
        let table = ProcessTable::read();
        let mut newer = self.copies.range_mut((std::ops::Bound::Excluded(of), std::ops::Bound::Unbounded));
        newer.any(|(_, copy)| copy.tree.members(&table).iter().any(|member| member.pid == pid))
    }
}
