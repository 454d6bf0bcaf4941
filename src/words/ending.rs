//! How things end: processes, attempts, and endless itself.

use super::Sig;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How a process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this status, 0 to 255.
    Code(u8),
    /// This signal ended it.
    Signal(Sig),
}

impl Exit {
    /// The status a shell would show: the code, or 128 + the signal's number.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128u8.saturating_add(u8::try_from(signal.0).unwrap_or(127)),
        }
    }

    /// True for status 0.
    #[must_use]
    pub fn clean(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "killed by {signal}"),
        }
    }
}

/// What an error number means, as strerror(3) has it.
#[must_use]
pub fn reason(errno: i32) -> &'static str {
    match nix::errno::Errno::from_raw(errno) {
        nix::errno::Errno::EAGAIN => "Resource temporarily unavailable",
        other => other.desc(),
    }
}

/// endless' own failure (as in env(1) and timeout(1)).
pub const CODE_FAILURE: u8 = 125;
/// The command was found and cannot be executed.
pub const CODE_NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const CODE_NOT_FOUND: u8 = 127;
/// The hammer was needed for the active generation.
pub const CODE_HAMMERED: u8 = 137;
/// Wrong use: bad flags or values.
pub const CODE_USAGE: u8 = 2;

/// Why a generation did not come to serve, or an asked-for restart did not take place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Its main process ended before it was ready.
    Exited(Exit),
    /// It was not ready in time.
    NotReady(Duration),
    /// It was ready and ended during its probation, or while an older generation was still on its way out.
    Crashed(Exit),
    /// The process could not be made: what was tried, and the kernel's answer (`errno`).
    NotMade {
        /// The step, as a verb phrase: "fork", "make a seat at -l :80".
        step: String,
        /// The error number, 0 when there is none.
        errno: i32,
    },
    /// A process was made and could not become the target.
    NotExecuted {
        /// The step in the child, as a verb phrase: "execute /srv/app", "change the directory to /srv".
        step: String,
        /// The error number.
        errno: i32,
    },
    /// A hook said no.
    Vetoed(String),
    /// A newer request took its place.
    Superseded,
    /// endless is stopping.
    Stopping,
    /// There is no generation whose process could be told.
    NothingServes,
}

impl Failure {
    /// The process could not be made: what was tried, as a verb phrase, and the kernel's answer.
    #[must_use]
    pub fn not_made(step: impl Into<String>, errno: nix::errno::Errno) -> Failure {
        Failure::NotMade { step: step.into(), errno: errno as i32 }
    }

    /// The exit status endless has when this failure ends it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Exited(exit) | Failure::Crashed(exit) if exit.clean() => CODE_FAILURE,
            Failure::Exited(exit) | Failure::Crashed(exit) => exit.shell_code(),
            Failure::NotExecuted { errno, step } if step.starts_with("execute") => {
                if *errno == nix::errno::Errno::ENOENT as i32 { CODE_NOT_FOUND } else { CODE_NOT_EXECUTABLE }
            }
            _ => CODE_FAILURE,
        }
    }

    /// The same as the end of a process, which is never a clean one.
    #[must_use]
    pub fn as_exit(&self) -> Exit {
        match self {
            Failure::Exited(exit) | Failure::Crashed(exit) if !exit.clean() => *exit,
            _ => Exit::Code(self.exit_code()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Exited(exit) => write!(f, "it ended before it was ready ({exit})"),
            Failure::NotReady(after) => write!(f, "it was not ready after {}", humantime::format_duration(*after)),
            Failure::Crashed(exit) => write!(f, "it ended before the restart was over ({exit})"),
            Failure::NotMade { step, errno: 0 } => write!(f, "cannot {step}"),
            Failure::NotMade { step, errno } | Failure::NotExecuted { step, errno } => {
                write!(f, "cannot {step}: {}", reason(*errno))
            }
            Failure::Vetoed(why) => write!(f, "{why}"),
            Failure::Superseded => write!(f, "a newer restart took its place"),
            Failure::Stopping => write!(f, "endless is stopping"),
            Failure::NothingServes => write!(f, "nothing serves"),
        }
    }
}
