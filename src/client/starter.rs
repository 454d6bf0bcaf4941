//! Server::Starter's way: a pid file, a status file and signals, without a control socket. It works with endless and with
//! start_server(1).
//!
//! A restart is over when the status file shows nothing older than the generation that was to come, so one that was
//! skipped by a failed attempt, or overtaken by another restart, ends the waiting too. endless writes the file again,
//! unchanged, some time after any change, when a restart has failed and no other follows.

use super::connection::poll_timeout;
use super::{Error, tell};
use crate::control::Until;
use crate::plan::Starter;
use crate::sys::clock;
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use crate::words::{Moment, Sig};
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The pause between two looks at the status file.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn run(starter: &Starter, timeout: Option<Duration>) -> Result<(), Error> {
    let until = timeout.map(|timeout| clock::now() + timeout);
    let late = |what: &str| {
        let timeout = humantime::format_duration(timeout.unwrap_or_default());
        Error::not_done(format!("{what}: not done after {timeout} (--timeout); it goes on"))
    };
    let launcher = Launcher::of(&starter.pid_file)?;
    let Some(status_file) = &starter.status_file else {
        launcher.signal(Sig::TERM)?;
        return if launcher.ended(until) { print_done("it has stopped") } else { Err(late("stop")) };
    };
    let mut last = Look::at(status_file)?;
    let target = last.newest + 1;
    launcher.signal(Sig::HUP)?;
    loop {
        let now = Look::at(status_file).unwrap_or_else(|_| last.clone());
        let reached = if starter.until == Until::Active { now.newest } else { now.oldest };
        if reached >= target {
            return print_done(&format!("generation {} serves", now.newest));
        }
        if now.inode != last.inode && now.lines == last.lines {
            return Err(Error::not_done("restart failed: the new copy did not come to serve; the log says why"));
        }
        last = now;
        if until.is_some_and(|until| until <= clock::now()) {
            return Err(late("restart"));
        }
        if launcher.ended(Some(clock::now() + PAUSE)) {
            return Err(Error::not_done("restart failed: the launcher has ended"));
        }
    }
}

fn print_done(what: &str) -> Result<(), Error> {
    tell(&format!("{what}\n"));
    Ok(())
}

/// What a status file shows at one moment.
#[derive(Debug, Clone)]
struct Look {
    inode: u64,
    lines: String,
    newest: u64,
    oldest: u64,
}

impl Look {
    fn at(path: &Path) -> Result<Look, Error> {
        let failed = |why: String| Error::not_done(format!("--status-file {}: {why}", path.display()));
        // Both of one file: another may take its place between two looks at the path.
        let read = || {
            let mut file = File::open(path)?;
            let mut lines = String::new();
            file.read_to_string(&mut lines)?;
            Ok((file.metadata()?.ino(), lines))
        };
        let (inode, lines) = read().map_err(|error: std::io::Error| failed(error.to_string()))?;
        let generations = lines.lines().map(|line| line.split(':').next().unwrap_or_default().parse::<u64>());
        let generations: Vec<u64> =
            generations.collect::<Result<_, _>>().map_err(|_| failed("this is no status file".to_owned()))?;
        let newest = generations.iter().max().copied().unwrap_or(0);
        Ok(Look { inode, newest, oldest: generations.iter().min().copied().unwrap_or(0), lines })
    }
}

/// The process a pid file names.
struct Launcher {
    process: OwnedFd,
}

impl Launcher {
    /// A file that nobody has locked was left behind, and its pid may be anybody's.
    fn of(pid_file: &Path) -> Result<Launcher, Error> {
        let failed = |why: &str| Error::not_done(format!("--pid-file {}: {why}", pid_file.display()));
        let text = fs::read_to_string(pid_file).map_err(|error| failed(&error.to_string()))?;
        let pid: i32 = text.trim().parse().map_err(|_| failed("there is no pid in it"))?;
        let file = File::open(pid_file).map_err(|error| failed(&error.to_string()))?;
        let process = pidfd_open(Pid::from_raw(pid)).map_err(|_| failed("it is not running"))?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => Err(failed("it is not running: nobody has locked the file")),
            Err(_) => Ok(Launcher { process }),
        }
    }

    fn signal(&self, signal: Sig) -> Result<(), Error> {
        pidfd_send_signal(self.process.as_fd(), signal.0)
            .map_err(|errno| Error::not_done(format!("{signal} cannot be sent: {}", errno.desc())))
    }

    /// Waits for its end. False when `until` has come first.
    fn ended(&self, until: Option<Moment>) -> bool {
        loop {
            let left = until.map(|until| until.since(clock::now()));
            let looked = poll(&mut [PollFd::new(self.process.as_fd(), PollFlags::POLLIN)], poll_timeout(left));
            match looked {
                Ok(1..) => return true,
                _ if left == Some(Duration::ZERO) => return false,
                _ => {}
            }
        }
    }
}
