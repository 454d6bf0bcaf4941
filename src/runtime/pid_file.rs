//! `--pid-file`: locked for life, written in one piece, never taken from a living holder.

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The lock and the path. Dropping it removes the file, where it still is this one.
#[derive(Debug, Serialize, Deserialize)]
pub struct PidFile {
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
    #[serde(rename = "_lock")]
    lock: Locked,
}

/// A lock of flock(2) for life, over an upgrade, too: it belongs to the open file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Locked(#[serde(with = "locked")] Flock<File>);

impl Locked {
    /// Takes it, or fails at once.
    pub(super) fn of(file: File) -> std::io::Result<Locked> {
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map(Locked).map_err(|(_, errno)| errno.into())
    }

    /// Whether the locked file is the one at this path. Somebody may have removed it, and another endless have made one there.
    pub(super) fn lies_at(&self, path: &Path) -> bool {
        let number = |file: &Metadata| (file.dev(), file.ino());
        let (ours, there) = (self.0.metadata(), std::fs::metadata(path));
        matches!((ours, there), (Ok(ours), Ok(there)) if number(&ours) == number(&there))
    }
}

impl PidFile {
    /// Locks the file that is there, puts a locked one with our pid in its place, and lets the old one go. A second endless
    /// finds either lock taken, and nothing was truncated.
    ///
    /// # Errors
    /// When another process holds it (its pid is named), or the file cannot be made.
    pub fn claim(path: &Path) -> Result<Self> {
        let failed = || format!("--pid-file {}", path.display());
        let old = lock(path, true).with_context(failed)?;
        let lock = put(path, &format!("{}\n", std::process::id())).with_context(failed)?;
        drop(old);
        Ok(Self { path: path.to_owned(), lock })
    }
}

mod locked {
    use super::{File, Flock, FlockArg};
    use crate::sys::carried;
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(lock: &Flock<File>, serializer: S) -> Result<S::Ok, S::Error> {
        carried::serialize(&**lock, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Flock<File>, D::Error> {
        let file = carried::deserialize(deserializer)?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| D::Error::custom(errno))
    }
}

/// Opens and locks what is at the path; None where nothing is and `create` is false. Another claim may have replaced the file
/// between the two: then once more.
pub(super) fn lock(path: &Path, create: bool) -> Result<Option<Locked>> {
    loop {
        let mut file = match OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path) {
            Err(error) if !create && error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| anyhow!("{error}\nhint: a path in a directory this user may write"))?,
        };
        let mut text = String::new();
        let _ = file.read_to_string(&mut text);
        let Ok(lock) = Locked::of(file) else {
            let holder = text.trim().parse::<u32>().map_or_else(|_| String::new(), |pid| format!(" by pid {pid}"));
            bail!("it is held{holder}: another endless runs with it\nhint: stop that one, or name another file");
        };
        if lock.lies_at(path) {
            return Ok(Some(lock));
        }
    }
}

/// Puts a locked file with this content in the place of another, in one piece: a reader sees the old one or the new one.
///
/// # Errors
/// When the directory cannot be written.
pub(super) fn put(path: &Path, content: &str) -> std::io::Result<Locked> {
    let fresh = fresh(path);
    let written = || {
        let mut lock = Locked::of(File::create(&fresh)?)?;
        lock.0.write_all(content.as_bytes())?;
        std::fs::rename(&fresh, path)?;
        Ok(lock)
    };
    written().inspect_err(|_| {
        let _ = std::fs::remove_file(&fresh);
    })
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.lock.lies_at(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where what is to come in the place of a file is written first.
pub(super) fn fresh(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.new", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_names_the_holder_and_leaves_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.pid");
        let held = PidFile::claim(&path).unwrap();
        let text = format!("{}\n", std::process::id());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let refused = format!("{:#}", PidFile::claim(&path).unwrap_err());
        assert!(refused.contains(&format!("held by pid {}", std::process::id())), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        drop(held);
        assert!(!path.exists());
        PidFile::claim(&path).unwrap();
    }

    #[test]
    fn a_file_that_another_has_made_meanwhile_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.pid");
        let held = PidFile::claim(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = PidFile::claim(&path).unwrap();
        drop(held);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_file_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.pid");
        std::fs::write(&path, "999999 and more\n").unwrap();
        let _held = PidFile::claim(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }
}
