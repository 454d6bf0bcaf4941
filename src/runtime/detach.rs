//! `--detach`: whoever started endless waits on a pipe until the first generation serves or has failed.

use super::Runtime;
use crate::notice::Notice;
use crate::sys::process;
use crate::words::CODE_FAILURE;
use anyhow::{Context, Result};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

/// Goes on as a child in a session of its own. Returns the exit status for whoever waits: 0 when the first generation
/// serves, else that of the child, whose reason is printed.
///
/// # Errors
/// When there can be no pipe or no child.
pub fn detach(go_on: impl FnOnce(OwnedFd) -> u8) -> Result<u8> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).context("--detach: cannot make a pipe")?;
    let mut read = File::from(read);
    let child = process::fork(move || {
        // A child is never the leader of a process group, so this cannot fail.
        let _ = setsid();
        go_on(write)
    })
    .context("--detach: cannot fork")?;
    let mut said = Vec::new();
    read.read_to_end(&mut said).context("--detach: cannot wait")?;
    match said.split_first() {
        Some((code, reason)) => {
            let _ = std::io::stderr().write_all(reason);
            if *code != 0 {
                // Until it has let go of its files and addresses.
                let _ = waitpid(child, None);
            }
            Ok(*code)
        }
        None => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => Ok(u8::try_from(code).unwrap_or(CODE_FAILURE)),
            _ => Ok(CODE_FAILURE),
        },
    }
}

/// Lets go of the terminal, or whatever else standard input, output and error are.
///
/// # Errors
/// When /dev/null cannot be opened.
pub fn let_go() -> Result<()> {
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).context("/dev/null")?;
    dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null)).context("/dev/null")?;
    Ok(())
}

impl Runtime {
    /// The first generation serves.
    pub(super) fn tell_waiting_ready(&mut self, notice: &Notice) {
        if let (Some(waiting), Notice::Ready { .. }) = (&self.waiting, notice) {
            let _ = nix::unistd::write(waiting, &[0]);
            self.waiting = None;
        }
    }

    /// It never did: also where somebody has stopped endless before, which is no failure of endless, but is one of the start.
    pub(super) fn tell_waiting_failed(&mut self, code: u8) {
        if let Some(waiting) = self.waiting.take() {
            let reason = self.decided.as_ref().map_or("it did not come to serve", |decided| &*decided.reason);
            let mut text = vec![if code == 0 { CODE_FAILURE } else { code }];
            text.extend_from_slice(format!("endless: the first copy failed: {reason}\n").as_bytes());
            let _ = File::from(waiting).write_all(&text);
        }
    }
}
