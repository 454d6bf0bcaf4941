//! The thread of a copy that waits in a trapped call: what it passed, and the descriptors of its process.

use super::sockets::{inode, of_process};
use crate::sys::process::{pidfd_getfd, pidfd_open};
use crate::sys::socket::protocol_name;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlink};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use std::collections::HashSet;
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the descriptor of an epoll(7) set leads to.
const EPOLL: &str = "anon_inode:[eventpoll]";

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
        let process = field(&status(thread), "Tgid:")?.parse().ok()?;
        Some(Caller { thread, process: Pid::from_raw(process) })
    }

    /// Whether it is in another network namespace (network_namespaces(7)), whose addresses have nothing to do with ours. False
    /// where that cannot be seen.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net"));
        let theirs = network(&self.thread.to_string());
        matches!((network("self"), theirs), (Ok(ours), Ok(theirs)) if ours != theirs)
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

    /// A string of its memory, of at most PATH_MAX bytes.
    ///
    /// # Errors
    /// As [`Caller::memory`]; ENAMETOOLONG.
    pub fn text(&self, address: u64) -> nix::Result<OsString> {
        const PAGE: u64 = 4096;
        let mut text = Vec::new();
        while text.len() < 4096 {
            let from = address + text.len() as u64;
            // The page after the string's end may not be there.
            let more = self.memory(from, usize::try_from((PAGE - from % PAGE).min(256)).unwrap_or(1))?;
            let end = more.iter().position(|byte| *byte == 0);
            text.extend_from_slice(&more[..end.unwrap_or(more.len())]);
            if end.is_some() {
                return Ok(OsString::from_vec(text));
            }
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// Where a path of its leads, from its working directory or an open one. None where it sees other files than endless
    /// does: in a chroot(2), in another mount namespace.
    #[must_use]
    pub fn path(&self, from: Option<RawFd>, path: &Path) -> Option<PathBuf> {
        let thread = PathBuf::from(format!("/proc/{}", self.thread));
        let namespace = |of: &Path| fs::read_link(of.join("ns/mnt")).ok();
        if fs::read_link(thread.join("root")).ok()? != Path::new("/")
            || namespace(&thread) != namespace(Path::new("/proc/self"))
        {
            return None;
        }
        let base = match from {
            Some(number) => fs::read_link(format!("/proc/{}/fd/{number}", self.process)),
            None => fs::read_link(thread.join("cwd")),
        };
        let full = base.ok()?.join(path);
        Some(fs::canonicalize(full.parent()?).ok()?.join(full.file_name()?))
    }

    /// The mode bits it withholds from files it makes, and the user and group they get (/proc/PID/status, proc(5)).
    #[must_use]
    pub fn makes_files_as(&self) -> (u32, u32, u32) {
        let status = status(self.thread);
        let last = |name: &str| field(&status, name)?.split_whitespace().last()?.parse().ok();
        let umask = field(&status, "Umask:").and_then(|mask| u32::from_str_radix(mask, 8).ok());
        (umask.unwrap_or(0o077), last("Uid:").unwrap_or(u32::MAX), last("Gid:").unwrap_or(u32::MAX))
    }

    /// A descriptor of our own for the open file at a number of its process.
    ///
    /// # Errors
    /// EBADF when nothing is open there, EPERM without the right to trace the process or in some sandboxes.
    pub fn descriptor(&self, number: RawFd) -> nix::Result<OwnedFd> {
        let process = pidfd_open(self.process)?;
        pidfd_getfd(process.as_fd(), number)
    }

    /// The flags of the descriptor at a number of its process, O_CLOEXEC among them (/proc/PID/fdinfo, proc(5)).
    #[must_use]
    pub fn flags(&self, number: RawFd) -> OFlag {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.process)).unwrap_or_default();
        let flags = field(&info, "flags:").and_then(|flags| i32::from_str_radix(flags, 8).ok());
        OFlag::from_bits_retain(flags.unwrap_or(0))
    }

    /// The number of the socket at a number of its process, as /proc/PID/fd shows it.
    #[must_use]
    pub fn socket_number(&self, number: RawFd) -> Option<u64> {
        let target = readlink(self.link(number).as_c_str()).ok()?;
        inode(target.as_bytes()).map(u64::from)
    }

    /// The numbers of all sockets its process has open.
    #[must_use]
    pub fn sockets(&self) -> HashSet<u64> {
        let mut found = Vec::new();
        of_process(self.process, &mut found);
        found.into_iter().map(|open| u64::from(open.inode)).collect()
    }

    /// Whether what is open at a number of its process is in an epoll(7) set there (`tfd:` in /proc/PID/fdinfo, proc(5)).
    #[must_use]
    pub fn polls(&self, number: RawFd) -> bool {
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", self.process)) else { return false };
        let sets = open.flatten().filter(|one| fs::read_link(one.path()).is_ok_and(|to| to.as_os_str() == EPOLL));
        let held = |name: &OsString| {
            let info = fs::read_to_string(format!("/proc/{}/fdinfo/{}", self.process, name.display()));
            let of = |line: &str| line.strip_prefix("tfd:")?.split_whitespace().next()?.parse().ok();
            info.unwrap_or_default().lines().filter_map(of).any(|watched: RawFd| watched == number)
        };
        sets.map(|one| one.file_name()).any(|name| held(&name))
    }

    /// What the kernel calls the protocol of the socket at a number of its process: `TCP`, `TCPv6`, `UDP`, `UNIX-STREAM`.
    #[must_use]
    pub fn protocol(&self, number: RawFd) -> Option<String> {
        protocol_name(&self.link(number))
    }

    /// Whether it may bind this port, which need not be free (CAP_NET_BIND_SERVICE, capabilities(7)).
    #[must_use]
    pub fn may_bind(&self, port: u16) -> bool {
        const NET_BIND_SERVICE: u32 = 10;
        let least = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
        if port >= least.trim().parse().unwrap_or(1024) {
            return true;
        }
        let held = field(&status(self.thread), "CapEff:").and_then(|held| u64::from_str_radix(held, 16).ok());
        held.unwrap_or(0) >> NET_BIND_SERVICE & 1 == 1
    }

    /// What its process is called.
    #[must_use]
    pub fn program(&self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.process)).unwrap_or_default();
        name.trim_end().to_owned()
    }

    fn link(&self, number: RawFd) -> CString {
        CString::new(format!("/proc/{}/fd/{number}", self.process)).unwrap_or_default()
    }
}

/// What the kernel tells of a thread (/proc/PID/status, proc(5)); nothing when it is gone.
fn status(thread: Pid) -> String {
    fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default()
}

/// What stands behind this word at the beginning of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
