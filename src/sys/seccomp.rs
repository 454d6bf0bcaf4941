//! Calls of a process that wait for our answer: seccomp user notification (seccomp(2), seccomp_unotify(2)).
//!
//! The filter is installed in the child, its descriptor goes to the parent, and everything that descends from the child
//! has it too. Calls by way of io_uring or of another ABI (32-bit programs) pass it unseen.

use super::process::Child;
use nix::errno::Errno;
use nix::libc::{self, c_long, sock_filter};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// AUDIT_ARCH_* of this machine (linux/audit.h); None where the numbers are not known.
const MACHINE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// A call that can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// bind(2).
    Bind,
    /// listen(2).
    Listen,
    /// unlink(2), which not every machine has.
    Unlink,
    /// unlinkat(2).
    UnlinkAt,
}

/// The number of unlink(2).
#[cfg(target_arch = "x86_64")]
const UNLINK: Option<c_long> = Some(libc::SYS_unlink);
#[cfg(not(target_arch = "x86_64"))]
const UNLINK: Option<c_long> = None;

impl Trap {
    const ALL: [Trap; 4] = [Trap::Bind, Trap::Listen, Trap::Unlink, Trap::UnlinkAt];

    fn number(self) -> Option<c_long> {
        match self {
            Trap::Bind => Some(libc::SYS_bind),
            Trap::Listen => Some(libc::SYS_listen),
            Trap::Unlink => UNLINK,
            Trap::UnlinkAt => Some(libc::SYS_unlinkat),
        }
    }
}

/// Where the machine and the number of the call lie in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// A filter, laid out before fork.
#[derive(Debug, Clone)]
pub struct Filter {
    program: Vec<sock_filter>,
}

impl Filter {
    /// The filter that makes bind(2) and listen(2) wait, and with `removals` all of [`Trap`]; None on a machine whose
    /// numbers are not known here.
    #[must_use]
    pub fn new(removals: bool) -> Option<Filter> {
        let step = |code, k| sock_filter { code, jt: 0, jf: 0, k };
        let load = |at| step((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, at);
        let equal = |k, jt, jf| sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt, jf, k };
        let answer = |what| step((libc::BPF_RET | libc::BPF_K) as u16, what);
        let trapped = Trap::ALL.into_iter().filter(|trap| removals || matches!(trap, Trap::Bind | Trap::Listen));
        let traps: Vec<c_long> = trapped.filter_map(Trap::number).collect();
        let calls = u8::try_from(traps.len()).ok()?;
        let mut program = vec![load(ARCH), equal(MACHINE?, 0, calls + 1), load(NUMBER)];
        for (at, call) in (1..).zip(traps) {
            program.push(equal(u32::try_from(call).ok()?, calls - at + 1, 0));
        }
        program.push(answer(libc::SECCOMP_RET_ALLOW));
        program.push(answer(libc::SECCOMP_RET_USER_NOTIF));
        Some(Filter { program })
    }

    /// Installs it in this process for good and returns the number of its descriptor, which is close-on-exec. Where it is
    /// refused without no_new_privs, that is set first when `may_bind` allows it; then the second value is true.
    ///
    /// # Errors
    /// EACCES without the privilege, EBUSY where an outer filter has a descriptor of its own, EINVAL before Linux 5.0, EPERM
    /// or ENOSYS in some sandboxes.
    pub fn install(&self, _: &Child, may_bind: bool) -> nix::Result<(RawFd, bool)> {
        match self.set() {
            Err(Errno::EACCES) if may_bind => {
                nix::sys::prctl::set_no_new_privs()?;
                self.set().map(|number| (number, true))
            }
            other => other.map(|number| (number, false)),
        }
    }

    fn set(&self) -> nix::Result<RawFd> {
        let plain = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        // Without the last flag, which is of Linux 5.19, a signal handler interrupts a call that waits.
        match self.set_with(plain | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
            Err(Errno::EINVAL) => self.set_with(plain),
            other => other,
        }
    }

