//! How facts are told: a [`Notice`] becomes a line of text or of JSON on stderr, and the generations a status file.
//!
//! Rendering is pure; only [`Reporter::tell`] and [`Sink`] write.

pub mod json;
mod sink;
pub mod status_file;
pub mod text;
pub mod trouble;
mod voice;

pub use sink::Sink;

use crate::notice::{Level, Notice};
use crate::plan::{LogFormat, Output};
use crate::words::GenerationId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Stderr, stderr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::SystemTime;
use voice::Voice;

/// The main pid of every generation that has one.
pub type Pids = BTreeMap<GenerationId, i32>;

/// endless' voice on stderr.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reporter {
    output: Output,
    /// endless' own pid, which every line begins with.
    pid: u32,
    /// False under journald, which has its own time stamps.
    stamped: bool,
    /// True when somebody is watching.
    on_terminal: bool,
    /// `--log-file`, instead of stderr.
    log: Option<Sink>,
    /// `--events`.
    events: Option<Sink>,
    #[serde(skip, default = "stderr")]
    stderr: Stderr,
    /// What is said there.
    #[serde(default)]
    voice: Voice,
}

impl Reporter {
    /// A voice for this process. `journal` is the value of JOURNAL_STREAM, which journald sets (systemd.exec(5)).
    #[must_use]
    pub fn new(output: Output, journal: Option<&str>) -> Self {
        let on_terminal = output.format == LogFormat::Text && stderr().is_terminal();
        let (pid, stamped) = (std::process::id(), !is_stderr(journal));
        Self { output, pid, stamped, on_terminal, log: None, events: None, stderr: stderr(), voice: Voice::default() }
    }

    /// Lets the log go to a file, and a line for each event to another.
    #[must_use]
    pub fn into_files(self, log: Option<Sink>, events: Option<Sink>) -> Self {
        let to_file = log.is_some();
        Self { log, events, stamped: self.stamped || to_file, on_terminal: self.on_terminal && !to_file, ..self }
    }

    /// Opens the files again by their paths. Returns what could not be.
    pub fn reopen(&mut self) -> Vec<String> {
        let sinks = [("--log-file", &mut self.log), ("--events", &mut self.events)];
        let failed = |(flag, sink): (&str, &mut Option<Sink>)| {
            let error = sink.as_mut()?.reopen().err()?;
            Some(format!("{flag} cannot be opened again: {error}"))
        };
        sinks.into_iter().filter_map(failed).collect()
    }

    /// Whether the log is text on a terminal.
    #[must_use]
    pub fn on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// Writes one line, in one write(2), when the verbosity asks for it. A stderr that cannot be written is no reason to
    /// fail or to wait: errors are ignored, and what there is no room for is kept until there is.
    pub fn tell(&self, notice: &Notice, pids: &Pids) {
        self.tell_event(notice, pids);
        if !self.shows(text::level(notice)) {
            return;
        }
        let line = self.line(notice, pids);
        match &self.log {
            None => self.say(&line),
            Some(log) => {
                if let Err(error) = log.write(line.as_bytes()) {
                    let text = format!("--log-file cannot be written: {error}; the log is lost until it can be");
                    self.say(&self.problem(text));
                }
            }
        }
    }

    fn line(&self, notice: &Notice, pids: &Pids) -> String {
        let now = SystemTime::now();
        match self.output.format {
            LogFormat::Text => {
                let stamp = self.stamped.then(|| format!("{} ", humantime::format_rfc3339_seconds(now)));
                let said = one_line(&text::render(notice, pids));
                format!("{}endless[{}]: {said}\n", stamp.unwrap_or_default(), self.pid)
            }
            LogFormat::Json => format!("{}\n", json::render(notice, pids, self.pid, now)),
        }
    }

    fn problem(&self, text: String) -> String {
        self.line(&Notice::Note { level: Level::Problem, text }, &Pids::new())
    }

    fn say(&self, line: &str) {
        self.voice.say(line.as_bytes(), &self.stderr, |count| self.lost(count));
    }

    fn lost(&self, count: usize) -> String {
        self.problem(format!("{count} lines are lost: nobody read them"))
    }

    /// The descriptor where there is no room for what is still to be said.
    #[must_use]
    pub fn waits_for_room(&self) -> Option<BorrowedFd<'_>> {
        self.voice.waits().then(|| self.stderr.as_fd())
    }

    /// There may be room now.
    pub fn go_on(&self) {
        self.voice.go_on(&self.stderr, |count| self.lost(count));
    }

    /// Nothing more will be said. Whoever reads slowly has a second for each part.
    pub fn finish(&self) {
        self.voice.finish(&self.stderr, |count| self.lost(count));
    }

    /// Whatever changes is an event; a note is not.
    fn tell_event(&self, notice: &Notice, pids: &Pids) {
        let Some(events) = self.events.as_ref().filter(|_| !matches!(notice, Notice::Note { .. })) else { return };
        let line = format!("{}\n", json::render(notice, pids, self.pid, SystemTime::now()));
        if let Err(error) = events.write(line.as_bytes()) {
            let text = format!("--events cannot be written: {error}; events are lost until they can be");
            self.tell(&Notice::Note { level: Level::Problem, text }, pids);
        }
    }

    fn shows(&self, level: Level) -> bool {
        match level {
            Level::Problem => true,
            Level::Normal => self.output.verbosity >= 0,
            Level::Detail => self.output.verbosity >= 1,
        }
    }
}

/// Names of files and of processes are what others have made of them.
fn one_line(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// JOURNAL_STREAM is `DEVICE:INODE` of the stream that goes to the journal; it may be another one than our stderr.
fn is_stderr(journal: Option<&str>) -> bool {
    let Some((device, inode)) = journal.and_then(|stream| stream.split_once(':')) else { return false };
    let Ok(stat) = nix::sys::stat::fstat(stderr()) else { return false };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_makes_no_line_of_its_own() {
        assert_eq!(one_line("a\nendless[1]: b\u{1b}[2J\tc"), "a endless[1]: b\u{fffd}[2J c");
    }
}
