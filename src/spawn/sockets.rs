//! Which sockets the processes of a copy have open (/proc/PID/fd, proc(5)).

use super::tree::Member;
use std::collections::HashSet;
use std::fs;

/// The numbers of all sockets that these processes have open; None when one of them does not show its own.
#[must_use]
pub fn open_sockets(members: &[Member]) -> Option<HashSet<u64>> {
    let mut sockets = HashSet::new();
    for member in members {
        for entry in fs::read_dir(format!("/proc/{}/fd", member.pid)).ok()? {
            let Ok(target) = entry.and_then(|entry| fs::read_link(entry.path())) else { continue };
            let number = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
            sockets.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
    }
    Some(sockets)
}
