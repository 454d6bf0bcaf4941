//! The status file, kept true.

use super::status_file::StatusFile;
use super::{Runtime, clock};
use crate::notice::{Level, Notice};
use crate::report::{Pids, status_file};
use crate::words::Moment;
use std::time::Duration;

/// So long after a change it is written again, where it is: whoever looks now and then has seen the change by then.
const AFTER_CHANGE: Duration = Duration::from_millis(500);

impl Runtime {
    /// When the status file is to be written again although it would say the same: after a restart that has failed.
    pub(super) fn status_again(&self) -> Option<Moment> {
        let written = self.status_file.as_ref().is_some_and(|file| file.written.is_some());
        let due = self.failed && written && !self.told.no_status && !self.supervisor.attempting();
        due.then(|| self.status_told + AFTER_CHANGE)
    }

    /// Writes the status file when what it would say has changed: the generations that serve or have served.
    pub(super) fn write_status(&mut self) {
        let Some(path) = self.plan.status_file.as_deref() else { return };
        let served = self.supervisor.generations().filter(|one| one.ready.is_some()).map(|one| one.id);
        let pids: Pids = served.filter_map(|id| self.pids.get(&id).map(|pid| (id, *pid))).collect();
        let status = status_file::render(&pids);
        // Whoever waits for a restart by this file alone sees from a new one that says the same that it has failed.
        let again = self.status_again().is_some_and(|at| at <= clock::now());
        let file = self.status_file.get_or_insert_with(|| StatusFile::new(path));
        let same = file.written.as_deref().unwrap_or_default() == status;
        if same && !again {
            return;
        }
        match file.replace(status) {
            Ok(()) => {
                self.failed &= !same;
                self.told.no_status = false;
                self.status_told = clock::now();
            }
            // Whatever happens next, it is tried again.
            Err(error) if !self.told.no_status => {
                let why = error.to_string().replace("\nhint: ", "; ");
                let text = format!("--status-file {} cannot be written: {why}", path.display());
                self.told.no_status = true;
                self.tell(&Notice::Note { level: Level::Problem, text });
            }
            Err(_) => {}
        }
    }
}