    fn set_with(&self, flags: libc::c_ulong) -> nix::Result<RawFd> {
        let length = u16::try_from(self.program.len()).map_err(|_| Errno::EINVAL)?;
        let described = libc::sock_fprog { len: length, filter: self.program.as_ptr().cast_mut() };
        // SAFETY: `described` points at `length` instructions, which outlive the call; the kernel copies and checks them
        // and writes nothing through the pointer.
        let answer =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const described) };
        Errno::result(answer).map(|number| RawFd::try_from(number).unwrap_or(-1))
    }
}

/// What the child tells about its filter: four bytes of errno, then one that is 1 when no_new_privs was set.
const REPORT: usize = 5;

/// Room for one control message with one descriptor, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends the answer of [`Filter::install`] to the parent, the descriptor with it. Allocates nothing.
pub fn report(_: &Child, to: BorrowedFd<'_>, installed: nix::Result<(RawFd, bool)>) {
    let (errno, bound, number) = match installed {
        Ok((number, bound)) => (0, bound, Some(number)),
        Err(errno) => (errno as i32, false, None),
    };
    let mut bytes = [0u8; REPORT];
    bytes[..4].copy_from_slice(&errno.to_ne_bytes());
    bytes[4] = u8::from(bound);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: REPORT };
    let mut control = Control([0; 64]);
    // SAFETY: all zeroes is a valid msghdr. What its pointers point at outlives the call, and the control buffer is larger
    // than one header with one descriptor, so CMSG_FIRSTHDR is not null and its data lies inside. That nobody receives it
    // is no matter (MSG_NOSIGNAL).
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if let Some(number) = number {
            let length = size_of::<RawFd>() as u32;
            message.msg_control = control.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(length) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(number);
        }
        libc::sendmsg(to.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL);
    }
}

/// Receives what the child reported, without blocking. None: nothing yet. A child that ended before it could tell counts
/// as ECHILD. The second value: no_new_privs was set.
pub fn receive(from: BorrowedFd<'_>) -> Option<nix::Result<(Calls, bool)>> {
    let mut bytes = [0u8; REPORT];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: REPORT };
    let mut control = Control([0; 64]);
    // SAFETY: all zeroes is a valid msghdr; its pointers point at buffers of the lengths given, which outlive the call. The
    // header is read only when the kernel has written one, and a descriptor that came in it belongs to nobody else yet.
    let (length, descriptor) = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let length = libc::recvmsg(from.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC);
        let header = if length > 0 { libc::CMSG_FIRSTHDR(&raw const message) } else { std::ptr::null_mut() };
        let rights = !header.is_null() && (*header).cmsg_type == libc::SCM_RIGHTS;
        let number = rights.then(|| libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned());
        (length, number.map(|number| OwnedFd::from_raw_fd(number)))
    };
    match (length, descriptor) {
        (-1, _) if Errno::last() == Errno::EAGAIN => None,
        (_, Some(descriptor)) => Some(Ok((Calls::new(descriptor), bytes[4] == 1))),
        (5, None) => Some(Err(Errno::from_raw(i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))),
        _ => Some(Err(Errno::ECHILD)),
    }
}

/// One call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    id: u64,
    /// Which call.
    pub trap: Trap,
    /// The thread that made it, as we see its number.
    pub thread: Pid,
    /// Its arguments.
    pub args: [u64; 6],
}

/// The calls that wait in all processes under one filter. Readable when there is one; hung up (POLLHUP) when no process
/// is left under the filter.
#[derive(Debug, Serialize, Deserialize)]
pub struct Calls {
    #[serde(with = "super::carried")]
    descriptor: OwnedFd,
}

/// Numbers of linux/seccomp.h that the libc crate does not have.
const SET_FLAGS: libc::c_ulong = 0x4008_2104;
const SYNC_WAKE_UP: libc::c_ulong = 1;
const CONTINUE: u32 = 1;
const SETFD: u32 = 1;
const RECV: libc::c_ulong = 0xc050_2100;
const SEND: libc::c_ulong = 0xc018_2101;
const ID_VALID: libc::c_ulong = 0x4008_2102;
const ADDFD: libc::c_ulong = 0x4018_2103;

