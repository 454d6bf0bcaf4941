//! The filters of copies that make their own sockets: whether they are there, and when a call waits.

use super::{Runtime, clock};
use crate::notice::{Level, Notice};
use crate::plan::Capture as Wanted;
use crate::spawn::Caller;
use crate::sys::seccomp::{self, Calls};
use crate::words::GenerationId;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where the calls of one generation come from.
#[derive(Debug, Serialize, Deserialize)]
pub enum Capture {
    /// The child has not yet told whether its filter could be installed.
    Awaited(#[serde(with = "crate::sys::carried")] OwnedFd),
    /// The calls of all its processes.
    Calls(Calls),
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Capture::Awaited(report) => report.as_fd(),
            Capture::Calls(calls) => calls.as_fd(),
        }
    }
}

impl Runtime {
    /// Something arrived. `over`: no process of the generation is left under its filter.
    pub(super) fn capture_ready(&mut self, generation: GenerationId, over: bool) {
        let Some(capture) = self.captures.remove(&generation) else { return };
        let capture = match capture {
            Capture::Awaited(report) => match seccomp::receive(report.as_fd()) {
                None => Some(Capture::Awaited(report)),
                Some(Ok((calls, bound))) => {
                    self.captured_under(generation, bound);
                    if let Some(copy) = self.copies.get_mut(&generation) {
                        copy.filtered = true;
                    }
                    Some(Capture::Calls(calls))
                }
                Some(Err(errno)) => {
                    self.not_captured(generation, errno);
                    None
                }
            },
            Capture::Calls(_) if over => None,
            Capture::Calls(calls) => {
                if let Some(call) = calls.take() {
                    self.answer(generation, &calls, &call);
                }
                Some(Capture::Calls(calls))
            }
        };
        if let Some(capture) = capture {
            self.captures.insert(generation, capture);
        }
    }

    /// Whether the sockets of this generation are known here, or are going to be.
    pub(super) fn captures(&self, generation: GenerationId) -> bool {
        self.captures.contains_key(&generation)
    }

    /// Tells that the target pays for it.
    fn captured_under(&mut self, generation: GenerationId, no_new_privs: bool) {
        if no_new_privs && !self.plan_of(generation).process.no_new_privs {
            let text = "the target runs under no_new_privs, so that its sockets can be captured without root: \
                        setuid programs get no rights by it (--capture never)";
            self.tell_of_capture(Level::Detail, text.into());
        }
    }

    /// Tells why sockets that the target binds are not taken care of.
    fn not_captured(&mut self, generation: GenerationId, errno: Errno) {
        self.without_capture(generation);
        // A child that was killed, or whose failure is told by its report.
        if errno == Errno::ECHILD {
            return;
        }
        let why = match errno {
            Errno::EBUSY => {
                "another program outside already listens to such calls, and the kernel allows only one".into()
            }
            Errno::EACCES => "it needs root or no_new_privs".into(),
            Errno::EINVAL | Errno::ENOSYS => "this kernel cannot do it (Linux 5.6 can)".into(),
            Errno::EPERM => "the profile of this container forbids it".into(),
            other => other.desc().to_owned(),
        };
        let free = self.plan_of(generation).capture == Wanted::IfFree;
        let level = if free { Level::Detail } else { Level::Problem };
        let text = format!("sockets the target binds by itself are not captured: {why}");
        self.tell_of_capture(level, text);
    }

    /// A process in another network namespace: nothing of it can be reached from here.
    pub(super) fn elsewhere(&mut self, of: GenerationId, caller: Caller) {
        self.without_socket(of);
        let text = format!("sockets of {} are not captured: it is in another network namespace", caller.program());
        self.tell_of_capture(Level::Problem, text);
    }

    /// A process that does not let endless look at what it needs to see: its call goes on.
    pub(super) fn not_seen(&mut self, of: GenerationId, what: &str, errno: Errno, caller: Caller) {
        self.without_socket(of);
        let (program, why) = (caller.program(), errno.desc());
        let text = format!(
            "sockets of {program} are not captured: it does not show {what} ({why}); it runs as another user, or hides \
             from its own (PR_SET_DUMPABLE), and endless has no CAP_SYS_PTRACE"
        );
        self.tell_of_capture(Level::Problem, text);
    }

    /// A socket that cannot be had, nor another one be put in its place.
    pub(super) fn polled_before(&mut self, of: GenerationId, errno: Errno, caller: Caller) {
        self.without_socket(of);
        let (program, why) = (caller.program(), errno.desc());
        let text = format!(
            "sockets of {program} are not captured: it has them in an epoll(7) set before it binds them, and pidfd_getfd(2) is \
             forbidden ({why}): without CAP_SYS_PTRACE a restart cannot have their addresses a second time"
        );
        self.tell_of_capture(Level::Problem, text);
    }

    /// One of its sockets is not seen. Where it still is to have those that the copies before it have, it is one of a helper.
    fn without_socket(&mut self, generation: GenerationId) {
        if !self.listeners.misses_captured(generation) {
            self.without_capture(generation);
        }
    }

    /// A candidate is not waited for to show a socket.
    fn without_capture(&mut self, generation: GenerationId) {
        if let Some(watch) = self.copies.get_mut(&generation).and_then(|copy| copy.watch.as_mut()) {
            watch.without_capture(clock::now());
        }
    }

    /// A copy may not have its socket at the address it asked for: says which listener it could have.
    pub(super) fn tell_of_family(&mut self) {
        if let Some((flag, at)) = self.listeners.take_strange() {
            let text = format!(
                "the target binds {at}, a socket for IPv4 alone; that of -l {flag} is for IPv6, too, and would show it its \
                 clients by other addresses: -l {at} is what it can have"
            );
            self.tell_of_capture(Level::Problem, text);
        }
    }

    /// Tells something about capture, unless it was told before.
    pub(super) fn tell_of_capture(&mut self, level: Level, text: String) {
        if self.capture_told.insert(text.clone()) {
            self.tell(&Notice::Note { level, text });
        }
    }
}
