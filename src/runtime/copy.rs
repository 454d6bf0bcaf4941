//! One generation as the loop sees it: its processes, its notify socket, and what it is watched for.

use super::channels::Channels;
use super::deaf::Suspicion;
use super::deserted::Deserted;
use super::exec_check::ExecCheck;
use super::fd_store::Left;
use super::notify::NotifySocket;
use super::readiness::Watch;
use crate::listener::DrainWatch;
use crate::spawn::{self, Tree};
use crate::supervisor::StopReason;
use crate::words::{GenerationId, Moment, OpenSocket, Sig};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A socket that a copy makes so long after its first one is no part of its start any more.
const STARTS: Duration = Duration::from_secs(30);

/// The processes of one generation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Copy {
    /// Which generation.
    pub generation: GenerationId,
    /// Its main process and what descends from it.
    pub tree: Tree,
    /// How far its main process is.
    pub main: Main,
    /// The process it has named as its main one (MAINPID=…), where that is another.
    #[serde(with = "spawn::pid::option")]
    pub heir: Option<Pid>,
    /// Where it says READY=1.
    pub notify: Option<NotifySocket>,
    /// Where else it says that it serves.
    pub channels: Channels,
    /// While it is a candidate.
    #[serde(skip)]
    pub watch: Option<Watch>,
    /// It has inherited its sockets, and processes of the generation before may have them open.
    #[serde(skip)]
    pub inherits: bool,
    /// They had, when they were looked for.
    #[serde(skip)]
    pub doubted: bool,
    /// When it is looked at closer, if it is still a candidate then.
    #[serde(skip)]
    pub look_closer: Option<Moment>,
    /// It was told what is probably wrong with it.
    pub diagnosed: bool,
    /// It said that it serves, and was not seen to take a client.
    #[serde(default)]
    pub suspicion: Option<Suspicion>,
    /// What was seen at the sockets it made.
    #[serde(skip)]
    pub deserted: Deserted,
    /// When it called listen(2) first.
    #[serde(default)]
    pub listened: Option<Moment>,
    /// How much later it called it for the last time in its first half minute.
    #[serde(default)]
    pub listened_late: Duration,
    /// The command that says when it serves.
    #[serde(skip)]
    pub check: Option<ExecCheck>,
    /// Since new connections stopped going to it.
    pub drain: Option<Drain>,
    /// What it left with endless before it served: that is kept once it does.
    #[serde(skip)]
    pub left: Vec<Left>,
    /// While it is on its way out and the log is a terminal.
    pub progress: Option<Progress>,
    /// The stop signal it was sent.
    pub stopped: Option<Sig>,
    /// The last STATUS= it sent.
    pub status: Option<String>,
    /// Its calls wait for our answer.
    #[serde(default)]
    pub filtered: bool,
    /// SIGKILL was sent to all of it: whatever shows up later gets it too.
    pub killed: bool,
}

/// The main process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Main {
    /// Between fork and exec; its end of the pipe closes when it executes the target. A stop that came meanwhile waits:
    /// the child throws away what reaches it before it is the target.
    #[serde(skip)]
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
#[derive(Debug, Serialize, Deserialize)]
pub struct Drain {
    /// When they stopped.
    pub since: Moment,
    /// The connections of shortly after that, and the queues.
    pub watch: Option<DrainWatch>,
    /// When the supervisor asked for the end.
    pub asked: Option<Moment>,
    /// When to look next.
    pub next: Option<Moment>,
    /// How many looks in a row found nothing left.
    pub quiet: u32,
    /// Connections that are a newer generation's were looked for.
    pub searched: bool,
    /// What its processes had open, and when.
    pub open: Option<(Moment, Vec<OpenSocket>)>,
}

/// The lines that say what a generation is waited for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Progress {
    /// When its end began.
    pub since: Moment,
    /// When the next line is due.
    pub next: Moment,
}

impl Copy {
    /// A copy whose main process is between fork and exec.
    #[must_use]
    pub fn new(generation: GenerationId, tree: Tree, report: OwnedFd) -> Copy {
        Copy {
            generation,
            tree,
            main: Main::Starting { report, stop: None },
            heir: None,
            look_closer: None,
            diagnosed: false,
            suspicion: None,
            deserted: Deserted::default(),
            listened: None,
            listened_late: Duration::ZERO,
            notify: None,
            channels: Channels::default(),
            watch: None,
            inherits: false,
            doubted: false,
            check: None,
            drain: None,
            progress: None,
            stopped: None,
            status: None,
            left: Vec::new(),
            filtered: false,
            killed: false,
        }
    }

    /// It calls listen(2).
    pub fn listens(&mut self, now: Moment) {
        self.deserted.soon();
        let late = now.since(*self.listened.get_or_insert(now));
        if late < STARTS {
            self.listened_late = late;
        }
    }

    /// True while the main process is the target.
    #[must_use]
    pub fn executes(&self) -> bool {
        matches!(self.main, Main::Running)
    }

    /// True once the main process has ended.
    #[must_use]
    pub fn main_ended(&self) -> bool {
        matches!(self.main, Main::Ended)
    }
}
