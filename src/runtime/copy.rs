//! One generation as the loop sees it: its processes, its notify socket, and what it is watched for.

use super::channels::Channels;
use super::notify::NotifySocket;
use super::readiness::Watch;
use crate::listener::DrainWatch;
use crate::spawn::Tree;
use crate::supervisor::StopReason;
use crate::words::{GenerationId, Moment, Sig};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// After the flip the old generation keeps what it was just given for at least this long: a connection that was accepted
/// at that moment has its request read before the stop signal comes.
pub const LEAST_DRAIN: Duration = Duration::from_millis(100);
/// The pause between two looks at a drain.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// The processes of one generation.
#[derive(Debug)]
pub struct Copy {
    /// Which generation.
    pub generation: GenerationId,
    /// Its main process and what descends from it.
    pub tree: Tree,
    /// How far its main process is.
    pub main: Main,
    /// Where it says READY=1.
    pub notify: Option<NotifySocket>,
    /// Where else it says that it serves.
    pub channels: Channels,
    /// While it is a candidate.
    pub watch: Option<Watch>,
    /// Since new connections stopped going to it.
    pub drain: Option<Drain>,
    /// The stop signal it was sent.
    pub stopped: Option<Sig>,
    /// SIGKILL was sent to all of it: whatever shows up later gets it too.
    pub killed: bool,
}

/// The main process.
#[derive(Debug)]
pub enum Main {
    /// Between fork and exec; its end of the pipe closes when it executes the target. A stop that came meanwhile waits:
    /// the child throws away what reaches it before it is the target.
    Starting {
        /// Where a failure is told.
        report: OwnedFd,
        /// The stop that waits.
        stop: Option<StopReason>,
    },
    /// It is the target.
    Running,
    /// It could not become the target; its end, which is near, is no news.
    NotExecuted,
    /// It ended.
    Ended,
}

/// What is left to do for a generation that gets no new connections.
#[derive(Debug)]
pub struct Drain {
    /// When they stopped.
    pub since: Moment,
    /// The half-open handshakes of that moment and the queues.
    pub watch: DrainWatch,
    /// When to look next; None until the supervisor asks.
    pub next: Option<Moment>,
    /// How many looks in a row found nothing left.
    pub quiet: u32,
}

impl Copy {
    /// True once the main process has ended.
    #[must_use]
    pub fn main_ended(&self) -> bool {
        matches!(self.main, Main::Ended)
    }
}
