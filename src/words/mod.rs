//! The words every room shares: what a generation is called, how time is counted, how a process ends.
//!
//! Nothing here decides anything.

mod ending;
mod moment;
mod open_socket;
pub mod path;
mod signal;
mod waits;

pub use ending::{CODE_FAILURE, CODE_HAMMERED, CODE_NOT_EXECUTABLE, CODE_NOT_FOUND, CODE_USAGE, Exit, Failure, reason};
pub use moment::Moment;
pub use open_socket::OpenSocket;
pub use signal::Sig;
pub use waits::Waits;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The version of this endless. In whatever way it is compiled, the words stay together in the program: the tests of upgrades
/// change them there.
#[must_use]
pub fn version() -> &'static str {
    std::hint::black_box(env!("CARGO_PKG_VERSION"))
}

/// The same with U+FFFD for every control character: what others say goes into our log, and forges no line there.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// One start of the target, numbered from 1. Every attempt takes a number, failed ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GenerationId(pub u32);

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPoint {
    /// Before what a signal asks for; failing vetoes it.
    Pre(Sig),
    /// After what a signal asked for was done or has failed.
    Post(Sig),
    /// A generation is about to be started; failing vetoes it.
    Begin,
    /// A generation became active.
    Ready,
    /// A generation is gone after its retirement.
    Retired,
    /// A start or a restart failed.
    Failed,
    /// Everything is gone; endless is about to exit.
    Exit,
    /// What is watched has changed (`--watch-exec`); failing vetoes the restart.
    Watch,
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookPoint::Pre(signal) => write!(f, "pre:{}", signal.name()),
            HookPoint::Post(signal) => write!(f, "post:{}", signal.name()),
            HookPoint::Begin => write!(f, "begin"),
            HookPoint::Ready => write!(f, "ready"),
            HookPoint::Retired => write!(f, "retired"),
            HookPoint::Failed => write!(f, "failed"),
            HookPoint::Exit => write!(f, "exit"),
            HookPoint::Watch => write!(f, "--watch-exec"),
        }
    }
}

/// How a generation was known to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadySign {
    /// `READY=1` on its notify socket (sd_notify(3)).
    Notified,
    /// It accepted the connection endless made for it.
    Accepted,
    /// It answered the probe with this HTTP status.
    Answered(u16),
    /// This signal came from it.
    Signalled(Sig),
    /// It sent einhorn's `worker:ack`.
    Acked,
    /// It wrote to this descriptor.
    Wrote(i32),
    /// The command of `--ready exec=` exited with 0.
    Checked,
    /// A connection to an address of its own was made.
    Connected,
    /// It lived for this long, as asked.
    Delayed(Duration),
    /// It lived for this long; nothing better can be known here.
    Guessed(Duration),
}

impl fmt::Display for ReadySign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadySign::Notified => write!(f, "READY=1"),
            ReadySign::Accepted => write!(f, "it accepted a connection"),
            ReadySign::Answered(status) => write!(f, "it answered the probe with {status}"),
            ReadySign::Signalled(signal) => write!(f, "it sent {signal}"),
            ReadySign::Acked => write!(f, "worker:ack"),
            ReadySign::Wrote(fd) => write!(f, "it wrote to descriptor {fd}"),
            ReadySign::Checked => write!(f, "its check agreed"),
            ReadySign::Connected => write!(f, "a connection to it was made"),
            ReadySign::Delayed(after) => write!(f, "alive for {}", humantime::format_duration(*after)),
            ReadySign::Guessed(after) => {
                let after = humantime::format_duration(*after);
                write!(f, "a guess: alive for {after} (READY=1 or another --ready would make it certain)")
            }
        }
    }
}
