//! The thread of a copy that waits in a trapped call: what it passed, and the descriptors of its process.

use crate::sys::process::{pidfd_getfd, pidfd_open};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

/// A thread, and the process it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    thread: Pid,
    process: Pid,
}

impl Caller {
    /// The caller, by the number of its thread; None when it is gone.
    #[must_use]
    pub fn of(thread: Pid) -> Option<Caller> {
        let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        let process = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
        Some(Caller { thread, process: Pid::from_raw(process) })
    }

    /// Bytes of its memory. Some sandboxes refuse process_vm_readv(2), others /proc/PID/mem (proc(5)): both are tried.
    ///
    /// # Errors
    /// EFAULT for a wrong address, EPERM or EACCES without the right to trace the process.
    pub fn memory(&self, address: u64, length: usize) -> nix::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let remote = [RemoteIoVec { base, len: length }];
        match process_vm_readv(self.thread, &mut [IoSliceMut::new(&mut bytes)], &remote) {
            Ok(read) if read == length => return Ok(bytes),
            Err(Errno::EPERM | Errno::ENOSYS) => {}
            Ok(_) => return Err(Errno::EFAULT),
            Err(errno) => return Err(errno),
        }
        let memory = File::open(format!("/proc/{}/mem", self.thread));
        let read = memory.and_then(|memory| memory.read_exact_at(&mut bytes, address));
        read.map(|()| bytes).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EFAULT as i32)))
    }

    /// A descriptor of our own for the open file at a number of its process.
    ///
    /// # Errors
    /// EBADF when nothing is open there, EPERM without the right to trace the process or in some sandboxes.
    pub fn descriptor(&self, number: RawFd) -> nix::Result<OwnedFd> {
        let process = pidfd_open(self.process)?;
        pidfd_getfd(process.as_fd(), number)
    }

    /// Whether the descriptor at a number of its process is close-on-exec (/proc/PID/fdinfo, proc(5)).
    #[must_use]
    pub fn close_on_exec(&self, number: RawFd) -> bool {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.process)).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0);
        flags & nix::libc::O_CLOEXEC != 0
    }
}
