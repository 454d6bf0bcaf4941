//! The plan: everything that was asked for, parsed, resolved and checked once, and never changed.
//!
//! `cli` says what the command line looks like; this room decides what it means. Nothing here opens a socket or starts a
//! process; everything to the right of this room can rely on what it finds here.

mod ask;
mod build;
mod capture;
pub mod command;
mod dotenv;
pub mod environment;
pub mod error;
mod files;
mod handing;
mod identity;
pub mod lifecycle;
pub mod listener;
pub mod presets;
pub mod process;
pub mod protocol;
pub mod readiness;
pub mod show;
pub mod signals;
pub mod surroundings;
#[cfg(test)]
mod tests;
mod value;
mod watch;

pub use ask::{Asking, Starter, Task};
pub use capture::Capture;
pub use environment::build_environment;
pub use error::{Error, Fault, Origin};
pub use files::{EventsTo, Files};
pub use handing::HandoffPlan;
pub use lifecycle::{Drain, DrainMode, KillMode, Lifecycle, Respawn, Retirement};
pub use listener::{Address, InheritedRef, ListenerSpec, Resolver, SocketOptions, UnixKind, UnixName, Vsock};
pub use process::{EnvChange, Identity, Orphans, ProcessSpec, Rlimit, StdinFrom, limit_name};
pub use protocol::{Protocol, Sign};
pub use readiness::{Readiness, ReadyMode, Url};
pub use signals::{Hook, Hooks, SignalAction, SignalTable};
pub use surroundings::{InheritedSocket, Surroundings};

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;

/// Everything one run of endless needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// `--name`: what this endless is called; by default the base name of the command.
    pub name: String,
    /// The target and its arguments, as typed.
    pub command: Vec<OsString>,
    /// The listeners in `-l` order, which is the order of their descriptors.
    pub listeners: Vec<ListenerSpec>,
    /// `--preset`, and what it has set.
    pub preset: Option<presets::Applied>,
    /// How a copy is told about its listeners.
    pub handoff: HandoffPlan,
    /// `--capture`: whether endless looks at the sockets a copy binds by itself.
    pub capture: Capture,
    /// How a copy is known to serve.
    pub readiness: Readiness,
    /// Durations and policies the supervisor decides by.
    pub lifecycle: Lifecycle,
    /// How a generation is stopped.
    pub retirement: Retirement,
    /// What each signal to endless does.
    pub signals: SignalTable,
    /// Commands run before and after what happens.
    pub hooks: Hooks,
    /// The process the target is started as.
    pub process: ProcessSpec,
    /// `--watch`: the paths, none of them for the program. None: nothing is watched.
    pub watch: Option<Vec<PathBuf>>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--status-file`, in Server::Starter's format.
    pub status_file: Option<PathBuf>,
    /// `--control`.
    pub control: Control,
    /// The text of the file of `--config`.
    pub configuration: Option<Vec<u8>>,
    /// The files it appends to.
    pub files: Files,
    /// How endless speaks.
    pub output: Output,
}

/// `--control`: where clients reach endless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Nowhere, as asked.
    None,
    /// Here, or it is an error.
    At(#[serde(with = "crate::words::path")] PathBuf),
    /// Here, if it can be made; that another endless is called so is an error.
    Named(#[serde(with = "crate::words::path")] PathBuf),
    /// Here, if it can be made. None: this user has no runtime directory.
    Default(#[serde(with = "crate::words::path::optional")] Option<PathBuf>),
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LogFormat {
    /// One line of text a fact.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How endless speaks on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Output {
    /// Text or JSON.
    pub format: LogFormat,
    /// -1 for `-q` (only what went wrong), 0 by default, +1 for each `-v`.
    pub verbosity: i8,
}
