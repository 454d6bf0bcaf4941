//! `--status-file`: written by one endless, and locked while it is there.

use super::pid_file::{Locked, lock, put};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The path, and the lock of the file there. Dropping it removes the file.
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
        if self.lock.is_none() {
            self.lock = lock(&self.path, false)?;
        }
        self.lock = Some(put(&self.path, &content)?);
        self.written = Some(content);
        Ok(())
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
