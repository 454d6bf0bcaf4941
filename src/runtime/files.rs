//! The status file, kept true.

use super::{Runtime, pid_file};
use crate::notice::{Level, Notice};
use crate::report::{Pids, status_file};

impl Runtime {
    /// Writes the status file when what it would say has changed: the generations that serve or have served.
    pub(super) fn write_status(&mut self) {
        let Some(path) = &self.plan.status_file else { return };
        let served = self.supervisor.generations().filter(|one| one.ready.is_some()).map(|one| one.id);
        let pids: Pids = served.filter_map(|id| self.pids.get(&id).map(|pid| (id, *pid))).collect();
        let status = status_file::render(&pids);
        // Whoever waits for a restart by this file alone sees from a new one that says the same that it has failed.
        let failed = self.failed && !self.supervisor.attempting();
        if self.status.as_deref().unwrap_or_default() == status && !(failed && self.status.is_some()) {
            return;
        }
        match pid_file::replace(path, &status) {
            Ok(()) => {
                self.failed = false;
                self.told.no_status = false;
                self.status = Some(status);
            }
            // Whatever happens next, it is tried again.
            Err(error) if !self.told.no_status => {
                let text = format!("--status-file {} cannot be written: {error}", path.display());
                self.told.no_status = true;
                self.tell(&Notice::Note { level: Level::Problem, text });
            }
            Err(_) => {}
        }
    }

    /// At the end nothing is left that a status could be about.
    pub(super) fn remove_status(&self) {
        if let Some(path) = self.plan.status_file.as_ref().filter(|_| self.status.is_some()) {
            let _ = std::fs::remove_file(path);
        }
    }
}
