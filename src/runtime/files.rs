//! The status file, kept true.

use super::Runtime;
use super::status_file::StatusFile;
use crate::notice::{Level, Notice};
use crate::report::{Pids, status_file};

impl Runtime {
    /// Writes the status file when what it would say has changed: the generations that serve or have served.
    pub(super) fn write_status(&mut self) {
        let Some(path) = self.plan.status_file.as_deref() else { return };
        let served = self.supervisor.generations().filter(|one| one.ready.is_some()).map(|one| one.id);
        let pids: Pids = served.filter_map(|id| self.pids.get(&id).map(|pid| (id, *pid))).collect();
        let status = status_file::render(&pids);
        // Whoever waits for a restart by this file alone sees from a new one that says the same that it has failed.
        let failed = self.failed && !self.supervisor.attempting();
        let file = self.status_file.get_or_insert_with(|| StatusFile::new(path));
        if file.written.as_deref().unwrap_or_default() == status && !(failed && file.written.is_some()) {
            return;
        }
        match file.replace(status) {
            Ok(()) => {
                self.failed = false;
                self.told.no_status = false;
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
