//! The bind and listen calls of copies that make their own sockets: each waits until it is answered here, at once.

use super::copy::Copy;
use super::{Runtime, clock};
use crate::listener::{Asker, BoundAddress, Listeners, Maker, Theirs, Verdict, name_of};
use crate::notice::{Level, Notice};
use crate::plan::{UnixKind, UnixName};
use crate::spawn::{Caller, hidden};
use crate::sys::seccomp::{Call, Calls, Trap};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

impl Runtime {
    /// Answers one call.
    pub(super) fn answer(&mut self, generation: GenerationId, calls: &Calls, call: &Call) {
        let verdict = match call.trap {
            // Answered soonest, for there may be many.
            Trap::Unlink | Trap::UnlinkAt if !self.minds_unlinks() => None,
            trap => match (Caller::of(call.thread), trap) {
                (None, _) => self.nobody_seen(generation),
                (Some(caller), Trap::Bind) => self.bind_trapped(generation, calls, call, caller),
                (Some(caller), Trap::Listen) => self.listen_trapped(generation, calls, call, caller),
                (Some(caller), Trap::Unlink | Trap::UnlinkAt) => self.unlink_trapped(generation, calls, call, caller),
            },
        };
        match verdict {
            None | Some(Verdict::GoOn) => calls.go_on(call),
            Some(Verdict::Answer(result)) => calls.answer(call, result),
        }
    }

    /// What it is about to bind, where that is any business of ours.
    fn target(&mut self, of: GenerationId, call: &Call, caller: Caller) -> Option<Target> {
        let bytes = match address(caller, call) {
            Err(errno) if forbidden(errno) => {
                self.not_seen(of, "what it binds to", errno, caller);
                return None;
            }
            bytes => bytes.ok()?,
        };
        let target = match unix(&bytes) {
            Some(UnixName::Path(path)) if self.plan_of(of).captures_paths() => Target::Path(caller.path(None, &path)?),
            Some(UnixName::Path(_)) => return None,
            Some(UnixName::Abstract(name)) => Target::Name(name),
            None => Target::Inet(inet(&bytes).filter(|at| at.port() != 0)?),
        };
        if !matches!(target, Target::Path(_)) && caller.is_elsewhere() {
            self.elsewhere(of, caller);
            return None;
        }
        Some(target)
    }

    fn bind_trapped(&mut self, of: GenerationId, calls: &Calls, call: &Call, caller: Caller) -> Option<Verdict> {
        let at = self.target(of, call, caller)?;
        let number = descriptor_number(call);
        let early = self.copies.get(&of).is_some_and(|copy| copy.watch.is_some());
        // Where the main process ends alone (--kill-mode process), what it leaves behind is left alone.
        let copy = RefCell::new(self.copies.get_mut(&of)?);
        let (own, sockets, flags) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        // Seldom is it not open in the process that calls.
        let open = |inode| own.get_or_init(|| caller.sockets()).contains(&inode) || is_open(inode, &sockets, &copy);
        let flags = || *flags.get_or_init(|| caller.flags(number));
        let put = |socket: BorrowedFd<'_>| calls.put(call, socket, number, flags().contains(OFlag::O_CLOEXEC));
        let may_bind = |port| caller.may_bind(port);
        let polled = || caller.polls(number);
        let asker = Asker { open: &open, early, may_bind: &may_bind, polled: &polled, put: &put };
        match (caller.descriptor(number), at) {
            _ if !calls.waits(call) => None,
            (Ok(socket), at) => {
                let (verdict, notice) = bind_asked(&mut self.listeners, of, socket, &at, caller, asker);
                self.tell_all(notice.into_iter().collect());
                self.tell_of_family();
                Some(verdict)
            }
            (Err(errno), at) if forbidden(errno) => {
                let Some(protocol) = caller.protocol(number) else {
                    self.not_seen(of, "its sockets", errno, caller);
                    return None;
                };
                if polled() {
                    self.polled_before(of, errno, caller);
                    return None;
                }
                let theirs = Theirs { protocol, nonblock: flags().contains(OFlag::O_NONBLOCK) };
                let verdict = bind_instead(&mut self.listeners, of, &theirs, &at, asker);
                let (level, text) = match at.left_alone(&theirs.protocol).filter(|_| verdict.is_none() && early) {
                    Some(what) => {
                        let why = errno.desc();
                        let text = format!(
                            "{what} is not captured, for pidfd_getfd(2) is forbidden ({why}): with -l {what} \
                             --capture always it is"
                        );
                        (Level::Problem, text)
                    }
                    None => (Level::Detail, INSTEAD.to_owned()),
                };
                self.tell_of_capture(level, text);
                self.tell_of_family();
                verdict
            }
            (Err(_), _) => None,
        }
    }

