//! `--status-file`: written by one endless, and locked while it is there.

use super::pid_file::{Locked, lock, put};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The path, and the lock of the file there. Dropping it removes the file, where it still is this one.
#[derive(Debug, Serialize, Deserialize)]
pub struct StatusFile {
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
    lock: Option<Locked>,
    /// What this endless has written last; None while it has written nothing.
    pub(super) written: Option<String>,
}

impl StatusFile {
    /// One that was not looked at yet.
    pub(super) fn new(path: &Path) -> StatusFile {
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
    pub(super) fn replace(&mut self, content: String) -> Result<()> {
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
