//! The notify socket of a generation, and the datagrams that arrive on it (sd_notify(3)).
//!
//! One socket for each generation tells for which one somebody speaks: the sender's pid cannot (systemd-notify sends its
//! parent's). Descriptors that come along and are not kept are closed at once: that answers a BARRIER.

use super::sender::Sender;
use crate::supervisor::Word;
use crate::sys::socket::{Datagram, receive};
use crate::words::printable;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, setsockopt, socket, sockopt};
use nix::sys::stat::{Mode, umask};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// RELOADING=1: it reads its configuration again.
    Reloading,
    /// ERRNO=…: what went wrong.
    Errno(i32),
    /// MAINPID=…: its main process is this one.
    MainPid(i32),
    /// WATCHDOG=…, WATCHDOG_USEC=…, EXTEND_TIMEOUT_USEC=….
    Word(Word),
    /// FDSTORE=1: the descriptors that came along are to be kept under this name; `watched`: until they hang up.
    Store {
        /// FDNAME=…
        name: String,
        /// False with FDPOLL=0.
        watched: bool,
    },
    /// FDSTOREREMOVE=1: the descriptors of this name are to be closed.
    Unstore(String),
}

/// The name of descriptors that were given none.
const UNNAMED: &str = "stored";

/// Reads one datagram: `KEY=VALUE` lines, unknown ones skipped, a final newline or none.
#[must_use]
pub fn parse(datagram: &[u8]) -> Vec<Said> {
    let text = String::from_utf8_lossy(datagram);
    let pairs: Vec<(&str, &str)> = text.split('\n').filter_map(|line| line.split_once('=')).collect();
    let value = |key| pairs.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    let name = value("FDNAME").filter(|name| is_fd_name(name)).unwrap_or(UNNAMED);
    pairs.iter().filter_map(|(key, value)| said(key, value, name, &pairs)).collect()
}

fn said(key: &str, value: &str, name: &str, all: &[(&str, &str)]) -> Option<Said> {
    let micros = || value.parse().ok().map(Duration::from_micros);
    Some(match (key, value) {
        ("READY", "1") => Said::Ready,
        ("STOPPING", "1") => Said::Stopping,
        ("RELOADING", "1") => Said::Reloading,
        ("STATUS", text) => Said::Status(printable(text)),
        ("ERRNO", number) => Said::Errno(number.parse().ok()?),
        ("MAINPID", pid) => Said::MainPid(pid.parse().ok()?),
        ("WATCHDOG", "1") => Said::Word(Word::Alive),
        ("WATCHDOG", "trigger") => Said::Word(Word::Stuck),
        ("WATCHDOG_USEC", _) => Said::Word(Word::AliveEvery(micros().filter(|interval| !interval.is_zero())?)),
        ("EXTEND_TIMEOUT_USEC", _) => Said::Word(Word::MoreTime(micros()?)),
        ("FDSTORE", "1") => Said::Store { name: name.to_owned(), watched: !all.contains(&("FDPOLL", "0")) },
        ("FDSTOREREMOVE", "1") => Said::Unstore(name.to_owned()),
        _ => return None,
    })
}

/// At most 255 printable ASCII characters without `:` (sd_pid_notify_with_fds(3)).
fn is_fd_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':')
}

/// One datagram, read.
#[derive(Debug)]
pub struct Message {
    /// Who sent it.
    pub sender: Sender,
    /// What it says.
    pub said: Vec<Said>,
    /// What came along.
    pub fds: Vec<OwnedFd>,
}

/// With a mode that is exactly the one asked for. chmod(2) afterwards would be one more write to a file system.
fn without_umask<T>(make: impl FnOnce() -> T) -> T {
    let before = umask(Mode::empty());
    let made = make();
    umask(before);
    made
}

/// A datagram socket at a path; unlinked when dropped.
#[derive(Debug, Serialize, Deserialize)]
pub struct NotifySocket {
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
}

impl NotifySocket {
    pub(super) fn bind(path: PathBuf) -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        let address = UnixAddr::new(&path)?;
        // The copy may run as somebody else; who has sent something is looked at.
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
    pub fn take(&self) -> Vec<Message> {
        let mut all = Vec::new();
        let mut text = [0u8; LONGEST];
        while let Ok(Datagram { length, sender, fds }) = receive(self.socket.as_fd(), &mut text) {
            let (pid, uid) = sender.unwrap_or((0, u32::MAX));
            all.push(Message { sender: Sender { pid, uid }, said: parse(&text[..length]), fds });
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
        assert_eq!(said, [Said::Status("warm".into()), Said::Ready, Said::Word(Word::Alive)]);
    }

    #[test]
    fn descriptors_have_a_name_and_are_watched() {
        let stored = |name: &str, watched| Said::Store { name: name.to_owned(), watched };
        assert_eq!(parse(b"FDSTORE=1\nFDNAME=db"), [stored("db", true)]);
        assert_eq!(parse(b"FDNAME=a:b\nFDPOLL=0\nFDSTORE=1"), [stored("stored", false)]);
        assert_eq!(parse(b"FDSTOREREMOVE=1\nFDNAME=db"), [Said::Unstore("db".into())]);
    }

    #[test]
    fn numbers_that_are_none_say_nothing() {
        let second = Duration::from_secs(1);
        assert_eq!(parse(b"EXTEND_TIMEOUT_USEC=1000000"), [Said::Word(Word::MoreTime(second))]);
        assert_eq!(parse(b"WATCHDOG_USEC=1000000"), [Said::Word(Word::AliveEvery(second))]);
        assert!(parse(b"EXTEND_TIMEOUT_USEC=-1\nWATCHDOG_USEC=0\nMAINPID=x\nERRNO=\nBARRIER=1").is_empty());
    }

    #[test]
    fn nothing_forged_reaches_the_log() {
        assert_eq!(parse(b"STATUS=a\rb\x1b[2J"), [Said::Status("a\u{fffd}b\u{fffd}[2J".into())]);
        assert!(parse(b"").is_empty() && parse(b"\xff\xfe=\n==\nREADY=0").is_empty());
    }
}
