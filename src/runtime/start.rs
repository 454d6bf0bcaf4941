//! Starting a generation: seats, notify socket, hand-off, process.

use super::Runtime;
use super::capture::Capture;
use super::channels::Channels;
use super::clock;
use super::copy::{Copy, Main};
use super::readiness::{Known, Watch};
use crate::handoff::{self, Template};
use crate::notice::Notice;
use crate::plan::{Plan, build_environment, command};
use crate::spawn::{self, Launch, LaunchError, Tree};
use crate::supervisor::{Event, Seats};
use crate::words::{Failure, GenerationId};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What the child executes, ready for execve(2).
struct Image {
    program: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
    numbers: Vec<RawFd>,
    listen_pid: bool,
}

impl Runtime {
    /// Starts a generation, or says why not; both come back as events.
    pub(super) fn start(&mut self, generation: GenerationId, seats: Seats) {
        match self.try_start(generation, seats) {
            Ok(copy) => {
                self.pids.insert(generation, copy.tree.main().as_raw());
                self.copies.insert(generation, copy);
                self.tell(&Notice::Starting { generation });
                let known = Known {
                    expects: self.expects,
                    captures: self.captures(generation),
                    alone: self.supervisor.active().is_none(),
                };
                let watch = Watch::begin(&self.plan, generation, known, &mut self.listeners, clock::now());
                if let Some(copy) = self.copies.get_mut(&generation) {
                    copy.watch = Some(watch);
                }
            }
            Err(failure) => {
                self.events.push_back(Event::NotStarted(generation, failure));
                self.events.push_back(Event::Gone(generation));
            }
        }
    }

    fn try_start(&mut self, generation: GenerationId, seats: Seats) -> Result<Copy, Failure> {
        self.make_seats(generation, seats)?;
        let notify = match &self.notify_dir {
            Some(dir) => Some(dir.socket(generation).map_err(|errno| not_made("open a notify socket", errno as i32))?),
            None => None,
        };
        let before = self.supervisor.active();
        let (channels, theirs) = Channels::open(&self.plan, generation, before, self.notify_dir.as_ref(), &self.held)
            .map_err(|(step, errno)| not_made(step, errno as i32))?;
        let mut sockets: Vec<(OsString, OsString)> = Vec::new();
        sockets.extend(notify.as_ref().map(|notify| ("NOTIFY_SOCKET".into(), notify.path().as_os_str().to_owned())));
        sockets.extend(channels.ack_path().map(|path| ("EINHORN_SOCK_PATH".into(), path.as_os_str().to_owned())));
        let (image, left_out) = self.image(generation, sockets)?;
        if generation == GenerationId(1) {
            self.tell_all(left_out);
        }
        let seats = self.listeners.seats(generation);
        let mut fds: Vec<(BorrowedFd<'_>, RawFd)> = seats.into_iter().zip(image.numbers.iter().copied()).collect();
        fds.extend(theirs.iter().map(|(end, number)| (end.as_fd(), *number)));
        let launched = spawn::launch(&Launch {
            program: &image.program,
            argv: &image.argv,
            envp: &image.envp,
            listen_pid: image.listen_pid,
            fds: &fds,
            process: &self.plan.process,
            file_limit: self.file_limit,
            stop_signal: self.plan.retirement.stop_signal,
            inherited: &self.inherited,
            capture: self.plan.capture,
        })
        .map_err(|LaunchError { step, errno }| Failure::NotMade { step, errno })?;
        if let Some(report) = launched.calls {
            self.captures.insert(generation, Capture::Awaited(report));
        }
        Ok(Copy {
            generation,
            tree: Tree::new(launched.pid, generation),
            main: Main::Starting { report: launched.report, stop: None },
            notify,
            channels,
            watch: None,
            drain: None,
            progress: None,
            stopped: None,
            status: None,
            killed: false,
        })
    }

    fn make_seats(&mut self, generation: GenerationId, seats: Seats) -> Result<(), Failure> {
        if self.copies.is_empty() {
            self.listeners.reset_shared();
        }
        if let Some(active) = self.supervisor.active() {
            let notices = self.listeners.check_paths(active);
            self.tell_all(notices);
        }
        match seats {
            Seats::Of(ended) => self.listeners.move_seats(ended, generation),
            Seats::Fresh => {
                let made = self.listeners.make_seats(generation);
                made.map_err(|error| not_made(&error.step, error.errno))?;
            }
        }
        if self.supervisor.active().is_none() {
            // Nothing else serves: clients wait at these seats from now on.
            let notices = self.listeners.steer(generation);
            self.tell_all(notices);
        }
        Ok(())
    }

    /// The command, looked up again; its arguments and environment with everything about the listeners in them.
    fn image(
        &self,
        generation: GenerationId,
        sockets: Vec<(OsString, OsString)>,
    ) -> Result<(Image, Vec<Notice>), Failure> {
        let Plan { handoff: plan, listeners: specs, process, command, .. } = &self.plan;
        let numbers = plan.numbers(specs);
        let template = Template::new(plan, &self.held, &numbers, generation);
        let mut environment = build_environment(process, std::env::vars_os(), |text| template.expand(text))
            .map_err(|error| not_told(&error))?;
        let handed = handoff::prepare(plan, specs, &self.held, generation, &mut environment)
            .map_err(|error| not_told(&error))?;
        environment.extend(sockets);
        let program = self.program(&environment)?;
        let image = Image {
            program: c_string(program.as_os_str())?,
            argv: command.iter().map(|arg| c_string(&template.expand(arg))).collect::<Result<_, _>>()?,
            envp: environment.into_iter().map(variable).collect::<Result<_, _>>()?,
            numbers: handed.numbers,
            listen_pid: handed.listen_pid,
        };
        Ok((image, handed.notices))
    }

    /// Looked up in the PATH the target gets, as a shell would.
    fn program(&self, environment: &[(OsString, OsString)]) -> Result<PathBuf, Failure> {
        let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let chdir = self.plan.process.chdir.as_deref();
        let name = &self.plan.command[0];
        command::resolve(name, chdir, path).map_err(|error| Failure::NotExecuted {
            step: format!("execute {}", Path::new(name).display()),
            errno: error.errno(),
        })
    }
}

fn not_made(step: &str, errno: i32) -> Failure {
    Failure::NotMade { step: step.to_owned(), errno }
}

/// The target cannot be told what it is to be told. A failure is one line of the log, its hint in brackets.
fn not_told(error: &dyn std::fmt::Display) -> Failure {
    let text = error.to_string();
    let (reason, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
    not_made(&format!("make the environment: {reason} ({hint})"), 0)
}

fn c_string(text: &OsStr) -> Result<CString, Failure> {
    CString::new(text.as_bytes()).map_err(|_| not_made("pass a NUL byte in an argument or the environment", 0))
}

fn variable((name, value): (OsString, OsString)) -> Result<CString, Failure> {
    let mut text = name.into_vec();
    text.push(b'=');
    text.extend_from_slice(value.as_bytes());
    c_string(OsStr::from_bytes(&text))
}