    fn listen_trapped(&mut self, of: GenerationId, calls: &Calls, call: &Call, caller: Caller) -> Option<Verdict> {
        let number = descriptor_number(call);
        let socket = match caller.descriptor(number) {
            Err(errno) if forbidden(errno) => self.listeners.substitute(of, caller.socket_number(number)?)?,
            socket => socket.ok()?,
        };
        if !calls.waits(call) {
            return None;
        }
        let backlog = i32::try_from(call.args[1].cast_signed()).unwrap_or(-1);
        self.copies.get_mut(&of)?.listens(clock::now());
        if let Some(name) = name_of(&socket) {
            let notice = match name {
                UnixName::Path(_) if !self.plan_of(of).captures_paths() => None,
                UnixName::Path(path) => {
                    self.listeners.path_listen_asked(of, socket, &caller.path(None, &path)?, backlog)
                }
                UnixName::Abstract(name) => self.listeners.name_listen_asked(of, socket, &name),
            };
            self.tell_all(notice.into_iter().collect());
            // Not in its place: its clients are to see who listens (SO_PEERCRED, unix(7)).
            return None;
        }
        let copy = RefCell::new(self.copies.get_mut(&of)?);
        let sockets = OnceCell::new();
        let open = |inode| is_open(inode, &sockets, &copy);
        let (verdict, notice) = self.listeners.listen_asked(of, socket, backlog, &open);
        if let Some(notice) = notice {
            self.tell(&notice);
        }
        Some(verdict)
    }

    /// A copy serves: its datagram sockets that are no server's are let go, before anybody is sent there.
    pub(super) fn drop_clients(&mut self, generation: GenerationId) {
        let notices = self.with_open(generation, |listeners, open| listeners.drop_clients(generation, open));
        self.tell_all(notices.unwrap_or_default());
    }

    /// Does something that depends on which sockets a copy has open.
    pub(super) fn with_open<T>(
        &mut self,
        of: GenerationId,
        act: impl FnOnce(&mut Listeners, &dyn Fn(u64) -> bool) -> T,
    ) -> Option<T> {
        let (copy, sockets) = (RefCell::new(self.copies.get_mut(&of)?), OnceCell::new());
        Some(act(&mut self.listeners, &|inode| is_open(inode, &sockets, &copy)))
    }

    /// Who calls has just ended, or there is no /proc, which was told.
    fn nobody_seen(&mut self, of: GenerationId) -> Option<Verdict> {
        if let Some(watch) = self.copies.get_mut(&of).and_then(|copy| copy.watch.as_mut())
            && hidden().is_some()
        {
            watch.without_capture(clock::now());
        }
        None
    }
}

/// What is done where the sockets of copies cannot be had.
const INSTEAD: &str = "the profile of this container forbids pidfd_getfd(2): the target gets sockets that endless makes for \
                       those it binds";

/// What becomes of a socket whose copy wants to bind it.
fn bind_asked(
    listeners: &mut Listeners,
    of: GenerationId,
    socket: OwnedFd,
    at: &Target,
    caller: Caller,
    asker: Asker<'_>,
) -> (Verdict, Option<Notice>) {
    match at {
        Target::Inet(at) => listeners.bind_asked(of, socket, *at, asker),
        Target::Path(path) => {
            let (umask, uid, gid) = caller.makes_files_as();
            let maker = Maker { umask, owner: (uid, gid) };
            (listeners.path_bind_asked(of, socket, path, maker, asker), None)
        }
        Target::Name(name) => (listeners.name_bind_asked(of, socket, name, asker), None),
    }
}

