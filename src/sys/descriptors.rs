//! Putting descriptors at their numbers in a child that is about to execute another program.

use super::process::Child;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Makes `to` what `from` is, without close-on-exec; what `to` was is closed (dup2(2)).
///
/// # Errors
/// EBADF when `from` is not open or `to` is above the limit of open files.
pub fn duplicate_onto(_: &Child, from: RawFd, to: RawFd) -> nix::Result<()> {
    // SAFETY: in the child no owner of either number is left that could be surprised: it executes or exits.
    Errno::result(unsafe { libc::dup2(from, to) }).map(drop)
}

/// Takes close-on-exec off a descriptor; it is the only flag there is (F_SETFD, fcntl(2)).
///
/// # Errors
/// EBADF when it is not open.
pub fn keep_across_exec(_: &Child, fd: RawFd) -> nix::Result<()> {
    // SAFETY: F_SETFD takes a number and changes only what happens at exec.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop)
}

/// Marks every descriptor from 3 up as close-on-exec, in one system call (close_range(2)).
///
/// Ours are so already. This is for those endless was itself started with, by a shell or make(1), and did not ask for.
/// Kernels before 5.11 refuse, and then those are passed on.
pub fn close_all_at_exec(_: &Child) {
    // SAFETY: the call takes numbers and changes only what happens at exec.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Duplicates a descriptor to the first free number that is not below `least`, close-on-exec.
///
/// # Errors
/// EMFILE or EINVAL when the limit of open files leaves no room there.
pub fn lift(_: &Child, fd: RawFd, least: RawFd) -> nix::Result<RawFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes a number and touches no open descriptor.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) })
}

/// Closes a descriptor that [`lift`] made.
pub fn close(_: &Child, fd: RawFd) {
    // SAFETY: in the child no owner of the number is left.
    unsafe { libc::close(fd) };
}

/// A second descriptor of the same open file in this process, at a number not below `least`, close-on-exec.
///
/// # Errors
/// EMFILE or EINVAL when the limit of open files leaves no room there.
pub fn duplicate_above(fd: BorrowedFd<'_>, least: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes a number and touches no open descriptor.
    let copy = Errno::result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) })?;
    // SAFETY: the kernel has just made it for us and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
