//! The new program is asked first whether it can read the state: a child that is given one and says yes, or why not.

use crate::plan::{Capture, EventsTo, ProcessSpec, StdinFrom};
use crate::runtime::{Runtime, clock};
use crate::spawn::{self, Launch};
use crate::words::{Exit, Moment, Sig, printable};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, pipe2};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

/// A program that has not answered by then does not.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where it finds the state.
const NUMBER: i32 = 3;
/// How the answers begin.
pub(super) const YES: &str = "takes over: yes";
pub(super) const NO: &str = "takes over: no: ";

/// The child.
#[derive(Debug)]
pub(in crate::runtime) struct Check {
    pid: Pid,
    answer: File,
    pub(super) deadline: Moment,
    late: bool,
}

impl Check {
    /// Starts it.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn start(runtime: &Runtime, program: &CString, envp: &[CString]) -> Result<Check, String> {
        let step = |what: &'static str| move |errno: Errno| format!("cannot {what}: {}", errno.desc());
        let written = runtime.written()?;
        let (answer, theirs) = pipe2(OFlag::O_CLOEXEC).map_err(step("make a pipe"))?;
        fcntl(&answer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(step("make a pipe"))?;
        let mut fds = vec![(theirs.as_fd(), 1), (theirs.as_fd(), 2), (written.state.as_fd(), NUMBER)];
        // The plans are checked there, too, and what they name has to be open.
        let events = match runtime.plan.files.events {
            Some(EventsTo::Descriptor(number)) => Some(number),
            _ => None,
        };
        let named: BTreeSet<i32> = runtime.plans.descriptors(&runtime.plan).chain(events).collect();
        let null = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
        fds.extend(named.into_iter().filter(|number| *number > NUMBER).map(|number| (null.as_fd(), number)));
        let number = CString::from(c"3");
        let argv = [CString::from(c"endless"), CString::from(c"--can-take-over"), number];
        let launched = spawn::launch(&Launch {
            program,
            argv: &argv,
            envp,
            listen_pid: false,
            fds: &fds,
            process: &ProcessSpec { stdin: StdinFrom::Null, ..ProcessSpec::default() },
            file_limit: None,
            stop_signal: Sig::TERM,
            inherited: &runtime.inherited,
            capture: Capture::Never,
            capture_removals: false,
        })
        .map_err(|error| error.to_string())?;
        if let Some(Err((step, errno))) = spawn::read_report(&launched.report) {
            return Err(format!("cannot {step}: {}", crate::words::reason(errno)));
        }
        Ok(Check { pid: launched.pid, answer: File::from(answer), deadline: clock::now() + PATIENCE, late: false })
    }

    /// Kills it, when it is late or not needed any more. Its end is told as any other.
    pub(super) fn kill(&mut self) {
        self.late = true;
        // Our child that leads this group was not reaped, so the number is nobody else's.
        let _ = killpg(self.pid, Signal::SIGKILL);
    }

    /// What it has answered, when it is the child that ended.
    pub(super) fn ended(&mut self, pid: Pid, exit: Exit) -> Option<Result<(), String>> {
        (self.pid == pid).then(|| self.verdict(exit))
    }

    fn verdict(&mut self, exit: Exit) -> Result<(), String> {
        // What is in the pipe; should somebody else have it open, no more is waited for.
        let mut text = Vec::new();
        let _ = self.answer.read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        match last.strip_prefix(NO) {
            Some(why) => Err(why.to_owned()),
            None if last == YES && exit.clean() => Ok(()),
            None if self.late => {
                Err(format!("the new program did not answer within {}", humantime::format_duration(PATIENCE)))
            }
            None if last.is_empty() => Err(format!("the new program did not say that it can take over ({exit})")),
            None => {
                let said: String = printable(last).chars().take(200).collect();
                Err(format!("the new program did not say that it can take over ({exit}): {said}"))
            }
        }
    }

    /// Whether its time is over.
    pub(super) fn overdue(&self, now: Moment) -> bool {
        !self.late && self.deadline <= now
    }

    /// When that is.
    pub(super) fn next(&self) -> Option<Moment> {
        (!self.late).then_some(self.deadline)
    }
}
