//! Which sockets the processes of a copy have open (/proc/PID/fd, proc(5)).

use super::table::{ProcessEntry, ProcessTable};
use super::tree::{Member, Tree};
use crate::words::OpenSocket;
use nix::fcntl::readlink;
use nix::unistd::Pid;
use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

/// How often a tree that grows is looked at.
const LOOKS: usize = 4;

impl Tree {
    /// Every socket the tree's processes have open, as often as it is open. Some microseconds a descriptor. Processes that
    /// may not be looked into (ptrace(2): another user's, without the privilege) are left out.
    pub fn sockets(&mut self, table: &ProcessTable) -> Vec<OpenSocket> {
        let mut found = Vec::new();
        for member in self.members(table) {
            of_process(member.pid, &mut found);
        }
        found
    }

    /// Whether one of its processes has one of these sockets open.
    pub fn holds_any(&mut self, table: &ProcessTable, sockets: &HashSet<u64>) -> bool {
        self.members(table).iter().any(|member| holds_any(member.pid, sockets))
    }

    /// The numbers of all sockets the tree's processes have open. None when one of them does not show its own, when the main
    /// process is about to end (it has closed everything a while before endless is told), or when there are new processes at
    /// each look.
    pub fn open_sockets(&mut self) -> Option<HashSet<u64>> {
        let mut members = self.members(&ProcessTable::read());
        for _look in 0..LOOKS {
            let sockets = open_sockets(&members)?;
            let now = self.members(&ProcessTable::read());
            // A process that was started meanwhile may have what its parent has closed meanwhile.
            if now.iter().all(|member| members.contains(member)) {
                // What was closed because it ends has been closed since it began to.
                let main = ProcessEntry::read(self.main()).filter(|_| self.main_is_ours());
                return main.is_none_or(|main| main.living && !main.exiting).then_some(sockets);
            }
            members = now;
        }
        None
    }
}

/// The numbers of all sockets that these processes have open; None when one of them does not show its own.
fn open_sockets(members: &[Member]) -> Option<HashSet<u64>> {
    let mut sockets = Vec::new();
    members.iter().all(|member| of_process(member.pid, &mut sockets)).then_some(())?;
    Some(sockets.into_iter().map(|open| u64::from(open.inode)).collect())
}

/// Whether a process has one of these sockets open; false where it does not show its own.
#[must_use]
pub fn holds_any(pid: Pid, sockets: &HashSet<u64>) -> bool {
    let mut found = Vec::new();
    of_process(pid, &mut found);
    found.iter().any(|open| sockets.contains(&u64::from(open.inode)))
}

/// False when the process does not show them.
pub(super) fn of_process(pid: Pid, found: &mut Vec<OpenSocket>) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(target) = readlink(entry.path().as_path()) else { continue };
        found.extend(inode(target.as_bytes()).map(|inode| OpenSocket { inode, pid: pid.as_raw(), fd }));
    }
    true
}

/// The number in `socket:[N]`.
pub(super) fn inode(target: &[u8]) -> Option<u32> {
    let number = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn our_own_socket_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut found = Vec::new();
        assert!(of_process(Pid::this(), &mut found));
        let one = found.iter().find(|open| open.fd == socket.as_raw_fd()).unwrap();
        assert_eq!(u64::from(one.inode), nix::sys::stat::fstat(&socket).unwrap().st_ino);
        assert_eq!(one.pid, Pid::this().as_raw());
    }

    #[test]
    fn only_sockets_have_the_inode_of_one() {
        assert_eq!(inode(b"socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "/dev/null", "socket:[x]", "socket:[", ""] {
            assert_eq!(inode(other.as_bytes()), None);
        }
    }
}