/// Binds a socket of our own in place of one that cannot be had.
fn bind_instead(
    listeners: &mut Listeners,
    of: GenerationId,
    theirs: &Theirs,
    at: &Target,
    asker: Asker<'_>,
) -> Option<Verdict> {
    match at {
        Target::Inet(at) if (asker.may_bind)(at.port()) => listeners.bind_instead(of, theirs, *at, asker),
        Target::Inet(_) => None,
        Target::Path(path) => listeners.claim_path(of, (path, unix_kind(&theirs.protocol)?), theirs.nonblock, asker),
        Target::Name(name) => listeners.claim_name(of, (name, unix_kind(&theirs.protocol)?), theirs.nonblock, asker),
    }
}

/// What a copy binds to.
#[derive(Debug)]
enum Target {
    Inet(SocketAddr),
    Path(PathBuf),
    Name(Vec<u8>),
}

impl Target {
    /// The listener it would be, where a socket of this protocol cannot be replaced by one of our own.
    fn left_alone(&self, protocol: &str) -> Option<String> {
        let kind = || unix_kind(protocol);
        let address = match self {
            Target::Inet(at) if protocol.starts_with("UDP") => BoundAddress::Udp(*at),
            Target::Inet(_) => return None,
            Target::Path(path) => BoundAddress::Path { kind: kind()?, path: path.clone() },
            Target::Name(name) => BoundAddress::Abstract { kind: kind()?, name: name.clone() },
        };
        Some(address.to_string())
    }
}

/// The kind of a Unix socket, by what the kernel calls its protocol; datagram sockets have that of seqpacket, too.
fn unix_kind(protocol: &str) -> Option<UnixKind> {
    match protocol {
        "UNIX-STREAM" => Some(UnixKind::Stream),
        "UNIX" => Some(UnixKind::Datagram),
        _ => None,
    }
}

/// Errors of those who may not look.
fn forbidden(errno: Errno) -> bool {
    matches!(errno, Errno::EPERM | Errno::EACCES | Errno::ENOSYS)
}

/// Whether a socket is open in any process of a copy, or may be: these are looked at once for a call.
fn is_open(inode: u64, sockets: &OnceCell<Option<HashSet<u64>>>, copy: &RefCell<&mut Copy>) -> bool {
    let all = sockets.get_or_init(|| copy.borrow_mut().tree.open_sockets());
    all.as_ref().is_none_or(|all| all.contains(&inode))
}

/// The first argument; of an int only the lower half counts.
#[allow(clippy::cast_possible_truncation, reason = "the kernel does the same")]
pub(super) fn descriptor_number(call: &Call) -> i32 {
    call.args[0] as i32
}

/// The longest address that is read: `struct sockaddr_storage`.
const LONGEST: u64 = 128;

/// The address a copy wants to bind, as it lies in its memory.
fn address(caller: Caller, call: &Call) -> nix::Result<Vec<u8>> {
    caller.memory(call.args[1], usize::try_from(call.args[2].min(LONGEST)).unwrap_or_default())
}

/// Reads `struct sockaddr_un` with a name (unix(7)).
fn unix(bytes: &[u8]) -> Option<UnixName> {
    let family = u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?);
    match bytes.get(2..).filter(|_| i32::from(family) == libc::AF_UNIX)? {
        // Nothing: the kernel chooses a name.
        [] => None,
        [0, name @ ..] => Some(UnixName::Abstract(name.to_owned())),
        path => Some(UnixName::Path(OsStr::from_bytes(path.split(|byte| *byte == 0).next()?).into())),
    }
}

/// Reads `struct sockaddr_in` or `struct sockaddr_in6` (ip(7), ipv6(7)).
fn inet(bytes: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let scope = bytes.get(24..28).and_then(|scope| scope.try_into().ok()).map_or(0, u32::from_ne_bytes);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into())
        }
        _ => None,
    }
}
