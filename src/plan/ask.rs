//! What `endless status`, `restart`, `stop`, `hammer`, `signal` and `upgrade` ask for.

use super::error::{Error, Fault};
use super::{listener, value};
use crate::cli::{ClientArgs, RestartArgs, Whom};
use crate::control::{self, Until};
use crate::words::Sig;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One question or order to a running endless, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// Its name.
    pub name: Option<String>,
    /// Its socket, where it is not in the usual place.
    pub control: Option<PathBuf>,
    /// What is asked.
    pub task: Task,
    /// How long it is waited for.
    pub timeout: Option<Duration>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// `status`.
    Status {
        /// `--json`.
        json: bool,
        /// `--watch`.
        watch: bool,
    },
    /// `restart`.
    Restart(Until),
    /// `stop`.
    Stop,
    /// `hammer`.
    Hammer,
    /// `upgrade`.
    Upgrade,
    /// `signal`.
    Signal(Sig),
    /// `restart` and `stop` by the files, as Server::Starter does it.
    Starter(Starter),
}

/// The way without a control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// Whom to send the signal to.
    pub pid_file: PathBuf,
    /// Where to see the end of a restart; None for a stop.
    pub status_file: Option<PathBuf>,
    /// A restart is waited for until this.
    pub until: Until,
}

impl Asking {
    /// Reads the arguments of a subcommand.
    ///
    /// # Errors
    /// The first value that is wrong.
    pub fn new(args: &ClientArgs) -> Result<Asking, Error> {
        let (whom, task, timeout) = match args {
            ClientArgs::Status(args) => (&args.whom, Task::Status { json: args.json, watch: args.watch }, &None),
            ClientArgs::Restart(args) => (&args.whom, restart(args), &args.timeout),
            ClientArgs::Stop(args) => {
                let by_file = args.pid_file.as_ref().map(|pid_file| {
                    Task::Starter(Starter { pid_file: pid_file.clone(), status_file: None, until: Until::default() })
                });
                (&args.whom, by_file.unwrap_or(Task::Stop), &args.timeout)
            }
            ClientArgs::Hammer(args) => (&args.whom, Task::Hammer, &args.timeout),
            ClientArgs::Upgrade(args) => (&args.whom, Task::Upgrade, &args.timeout),
            ClientArgs::Signal(args) => {
                let signal = value::signal(&args.signal).map_err(|fault| fault.at("SIGNAL", &args.signal))?;
                (&args.whom, Task::Signal(signal), &args.timeout)
            }
        };
        let timeout = value::or("--timeout", timeout.as_deref(), None, value::duration_or_never)?;
        let variable = std::env::var_os("ENDLESS_CONTROL").filter(|_| !matches!(task, Task::Starter(_)));
        let (name, control) = reach(whom, variable)?;
        Ok(Asking { name, control, task, timeout })
    }
}

fn restart(args: &RestartArgs) -> Task {
    let until = match (args.active, args.drained) {
        (true, _) => Until::Active,
        (_, true) => Until::Drained,
        _ => Until::Proven,
    };
    match &args.pid_file {
        None => Task::Restart(until),
        Some(pid_file) => {
            Task::Starter(Starter { pid_file: pid_file.clone(), status_file: args.status_file.clone(), until })
        }
    }
}

/// What is typed wins: the variable counts where no name is, or where it is that of the socket.
fn reach(whom: &Whom, variable: Option<OsString>) -> Result<(Option<String>, Option<PathBuf>), Error> {
    if let Some(name) = whom.name.as_ref().filter(|name| !listener::text::is_name(name)) {
        let fault = Fault::new("this cannot be a name", "the NAME that `endless status` shows");
        return Err(fault.at("NAME", name));
    }
    let variable = variable.filter(|path| !path.is_empty()).map(PathBuf::from);
    let meant = |path: &PathBuf| whom.name.is_none() || control::name_of(path) == whom.name.as_deref();
    let control = whom.control.clone().or(variable.filter(meant));
    if control.as_deref() == Some(Path::new("none")) {
        let fault = Fault::new("nobody listens there", "the path of a control socket, or take it away");
        return Err(fault.at("--control", "none"));
    }
    Ok((whom.name.clone(), control))
}
