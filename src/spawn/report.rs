//! What a child that could not become the target tells: the step and the error number, through a close-on-exec pipe.
//!
//! On the wire: four bytes of errno in the machine's order, then the step as text, in one write. An end of file without
//! them means that the target was executed, or that the child was killed, which its exit tells.

use crate::plan::limit_name;
use crate::words::{CODE_FAILURE, CODE_NOT_EXECUTABLE, CODE_NOT_FOUND, Sig};
use nix::errno::Errno;
use nix::unistd::{read, write};
use std::ffi::{CStr, OsStr};
use std::fmt::{self, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest message; a longer step is cut. Less than PIPE_BUF, so a write is whole (pipe(7)).
const LONGEST: usize = 1024;
const ERRNO: usize = size_of::<i32>();

/// The steps of the child that can fail.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Group,
    Descriptor(RawFd),
    Stdin,
    Limit(u32),
    Niceness(i32),
    Directory(&'a CStr),
    Groups,
    GroupId(u32),
    User(u32),
    Proof,
    NoNewPrivileges,
    DeathSignal(Sig),
    Execute(&'a CStr),
}

impl<'a> Step<'a> {
    /// How the last step begins; exit statuses go by it.
    pub(super) const EXECUTE: &'static str = "execute";

    pub(super) fn failed(self) -> impl FnOnce(Errno) -> Failed<'a> {
        move |errno| Failed { step: self, errno }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Group => write!(f, "make a process group"),
            Step::Descriptor(fd) => write!(f, "put descriptor {fd} in place"),
            Step::Stdin => write!(f, "open /dev/null as standard input"),
            Step::Limit(resource) => write!(f, "set the limit of {}", limit_name(*resource)),
            Step::Niceness(more) => write!(f, "add {more} to the niceness"),
            Step::Directory(path) => write!(f, "change the directory to {}", shown(path)),
            Step::Groups => write!(f, "set the supplementary groups"),
            Step::GroupId(gid) => write!(f, "become group {gid}"),
            Step::User(uid) => write!(f, "become user {uid}"),
            Step::Proof => write!(f, "give up root for good"),
            Step::NoNewPrivileges => write!(f, "set no_new_privs"),
            // Not Sig's own Display, which allocates.
            Step::DeathSignal(signal) => write!(f, "ask for signal {} at the end of endless", signal.0),
            Step::Execute(program) => write!(f, "{} {}", Self::EXECUTE, shown(program)),
        }
    }
}

fn shown(path: &CStr) -> std::path::Display<'_> {
    Path::new(OsStr::from_bytes(path.to_bytes())).display()
}

/// A step that failed, and why.
#[derive(Debug)]
pub(super) struct Failed<'a> {
    step: Step<'a>,
    errno: Errno,
}

impl Failed<'_> {
    /// Writes it to the pipe. Allocates nothing. That nobody reads any more is no matter.
    pub(super) fn send(&self, pipe: &OwnedFd) {
        let mut message = Message { bytes: [0; LONGEST], length: ERRNO };
        message.bytes[..ERRNO].copy_from_slice(&(self.errno as i32).to_ne_bytes());
        let _ = write!(message, "{}", self.step);
        let _ = write(pipe, &message.bytes[..message.length]);
    }

    /// The child's exit status: 127 not found, 126 not executable, 125 anything else.
    pub(super) fn exit_code(&self) -> u8 {
        match (self.step, self.errno) {
            (Step::Execute(_), Errno::ENOENT) => CODE_NOT_FOUND,
            (Step::Execute(_), _) => CODE_NOT_EXECUTABLE,
            _ => CODE_FAILURE,
        }
    }
}

struct Message {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

/// Reads a report. None: nothing yet. `Ok`: the target was executed (or the child was killed before it could tell).
/// `Err`: the step that failed, as a verb phrase, and its errno.
pub fn read_report(report: impl AsFd) -> Option<Result<(), (String, i32)>> {
    let mut message = [0; LONGEST];
    let length = loop {
        match read(&report, &mut message) {
            Ok(length) => break length,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return None,
            Err(errno) => return Some(Err(("read the child's report".to_owned(), errno as i32))),
        }
    };
    let Some((errno, step)) = message[..length].split_first_chunk::<ERRNO>() else { return Some(Ok(())) };
    Some(Err((String::from_utf8_lossy(step).into_owned(), i32::from_ne_bytes(*errno))))
}
