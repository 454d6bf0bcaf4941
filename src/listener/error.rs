//! What can go wrong while binding, and how it is said.

use crate::words::Failure;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::fmt;
use std::path::PathBuf;

/// A system call that failed while a socket was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What was tried, as a verb phrase: "bind it".
    pub step: &'static str,
    /// The kernel's answer.
    pub errno: Errno,
}

/// Names the step a failed call belongs to.
pub(super) trait During<T> {
    /// The same result, with the step in the error.
    fn during(self, step: &'static str) -> Result<T, Fault>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, step: &'static str) -> Result<T, Fault> {
        self.map_err(|errno| Fault { step, errno })
    }
}

impl<T> During<T> for std::io::Result<T> {
    fn during(self, step: &'static str) -> Result<T, Fault> {
        self.map_err(|error| Fault { step, errno: Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32)) })
    }
}

/// The step whose failures have reasons of their own: a busy port, a port below 1024, an address that is not local.
pub(super) const BIND: &str = "bind it";

/// Steps that need a right, or what this machine may not have.
pub(super) const MAKE_VSOCK: &str = "make a VM socket";
pub(super) const BIND_VSOCK: &str = "bind the VM socket";
pub(super) const TRANSPARENT: &str = "set transparent";
pub(super) const MARK: &str = "set mark";
pub(super) const CONGESTION: &str = "set congestion";

/// A process that has a socket of the busy address open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// The program's name (comm, proc(5)).
    pub program: String,
}

/// Why a listener could not be bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A system call failed.
    Fault(Fault),
    /// Another socket has the address; its holders, where they could be found.
    Busy(Vec<Holder>),
    /// Something that is no socket lies at this path.
    NoSocketThere(PathBuf),
    /// No descriptor of this number is open.
    NotOpen(i32),
    /// No descriptor of this name was passed in.
    NotPassed(String),
    /// The descriptor is no socket.
    NoSocket(i32),
    /// This option cannot change while the listener is open.
    Fixed(&'static str),
    /// The descriptor is a stream socket that does not listen.
    NotListening(i32),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem::Fault(fault)
    }
}

impl Problem {
    /// The error number nearest to it.
    fn errno(&self) -> Errno {
        match self {
            Problem::Fault(fault) => fault.errno,
            Problem::Busy(_) => Errno::EADDRINUSE,
            Problem::NoSocketThere(_) => Errno::EEXIST,
            Problem::NotOpen(_) | Problem::NotPassed(_) => Errno::EBADF,
            Problem::NoSocket(_) => Errno::ENOTSOCK,
            Problem::NotListening(_) | Problem::Fixed(_) => Errno::EINVAL,
        }
    }

    /// As what keeps a generation from having a seat at the listener of this flag.
    pub(super) fn at_seat(&self, flag: &str) -> Failure {
        let step = match self {
            Problem::Fault(fault) => format!("make a seat at -l {flag} ({})", fault.step),
            other => format!("make a seat at -l {flag} ({other})"),
        };
        Failure::not_made(step, self.errno())
    }

    /// What to do about it.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Problem::Busy(holders) if holders.iter().any(|one| one.pid == Pid::this().as_raw()) => {
                "a listener of this very endless is there, and one at [::] takes IPv4 too but for v6only=yes: take one away, or \
                 choose another address"
            }
            Problem::Busy(_) => "stop the other program, or choose another address",
            Problem::NoSocketThere(_) => {
                "move it away, or choose another path: endless removes only sockets nobody answers"
            }
            Problem::NotPassed(_) => "give the number, fd:N, or check LISTEN_FDNAMES",
            Problem::NotOpen(_) => "check the redirection or the service manager that should pass it",
            Problem::NotListening(_) => "call listen() on it before endless is started",
            Problem::Fixed(_) => "leave it as it is until endless itself is started again",
            Problem::NoSocket(_) => return None,
            Problem::Fault(fault) => return fault.hint(),
        })
    }
}

impl Fault {
    fn hint(&self) -> Option<&'static str> {
        match (self.step, self.errno) {
            (BIND, Errno::EACCES) => Some(
                "a port below 1024 needs root, CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start; \
                 a path needs a directory this user may write",
            ),
            (BIND, Errno::EADDRNOTAVAIL) => {
                Some("no interface of this machine has the address: use one that has, or the option freebind")
            }
            (BIND, Errno::ENOENT) => Some("make the directory first"),
            (MAKE_VSOCK, Errno::EAFNOSUPPORT) => Some("this kernel has no VM sockets: modprobe vsock may add them"),
            (BIND_VSOCK, Errno::EACCES) => Some("a port below 1024 needs root or CAP_NET_BIND_SERVICE"),
            (BIND_VSOCK, Errno::EADDRNOTAVAIL) => Some(
                "this machine has another CID: any takes whatever is meant for it; local needs the kernel's module vsock_loopback, \
                 and host is the host's alone",
            ),
            (TRANSPARENT | MARK, Errno::EPERM) => Some("this needs root or CAP_NET_ADMIN"),
            (CONGESTION, Errno::EPERM) => {
                Some("without root or CAP_NET_ADMIN it has to be one of net.ipv4.tcp_allowed_congestion_control")
            }
            (CONGESTION, Errno::ENOENT) => Some(
                "this kernel has none of this name: /proc/sys/net/ipv4/tcp_available_congestion_control lists those it has, and \
                 modprobe tcp_NAME may add one",
            ),
            (_, Errno::EMFILE) => Some("raise the hard limit of open files (ulimit -Hn, LimitNOFILE=)"),
            (_, Errno::EPERM) => Some("this needs a capability this user lacks (capabilities(7))"),
            (_, Errno::ENODEV) => Some("no interface has this name (ip link)"),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Fault(fault) => write!(f, "cannot {}: {}", fault.step, fault.errno.desc()),
            Problem::Busy(holders) if holders.is_empty() => write!(f, "the address is in use"),
            Problem::Busy(holders) => {
                write!(f, "the address is in use by ")?;
                for (number, holder) in holders.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{} (pid {})", holder.program, holder.pid)?;
                }
                Ok(())
            }
            Problem::NoSocketThere(path) => write!(f, "{} exists and is no socket", path.display()),
            Problem::NotOpen(number) => write!(f, "descriptor {number} is not open"),
            Problem::NotPassed(name) => write!(f, "no descriptor named {name} was passed in"),
            Problem::NoSocket(number) => write!(f, "descriptor {number} is no socket"),
            Problem::Fixed(option) => write!(f, "{option} cannot change while the listener is open"),
            Problem::NotListening(number) => write!(f, "descriptor {number} is a socket that does not listen"),
        }
    }
}

/// A listener could not be bound; nothing stays bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindError {
    /// The flag as typed.
    pub flag: String,
    /// Why.
    pub problem: Problem,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-l {}: {}", self.flag, self.problem)?;
        match self.problem.hint() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}
