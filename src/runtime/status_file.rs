//! `--status-file`: written by one endless, kept true, and locked while it is there.

use super::pid_file::{Locked, lock, put};
use super::{Runtime, clock};
use crate::notice::{Level, Notice};
use crate::report::{Pids, status_file};
use crate::words::Moment;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long after a change it is written again, where it is: whoever looks now and then has seen the change by then.
const AFTER_CHANGE: Duration = Duration::from_secs(2);

/// The path, and the lock of the file there. Dropping it removes the file, where it still is this one.
#[derive(Debug, Serialize, Deserialize)]
pub struct StatusFile {
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
    lock: Option<Locked>,
    /// What this endless has written last; None while it has written nothing.
    written: Option<String>,
}

impl StatusFile {
    /// One that was not looked at yet.
    fn new(path: &Path) -> StatusFile {
        StatusFile { path: path.to_owned(), lock: None, written: None }
    }

    /// Locks the file, if one was left. None is made before there is something to say: that it is there says that
    /// endless serves.
    ///
    /// # Errors
    /// When another endless holds it.
    pub fn claim(path: &Path) -> Result<StatusFile> {
        let failed = || format!("--status-file {}", path.display());
        let lock = lock(path, false).with_context(failed)?;
        Ok(StatusFile { path: path.to_owned(), lock, written: None })
    }

    /// Puts a file with this content in its place, in one piece: a reader sees the old one or the new one.
    ///
    /// # Errors
    /// When another endless has made one meanwhile, or the directory cannot be written.
    fn replace(&mut self, content: String) -> Result<()> {
        if self.lock.as_ref().is_none_or(|lock| !lock.lies_at(&self.path)) {
            self.lock = lock(&self.path, false)?;
        }
        self.lock = Some(put(&self.path, &content)?);
        self.written = Some(content);
        Ok(())
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        if self.lock.as_ref().is_some_and(|lock| lock.lies_at(&self.path)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_another_has_made_meanwhile_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status");
        let mut ours = StatusFile::claim(&path).unwrap();
        ours.replace("1".into()).unwrap();
        std::fs::remove_file(&path).unwrap();
        ours.replace("2".into()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2", "somebody had removed it");
        std::fs::remove_file(&path).unwrap();
        let mut other = StatusFile::claim(&path).unwrap();
        other.replace("3".into()).unwrap();
        assert!(ours.replace("4".into()).is_err());
        drop(ours);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "3");
        drop(other);
        assert!(!path.exists());
    }
}
