//! The notify socket of a generation, and the datagrams that arrive on it (sd_notify(3)).
//!
//! One socket for each generation tells who speaks: the sender's pid cannot (systemd-notify sends its parent's).
//! Descriptors that come along are closed by the kernel, because no room for them is offered: that answers a BARRIER.

use crate::words::GenerationId;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, recv, socket};
use nix::sys::stat::{Mode, umask};
use std::fs::DirBuilder;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The longest datagram that is read; longer ones lose their end.
const LONGEST: usize = 4096;

/// One thing a copy said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// READY=1: it serves.
    Ready,
    /// STATUS=…: a line for people.
    Status(String),
    /// STOPPING=1: it is on its way out.
    Stopping,
}

/// Reads one datagram: `KEY=VALUE` lines, unknown ones skipped, a final newline or none.
#[must_use]
pub fn parse(datagram: &[u8]) -> Vec<Said> {
    let lines = datagram.split(|byte| *byte == b'\n');
    lines.filter_map(|line| said(&String::from_utf8_lossy(line))).collect()
}

fn said(line: &str) -> Option<Said> {
    match line.split_once('=')? {
        ("READY", "1") => Some(Said::Ready),
        ("STOPPING", "1") => Some(Said::Stopping),
        ("STATUS", text) => Some(Said::Status(printable(text))),
        _ => None,
    }
}

/// A copy's words go into our log: no control characters, no forged lines.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The private directory of the notify sockets; removed with everything in it at the end.
#[derive(Debug)]
pub struct NotifyDir {
    path: PathBuf,
}

impl NotifyDir {
    /// Makes it in XDG_RUNTIME_DIR, /run or the directory for temporary files, the first that can be written. It can be
    /// entered by everybody, because a copy may run as somebody else, and listed by nobody. Copies that do (`strangers`)
    /// could not enter XDG_RUNTIME_DIR, which is its owner's alone.
    ///
    /// # Errors
    /// The last reason, when none of them can be written.
    pub fn make(strangers: bool) -> std::io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !strangers).map(PathBuf::from);
        let runtime = runtime.filter(|path| path.is_absolute());
        let places = runtime.into_iter().chain([PathBuf::from("/run"), std::env::temp_dir()]);
        let mut last = std::io::ErrorKind::NotFound.into();
        for place in places {
            let path = place.join(format!("endless-{}", std::process::id()));
            match make_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where things of this directory are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket for one generation.
    ///
    /// # Errors
    /// Whatever socket(2) or bind(2) answer.
    pub fn socket(&self, generation: GenerationId) -> nix::Result<NotifySocket> {
        NotifySocket::bind(self.path.join(generation.to_string()))
    }
}

/// A directory left by an endless that was killed and had the same pid is emptied and used again.
fn make_dir(path: &Path) -> std::io::Result<()> {
    let make = || without_umask(|| DirBuilder::new().mode(0o711).create(path));
    match make() {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::remove_dir_all(path)?;
            make()
        }
        made => made,
    }
}

/// With a mode that is exactly the one asked for. chmod(2) afterwards would be one more write to a file system.
fn without_umask<T>(make: impl FnOnce() -> T) -> T {
    let before = umask(Mode::empty());
    let made = make();
    umask(before);
    made
}

impl Drop for NotifyDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A datagram socket at a path; unlinked when dropped.
#[derive(Debug)]
pub struct NotifySocket {
    socket: OwnedFd,
    path: PathBuf,
}

impl NotifySocket {
    fn bind(path: PathBuf) -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        let address = UnixAddr::new(&path)?;
        // The copy may run as somebody else; the directory's name is what keeps strangers out.
        without_umask(|| bind(socket.as_raw_fd(), &address))?;
        Ok(Self { socket, path })
    }

    /// What NOTIFY_SOCKET says.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that arrived. Never blocks.
    #[must_use]
    pub fn take(&self) -> Vec<Said> {
        let mut all = Vec::new();
        let mut datagram = [0u8; LONGEST];
        while let Ok(length) = recv(self.socket.as_raw_fd(), &mut datagram, MsgFlags::MSG_DONTWAIT) {
            all.extend(parse(&datagram[..length]));
        }
        all
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_lines_and_a_final_newline() {
        let said = parse(b"STATUS=warm\nREADY=1\nX-FOO\nWATCHDOG=1\n");
        assert_eq!(said, [Said::Status("warm".into()), Said::Ready]);
    }

    #[test]
    fn nothing_forged_reaches_the_log() {
        assert_eq!(parse(b"STATUS=a\rb\x1b[2J"), [Said::Status("a\u{fffd}b\u{fffd}[2J".into())]);
        assert!(parse(b"").is_empty() && parse(b"\xff\xfe=\n==\nREADY=0").is_empty());
    }
}