impl Calls {
    fn new(descriptor: OwnedFd) -> Calls {
        // SAFETY: the argument is a number. The flag is of Linux 6.6 and only makes the answer come sooner.
        unsafe { libc::ioctl(descriptor.as_raw_fd(), SET_FLAGS as _, SYNC_WAKE_UP) };
        Calls { descriptor }
    }

    /// Takes one call. To be called once each time the descriptor is readable: then it does not block.
    pub fn take(&self) -> Option<Call> {
        // SAFETY: all zeroes is a valid seccomp_notif, and what the kernel asks for.
        let mut heard: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes one seccomp_notif, which is what the pointer points at.
        Errno::result(unsafe { libc::ioctl(self.descriptor.as_raw_fd(), RECV as _, &raw mut heard) }).ok()?;
        let trap = Trap::ALL.into_iter().find(|trap| trap.number() == Some(c_long::from(heard.data.nr)))?;
        let thread = Pid::from_raw(i32::try_from(heard.pid).ok()?);
        Some(Call { id: heard.id, trap, thread, args: heard.data.args })
    }

    /// True while the call waits: only then what was read from its process was really its own.
    #[must_use]
    pub fn waits(&self, call: &Call) -> bool {
        let id = call.id;
        // SAFETY: the kernel reads one number, which outlives the call.
        unsafe { libc::ioctl(self.descriptor.as_raw_fd(), ID_VALID as _, &raw const id) == 0 }
    }

    /// The call is carried out as if nobody had looked.
    pub fn go_on(&self, call: &Call) {
        self.send(call, 0, CONTINUE);
    }

    /// The call is not carried out and returns this: 0, or an error.
    pub fn answer(&self, call: &Call, result: nix::Result<()>) {
        self.send(call, result.map_or_else(|errno| -(errno as i32), |()| 0), 0);
    }

    /// An answer that comes too late, because the process was killed, is no matter.
    fn send(&self, call: &Call, error: i32, flags: u32) {
        let answer = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
        // SAFETY: the kernel reads one seccomp_notif_resp, which outlives the call.
        unsafe { libc::ioctl(self.descriptor.as_raw_fd(), SEND as _, &raw const answer) };
    }

    /// Puts a socket at a number in the process that made the call, in place of what is open there.
    ///
    /// # Errors
    /// ENOENT when the call does not wait any more, EINVAL before Linux 5.9.
    pub fn put(&self, call: &Call, socket: BorrowedFd<'_>, number: RawFd, close_on_exec: bool) -> nix::Result<()> {
        let wanted = libc::seccomp_notif_addfd {
            id: call.id,
            flags: SETFD,
            srcfd: socket.as_raw_fd().unsigned_abs(),
            newfd: number.unsigned_abs(),
            newfd_flags: if close_on_exec { libc::O_CLOEXEC.unsigned_abs() } else { 0 },
        };
        // SAFETY: the kernel reads one seccomp_notif_addfd, which outlives the call; it changes no descriptor of ours.
        Errno::result(unsafe { libc::ioctl(self.descriptor.as_raw_fd(), ADDFD as _, &raw const wanted) }).map(drop)
    }
}

impl AsFd for Calls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{ARCH, Filter, NUMBER, libc};

    /// The kernel remembers of which calls a filter says "allow" whatever their arguments, and does not run it for them
    /// (seccomp_cache_prepare, Linux 5.11). It finds them by playing the filter, and gives up at any other load.
    #[test]
    fn the_filter_looks_at_nothing_but_machine_and_number() {
        let filters = [true, false].map(Filter::new).into_iter().flatten();
        let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let compare = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        let answer = (libc::BPF_RET | libc::BPF_K) as u16;
        for step in filters.flat_map(|filter| filter.program) {
            let known = step.code == load && [ARCH, NUMBER].contains(&step.k);
            assert!(known || step.code == compare || step.code == answer, "{step:?}");
        }
    }
}
