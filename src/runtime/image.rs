//! What a child executes: the command looked up, its arguments and environment with everything about the listeners in them.

use super::Runtime;
use crate::handoff::{self, Template};
use crate::notice::Notice;
use crate::plan::{Error, Plan, ReadyMode, build_environment, command};
use crate::words::{Failure, GenerationId};
use std::ffi::{CString, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// An environment, or a part of one.
pub type Variables = Vec<(OsString, OsString)>;

/// Ready for execve(2).
pub struct Image {
    /// The file.
    pub program: CString,
    /// Its arguments.
    pub argv: Vec<CString>,
    /// Its environment.
    pub envp: Vec<CString>,
    /// The numbers of the listeners' descriptors.
    pub numbers: Vec<RawFd>,
    /// The numbers of what copies have left.
    pub stored: Vec<RawFd>,
    /// Whether LISTEN_PID is added.
    pub listen_pid: bool,
    /// The command that says when the copy serves, and the environment once more, in which it is run.
    pub check: Option<(String, Variables)>,
    /// What could not be said to the target.
    pub left_out: Vec<Notice>,
}

impl Runtime {
    /// Made anew for every copy. `extra`: variables about what only this copy has.
    pub(super) fn image(&self, generation: GenerationId, extra: Variables) -> Result<Image, Failure> {
        let Plan { handoff: plan, listeners: specs, process, command, .. } = &*self.plan;
        let numbers = plan.numbers(specs);
        let template = Template::new(plan, &self.held, &numbers, generation);
        let mut environment = build_environment(process, std::env::vars_os(), |text| template.expand(text))
            .map_err(|error| not_told(&error))?;
        let handed = handoff::prepare(plan, specs, &self.held, generation, &self.fd_store.names(), &mut environment)
            .map_err(|error| not_told(&error))?;
        // Theirs alone, whatever a file of variables says: getenv(3) finds the first of a name.
        let own = |name: &OsString| {
            name == "WATCHDOG_PID"
                || handed.listen_pid && name == "LISTEN_PID"
                || extra.iter().any(|(one, _)| one == name)
        };
        environment.retain(|(name, _)| !own(name));
        environment.extend(extra);
        let program = self.program(&environment)?;
        let check = match &self.plan.readiness.mode {
            ReadyMode::Exec(command) => Some((command.clone(), environment.clone())),
            _ => None,
        };
        Ok(Image {
            program: c_string(program.into_os_string().into_vec())?,
            argv: command.iter().map(|arg| c_string(template.expand(arg).into_vec())).collect::<Result<_, _>>()?,
            check,
            envp: environment.into_iter().map(variable).collect::<Result<_, _>>()?,
            numbers: handed.numbers,
            stored: handed.stored,
            listen_pid: handed.listen_pid,
            left_out: handed.notices,
        })
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

/// The target cannot be told what it is to be told. A failure is one line of the log, its hint in brackets.
fn not_told(error: &Error) -> Failure {
    let text = error.to_string();
    let (reason, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
    Failure::NotMade { step: format!("make the environment: {reason} ({hint})"), errno: 0 }
}

fn c_string(text: Vec<u8>) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| {
        let step = "pass a NUL byte in an argument or the environment".to_owned();
        Failure::NotMade { step, errno: 0 }
    })
}

fn variable((name, value): (OsString, OsString)) -> Result<CString, Failure> {
    let mut text = Vec::with_capacity(name.len() + value.len() + 2);
    text.extend_from_slice(name.as_bytes());
    text.push(b'=');
    text.extend_from_slice(value.as_bytes());
    c_string(text)
}
