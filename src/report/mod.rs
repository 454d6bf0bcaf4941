//! How facts are told: a [`Notice`] becomes a line of text or of JSON on stderr, and the generations a status file.
//!
//! Rendering is pure; only [`Reporter::tell`] writes.

pub mod json;
pub mod status_file;
pub mod text;

use crate::notice::{Level, Notice};
use crate::plan::{LogFormat, Output};
use crate::words::GenerationId;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::SystemTime;

/// The main pid of every generation that has one.
pub type Pids = BTreeMap<GenerationId, i32>;

/// endless' voice on stderr.
#[derive(Debug, Clone)]
pub struct Reporter {
    output: Output,
    /// endless' own pid, which every line begins with.
    pid: u32,
    /// False under journald, which has its own time stamps.
    stamped: bool,
    /// True when somebody is watching.
    on_terminal: bool,
}

impl Reporter {
    /// A voice for this process. `journal` is the value of JOURNAL_STREAM, which journald sets (systemd.exec(5)).
    #[must_use]
    pub fn new(output: Output, journal: Option<&str>) -> Self {
        let on_terminal = output.format == LogFormat::Text && std::io::stderr().is_terminal();
        Self { output, pid: std::process::id(), stamped: !is_stderr(journal), on_terminal }
    }

    /// Whether the log is text on a terminal.
    #[must_use]
    pub fn on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// Writes one line, in one write(2), when the verbosity asks for it. A stderr that cannot be written is no reason to
    /// fail: errors are ignored.
    pub fn tell(&self, notice: &Notice, pids: &Pids) {
        if !self.shows(text::level(notice)) {
            return;
        }
        let now = SystemTime::now();
        let line = match self.output.format {
            LogFormat::Text => {
                let stamp = self.stamped.then(|| format!("{} ", humantime::format_rfc3339_seconds(now)));
                format!("{}endless[{}]: {}\n", stamp.unwrap_or_default(), self.pid, text::render(notice, pids))
            }
            LogFormat::Json => format!("{}\n", json::render(notice, pids, self.pid, now)),
        };
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn shows(&self, level: Level) -> bool {
        match level {
            Level::Problem => true,
            Level::Normal => self.output.verbosity >= 0,
            Level::Detail => self.output.verbosity >= 1,
        }
    }
}

/// JOURNAL_STREAM is `DEVICE:INODE` of the stream that goes to the journal; it may be another one than our stderr.
fn is_stderr(journal: Option<&str>) -> bool {
    let Some((device, inode)) = journal.and_then(|stream| stream.split_once(':')) else { return false };
    let Ok(stat) = nix::sys::stat::fstat(std::io::stderr()) else { return false };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
}
