//! What a copy says on its notify socket, taken seriously (sd_notify(3)).

use super::Runtime;
use super::fd_store::Left;
use super::notify::{Message, NotifySocket, Said};
use crate::notice::{Level, Notice};
use crate::plan::Sign;
use crate::spawn::ProcessTable;
use crate::supervisor::Event;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;

impl Runtime {
    /// Takes what a copy said on its notify socket.
    pub(super) fn notified(&mut self, generation: GenerationId) {
        let notify = self.copies.get(&generation).and_then(|copy| copy.notify.as_ref());
        let messages = notify.map(NotifySocket::take).unwrap_or_default();
        for Message { sender, said, mut fds } in messages {
            if !self.sent_by(generation, sender, "a message to the notify socket") {
                continue;
            }
            for said in said {
                self.heard(generation, said, &mut fds);
            }
            // What is left is closed here: that answers a BARRIER.
        }
    }

    fn heard(&mut self, generation: GenerationId, said: Said, fds: &mut Vec<OwnedFd>) {
        match said {
            Said::Ready => self.said_ready(generation, Sign::Notify),
            Said::Status(text) => {
                self.tell(&Notice::Status { generation, text: text.clone() });
                if let Some(copy) = self.copies.get_mut(&generation) {
                    copy.status = Some(text);
                }
            }
            Said::Stopping => self.detail(format!("generation {generation} says that it is stopping")),
            Said::Reloading => self.detail(format!("generation {generation} says that it is reloading")),
            Said::Errno(number) => {
                let text = format!("generation {generation} says: {} ({number})", Errno::from_raw(number).desc());
                self.tell(&Notice::Note { level: Level::Normal, text });
            }
            Said::MainPid(pid) => self.name_heir(generation, Pid::from_raw(pid)),
            Said::Word(word) => self.events.push_back(Event::Heard(generation, word)),
            Said::Store { name, watched } => {
                self.leave(generation, Left::Fds { name, fds: std::mem::take(fds), watched });
            }
            Said::Unstore(name) => self.leave(generation, Left::Nothing { name }),
        }
    }

    /// What a candidate leaves waits until it serves: one that fails leaves nothing, and takes away nothing.
    fn leave(&mut self, generation: GenerationId, mut left: Left) {
        let plan = self.plan_of(generation);
        let (most, taken) = plan.handoff.store_room(&plan.listeners);
        let Some(copy) = self.copies.get_mut(&generation).filter(|copy| copy.watch.is_some()) else {
            return self.keep(generation, left);
        };
        let refused = left.fit(&copy.left, most);
        copy.left.push(left);
        self.tell_of_refused(generation, refused, (most, taken));
    }

    /// A candidate serves: what it has left is for the next ones.
    pub(super) fn keep_what_it_left(&mut self, generation: GenerationId) {
        let left = self.copies.get_mut(&generation).map(|copy| std::mem::take(&mut copy.left));
        for left in left.into_iter().flatten() {
            self.keep(generation, left);
        }
    }

    fn keep(&mut self, generation: GenerationId, left: Left) {
        let (name, fds, watched) = match left {
            Left::Nothing { name } => return self.fd_store.close(&name),
            Left::Fds { name, fds, watched } => (name, fds, watched),
        };
        let plan = self.plan_of(generation);
        let (most, taken) = plan.handoff.store_room(&plan.listeners);
        self.fd_store.forget_hung_up();
        let refused = self.fd_store.keep(&name, fds, watched, most);
        self.tell_of_refused(generation, refused, (most, taken));
    }

    fn tell_of_refused(&self, generation: GenerationId, refused: usize, (most, taken): (usize, Option<i32>)) {
        if refused > 0 {
            let why = match taken {
                Some(number) => {
                    format!(
                        "descriptor {number}, which fd=N of a listener or of --ready has taken, leaves room for {most}"
                    )
                }
                None => format!("--fd-store-max {most}"),
            };
            let text = format!("{refused} descriptors of generation {generation} are not kept: {why}");
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }

    fn detail(&self, text: String) {
        self.tell(&Notice::Note { level: Level::Detail, text });
    }

    /// Only a process of the copy can be its main one.
    fn name_heir(&mut self, generation: GenerationId, pid: Pid) {
        let Some(copy) = self.copies.get_mut(&generation) else { return };
        if pid == copy.tree.main() {
            copy.heir = None;
        } else if copy.tree.members(&ProcessTable::read()).iter().any(|member| member.pid == pid) {
            copy.heir = Some(pid);
        } else {
            let text = format!("generation {generation} names a stranger as its main process (MAINPID={pid}): ignored");
            self.tell(&Notice::Note { level: Level::Problem, text });
        }
    }

    /// The main process ended well and has named another: that one is the main process now.
    pub(super) fn succeeded_by_heir(&mut self, generation: GenerationId) -> bool {
        let Some(copy) = self.copies.get_mut(&generation) else { return false };
        let Some(heir) = copy.heir.take() else { return false };
        if !copy.tree.replace_main(heir) {
            return false;
        }
        self.pids.insert(generation, heir.as_raw());
        let text = format!("the main process of generation {generation} is pid {heir} from now on (MAINPID)");
        self.tell(&Notice::Note { level: Level::Normal, text });
        true
    }
}
