//! Making processes, signalling them and waiting for them.

use crate::words::{Exit, Sig};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Proof of being in a child that [`spawn`] has made: it will execute another program or exit, and nothing of the parent's Rust
/// runs in it again. So it may do to descriptors what would be unsound in the parent.
#[derive(Debug)]
pub struct Child(());

/// Ends the child without the parent's destructors and exit handlers, should `body` panic.
struct ExitGuard;

impl Drop for ExitGuard {
    fn drop(&mut self) {
        exit_now(crate::words::CODE_FAILURE);
    }
}

/// Room for the child of [`spawn`]: it calls some forty functions that keep next to nothing.
const STACK: usize = 64 * 1024;

/// Makes a child that runs `body` and exits with what that returns, unless it executes another program. The parent gets
/// the child's pid, once it has done either.
///
/// This is what posix_spawn(3) does: the child works in our memory, on a stack of its own, and we wait meanwhile
/// (CLONE_VM and CLONE_VFORK, clone(2)). fork(2) would copy the page tables, and then each page that either side writes
/// to, which takes more time than all else that is done for a new copy.
///
/// All signals must be blocked, for a handler that ran in the child would change our memory.
///
/// # Errors
/// EAGAIN when there are no processes left, ENOMEM.
pub fn spawn<F: FnOnce(&Child) -> u8>(body: F) -> nix::Result<Pid> {
    let mut body = Some(body);
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let top = stack.as_mut_ptr().wrapping_add(stack.capacity());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `enter` gets the type it expects. The kernel resumes us when the child has executed or ended, so `body`
    // and the stack, which is aligned and grows downwards from `top`, outlive its use of them, and nothing of ours
    // runs at the same time.
    let child = unsafe { libc::clone(enter::<F>, top.cast(), flags, (&raw mut body).cast()) };
    Errno::result(child).map(Pid::from_raw)
}

/// Where the child of [`spawn`] begins.
extern "C" fn enter<F: FnOnce(&Child) -> u8>(body: *mut c_void) -> i32 {
    let _guard = ExitGuard;
    // SAFETY: `spawn` passes a pointer to its own `Option<F>`, which nobody else touches until we are gone.
    let body = unsafe { (*body.cast::<Option<F>>()).take() };
    exit_now(body.map_or(crate::words::CODE_FAILURE, |body| body(&Child(()))))
}

/// fork(2): the child runs `body` and exits with what that returns, the parent gets the child's pid. So endless goes on in the
/// background (`--detach`).
///
/// In a program with more than one thread `body` must neither allocate nor lock.
///
/// # Errors
/// EAGAIN when there are no processes left, ENOMEM.
pub fn fork(body: impl FnOnce() -> u8) -> nix::Result<Pid> {
    // SAFETY: endless has one thread, so the child is a whole copy of it: no lock is held by a thread that is not
    // there. Where there are more threads, the rule above holds.
    match Errno::result(unsafe { libc::fork() })? {
        0 => {
            let _guard = ExitGuard;
            exit_now(body())
        }
        child => Ok(Pid::from_raw(child)),
    }
}

/// _exit(2): ends this process at once, without destructors and exit handlers.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: _exit has no preconditions and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Has the kernel send `signal` to this process when the thread that forked it ends (PR_SET_PDEATHSIG, prctl(2)).
///
/// # Errors
/// EINVAL for a number that is no signal.
pub fn set_parent_death_signal(signal: Sig) -> nix::Result<()> {
    // SAFETY: the option takes a number and no pointer.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(signal.0.unsigned_abs())) })
        .map(drop)
}

/// Adds to the niceness of this process (nice(2)).
///
/// # Errors
/// EPERM for less niceness without the privilege.
pub fn add_niceness(more: i32) -> nix::Result<()> {
    Errno::clear();
    // SAFETY: nice takes a number. -1 is also a proper answer, hence the look at errno, cleared above.
    match unsafe { libc::nice(more) } {
        -1 if Errno::last_raw() != 0 => Err(Errno::last()),
        _ => Ok(()),
    }
}

/// Sets a limit by its number; None is unlimited (setrlimit(2)).
///
/// # Errors
/// EPERM for a hard limit above the present one without the privilege, EINVAL for a soft above the hard one.
pub fn set_limit(resource: u32, soft: Option<u64>, hard: Option<u64>) -> nix::Result<()> {
    let limit =
        libc::rlimit { rlim_cur: soft.unwrap_or(libc::RLIM_INFINITY), rlim_max: hard.unwrap_or(libc::RLIM_INFINITY) };
    // SAFETY: `limit` is valid for reading; an unknown number is refused with EINVAL.
    Errno::result(unsafe { libc::setrlimit(resource as _, &raw const limit) }).map(drop)
}

/// Sends a signal by its number, 0 included (kill(2)); a negative pid is a process group.
///
/// # Errors
/// ESRCH when nobody is there, EPERM.
pub fn send(to: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: kill takes two numbers.
    Errno::result(unsafe { libc::kill(to.as_raw(), signal) }).map(drop)
}

/// A descriptor that means this process and no later one of the same number (pidfd_open(2)); close-on-exec.
///
/// # Errors
/// ESRCH when it does not exist, ENOSYS before Linux 5.3, EMFILE.
pub fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it for us and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor of our own for the open file behind one of another process (pidfd_getfd(2)); close-on-exec.
///
/// # Errors
/// EBADF when it is not open there, EPERM without the right to trace the process or in some sandboxes, ENOSYS before
/// Linux 5.6.
pub fn pidfd_getfd(process: BorrowedFd<'_>, number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes three numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it for us and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal through a pidfd (pidfd_send_signal(2)).
///
/// # Errors
/// ESRCH when the process has ended and was waited for, EPERM.
pub fn pidfd_send_signal(process: BorrowedFd<'_>, signal: i32) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open for as long as it is borrowed; a null siginfo is what kill(2) would send.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, no_info, 0) })
        .map(drop)
}

/// What has become of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// It runs, or is stopped.
    Running,
    /// It has ended and was not yet waited for: its pid is still its own.
    Ended,
    /// There is no such child, or it was waited for: its pid may be another process by now.
    Gone,
}

/// Looks at a child without waiting for it (waitid(2) with WNOWAIT).
#[must_use]
pub fn child_state(pid: Pid) -> ChildState {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for writing; zeroed, so that its pid is 0 when no child has ended.
    let (answer, ended) = unsafe {
        let answer = libc::waitid(libc::P_PID, pid.as_raw().unsigned_abs(), info.as_mut_ptr(), flags);
        (answer, info.assume_init().si_pid() != 0)
    };
    match answer {
        0 if ended => ChildState::Ended,
        0 => ChildState::Running,
        _ => ChildState::Gone,
    }
}

/// Waits for any one child that has ended, without blocking (waitpid(2)). None: there is none.
#[must_use]
pub fn reap_one() -> Option<(Pid, Exit)> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for writing.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
            pid if pid > 0 => {
                if let Some(exit) = exit_of(status) {
                    return Some((Pid::from_raw(pid), exit));
                }
            }
            -1 if Errno::last() == Errno::EINTR => {}
            _ => return None,
        }
    }
}

/// Reads a wait status; None when the process did not end. nix's own reading refuses real-time signals.
fn exit_of(status: i32) -> Option<Exit> {
    if libc::WIFEXITED(status) {
        return u8::try_from(libc::WEXITSTATUS(status)).ok().map(Exit::Code);
    }
    libc::WIFSIGNALED(status).then(|| Exit::Signal(Sig(libc::WTERMSIG(status))))
}
