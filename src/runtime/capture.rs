//! The bind and listen calls of copies that make their own sockets: each waits until it is answered here, at once.

use super::copy::Copy;
use super::{Runtime, clock};
use crate::listener::{Asker, Verdict};
use crate::notice::{Level, Notice};
use crate::plan::Capture as Wanted;
use crate::spawn::{self, Caller, ProcessTable};
use crate::sys::seccomp::{self, Call, Calls, Trap};
use crate::words::GenerationId;
use nix::errno::Errno;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where the calls of one generation come from.
#[derive(Debug)]
pub enum Capture {
    /// The child has not yet told whether its filter could be installed.
    Awaited(OwnedFd),
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
                    self.captured_under(bound);
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

    /// Tells once that the target pays for it.
    fn captured_under(&mut self, no_new_privs: bool) {
        if no_new_privs && !self.plan.process.no_new_privs && !std::mem::replace(&mut self.capture_told, true) {
            let text = "the target runs under no_new_privs, so that its sockets can be captured without root: \
                        setuid programs get no rights by it (--capture never)";
            self.tell(&Notice::Note { level: Level::Detail, text: text.into() });
        }
    }

    /// Tells once why sockets that the target binds are not taken care of.
    fn not_captured(&mut self, generation: GenerationId, errno: Errno) {
        if let Some(watch) = self.copies.get_mut(&generation).and_then(|copy| copy.watch.as_mut()) {
            watch.without_capture(clock::now());
        }
        // A child that was killed, or whose failure is told by its report.
        if errno == Errno::ECHILD || std::mem::replace(&mut self.capture_told, true) {
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
        let free = self.plan.capture == Wanted::IfFree;
        let level = if free { Level::Detail } else { Level::Problem };
        let text = format!("sockets the target binds by itself are not captured: {why}");
        self.tell(&Notice::Note { level, text });
    }

    fn answer(&mut self, generation: GenerationId, calls: &Calls, call: &Call) {
        match self.verdict(generation, calls, call) {
            Verdict::GoOn => calls.go_on(call),
            Verdict::Answer(result) => calls.answer(call, result),
        }
    }

    fn verdict(&mut self, generation: GenerationId, calls: &Calls, call: &Call) -> Verdict {
        // Where the main process ends alone (--kill-mode process), what it leaves behind is left alone.
        let Some(copy) = self.copies.get_mut(&generation) else { return Verdict::GoOn };
        let Some(caller) = Caller::of(call.thread) else { return Verdict::GoOn };
        let number = descriptor_number(call);
        let sockets = OnceCell::new();
        let copy = std::cell::RefCell::new(copy);
        let open = |inode| {
            let all: &Option<HashSet<u64>> = sockets.get_or_init(|| sockets_of(&mut copy.borrow_mut()));
            all.as_ref().is_none_or(|all| all.contains(&inode))
        };
        let put = |socket: BorrowedFd<'_>| calls.put(call, socket, number, caller.close_on_exec(number));
        let asker = Asker { open: &open, put: &put };
        match call.trap {
            Trap::Bind => {
                let Some(at) = address(caller, call).filter(|at| at.port() != 0) else { return Verdict::GoOn };
                let Ok(socket) = caller.descriptor(number) else { return Verdict::GoOn };
                if !calls.waits(call) {
                    return Verdict::GoOn;
                }
                self.listeners.bind_asked(generation, socket, at, asker)
            }
            Trap::Listen => {
                let Ok(socket) = caller.descriptor(number) else { return Verdict::GoOn };
                if !calls.waits(call) {
                    return Verdict::GoOn;
                }
                let backlog = i32::try_from(call.args[1].cast_signed()).unwrap_or(-1);
                let (verdict, notice) = self.listeners.listen_asked(generation, socket, backlog, asker);
                if let Some(notice) = notice {
                    self.tell(&notice);
                }
                verdict
            }
        }
    }
}

fn sockets_of(copy: &mut Copy) -> Option<HashSet<u64>> {
    spawn::open_sockets(&copy.tree.members(&ProcessTable::read()))
}

/// The first argument; of an int only the lower half counts.
#[allow(clippy::cast_possible_truncation, reason = "the kernel does the same")]
fn descriptor_number(call: &Call) -> i32 {
    call.args[0] as i32
}

/// The longest address that is read: `struct sockaddr_storage`.
const LONGEST: u64 = 128;

/// The IP address and port a copy wants to bind; None for other families.
fn address(caller: Caller, call: &Call) -> Option<SocketAddr> {
    let length = usize::try_from(call.args[2].min(LONGEST)).ok()?;
    inet(&caller.memory(call.args[1], length).ok()?)
}

/// Reads `struct sockaddr_in` or `struct sockaddr_in6` (ip(7), ipv6(7)).
fn inet(bytes: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    match family {
        nix::libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port))
        }
        nix::libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let scope = bytes.get(24..28).and_then(|scope| scope.try_into().ok()).map_or(0, u32::from_ne_bytes);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into())
        }
        _ => None,
    }
}
