//! Whether what arrives at a generation's sockets was sent by that generation.

use super::Runtime;
use crate::notice::{Level, Notice};
use crate::spawn::{Member, ProcessTable};
use crate::words::GenerationId;
use nix::unistd::{Pid, geteuid};
use std::os::unix::fs::MetadataExt;

/// Who sent something, as the kernel says (SCM_CREDENTIALS, SO_PEERCRED; unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Its pid; 0 when it is in no pid namespace we can see.
    pub pid: i32,
    /// Its uid.
    pub uid: u32,
}

impl Runtime {
    /// True for a process of the generation, or endless itself, whose pid `systemd-notify --exec` borrows from its parent.
    /// A sender that is gone already can only be told by whom it ran as: root, endless, or any process of the generation.
    /// Everybody else is told about in the log.
    pub(super) fn sent_by(&mut self, generation: GenerationId, sender: Sender, what: &str) -> bool {
        let Some(copy) = self.copies.get_mut(&generation) else { return false };
        let pid = Pid::from_raw(sender.pid);
        if pid == copy.tree.main() || pid == Pid::this() {
            return true;
        }
        let table = ProcessTable::read();
        let mut members = copy.tree.members(&table);
        if !members.iter().any(|member| member.pid == pid || member.pid == copy.tree.main()) {
            // The main process has ended: what has daemonized is known by its sockets.
            copy.tree.set_own_sockets(self.listeners.own_sockets(generation));
            members = copy.tree.members(&table);
        }
        let lives = || table.entries().iter().any(|entry| entry.pid == pid && entry.living);
        if members.iter().any(|member| member.pid == pid)
            || (!lives() && self.runs_as(generation, &members, sender.uid))
        {
            return true;
        }
        let Sender { pid, uid } = sender;
        let text =
            format!("{what} of generation {generation} came from a stranger (pid {pid}, uid {uid}) and is ignored");
        self.tell(&Notice::Note { level: Level::Problem, text });
        false
    }

    fn runs_as(&self, generation: GenerationId, members: &[Member], uid: u32) -> bool {
        let plan = self.plan_of(generation);
        let asked = plan.process.identity.as_ref().map(|identity| identity.uid);
        let owner = |member: &Member| std::fs::metadata(format!("/proc/{}", member.pid)).map(|entry| entry.uid());
        uid == 0
            || uid == geteuid().as_raw()
            || Some(uid) == asked
            || members.iter().any(|member| owner(member).is_ok_and(|owner| owner == uid))
    }
}
