//! Ending keep-alive connections between requests (`--drain soft`).
//!
//! endless takes the server's own descriptor of a quiet connection (pidfd_getfd(2)) and shuts its reading side down: the
//! server reads the end, as if the client had closed, and closes. The client is told by that close, as at a keep-alive timeout.

use super::connection::Phase;
use super::diag::Diag;
use super::drain::{DrainWatch, Old};
use crate::sys::process::{pidfd_getfd, pidfd_open};
use crate::words::{Moment, OpenSocket};
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::stat::fstat;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// A server that has not closed by then does not take the hint.
const TIME_TO_CLOSE: Duration = Duration::from_millis(200);

/// A client that pauses asks again some time: best is the beginning of a pause, or one that lasts.
const EARLY: Duration = Duration::from_millis(20);
const LASTING: Duration = Duration::from_millis(100);
/// Where a socket is not found in the processes for this long, nobody may look into them.
const TIME_TO_FIND: Duration = Duration::from_secs(2);

/// What was done about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum HalfClose {
    /// Nothing yet.
    Not,
    /// Its reading side was shut down then.
    Done(Moment),
    /// It cannot be.
    Impossible,
}

impl DrainWatch {
    /// How many quiet connections were not tried yet: whether it is worth while to look for their descriptors.
    #[must_use]
    pub fn closable(&self) -> usize {
        self.old().filter(|old| old.phase == Phase::Quiet && old.half_close == HalfClose::Not).count()
    }

    /// True while a server is expected to close connections that were closed halfway.
    #[must_use]
    pub fn closing(&self, now: Moment) -> bool {
        let lately = |old: &Old| matches!(old.half_close, HalfClose::Done(at) if now.since(at) < TIME_TO_CLOSE);
        self.old().any(lately)
    }

    /// Shuts down the reading side of every connection that is quiet still, where the server has it open. `open` is what the
    /// generation's processes have open.
    ///
    /// # Errors
    /// Why it is not possible: EPERM where the process may not be looked into, ENOSYS before Linux 5.6. The other
    /// connections were tried.
    pub fn half_close(&mut self, now: Moment, patience: Duration, open: &[OpenSocket]) -> Result<(), Errno> {
        let Some((diag, old)) = self.parts() else { return Ok(()) };
        let open: HashMap<u32, OpenSocket> = open.iter().map(|open| (open.inode, *open)).collect();
        let mut processes = HashMap::new();
        let mut refused = Ok(());
        for old in old.iter_mut().filter(|old| old.phase == Phase::Quiet && old.half_close == HalfClose::Not) {
            let Some(open) = open.get(&old.inode) else {
                if old.watched(now) >= TIME_TO_FIND {
                    old.half_close = HalfClose::Impossible;
                }
                continue;
            };
            match descriptor(&mut processes, open) {
                Ok(socket) if still_quiet(diag, old, patience) => {
                    old.half_close = HalfClose::Done(now);
                    // ENOTCONN: it was closed this moment.
                    shutdown(socket.as_raw_fd(), Shutdown::Read).ok();
                }
                Ok(_) => {}
                // It was closed, or the process has ended.
                Err(Errno::EBADF | Errno::ESRCH) => {}
                Err(errno) => {
                    old.half_close = HalfClose::Impossible;
                    refused = Err(errno);
                }
            }
        }
        refused
    }
}

/// The socket itself. EBADF when the number is something else by now.
fn descriptor(processes: &mut HashMap<i32, OwnedFd>, open: &OpenSocket) -> Result<OwnedFd, Errno> {
    let process = match processes.entry(open.pid) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => new.insert(pidfd_open(Pid::from_raw(open.pid))?),
    };
    let socket = pidfd_getfd(process.as_fd(), open.fd)?;
    if fstat(&socket)?.st_ino == u64::from(open.inode) { Ok(socket) } else { Err(Errno::EBADF) }
}

fn still_quiet(diag: &Diag, old: &Old, patience: Duration) -> bool {
    let Ok(Some(now)) = diag.connection(&old.id) else { return false };
    old.still_quiet(&now, patience) && (now.silence() <= EARLY || now.silence() >= LASTING)
}
