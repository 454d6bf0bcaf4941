//! A file that lines are appended to: the log, the events, the target's output. One that cannot be written is no reason to
//! fail; it is said once, until it can be written again.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An open file, and the path by which it is opened again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sink {
    #[serde(with = "crate::sys::carried")]
    file: File,
    #[serde(with = "crate::words::path::optional")]
    path: Option<PathBuf>,
    failed: Cell<bool>,
}

impl Sink {
    /// Opens a file for appending, or makes it. A FIFO nobody reads is an error (fifo(7)).
    ///
    /// # Errors
    /// What open(2) answers.
    pub fn open(path: &Path) -> Result<Sink> {
        Ok(Sink { file: append(path)?, path: Some(path.to_owned()), failed: Cell::new(false) })
    }

    /// A descriptor endless was started with.
    #[must_use]
    pub fn of(descriptor: OwnedFd) -> Sink {
        Sink { file: File::from(descriptor), path: None, failed: Cell::new(false) }
    }

    /// Writes it. Never blocks: what a pipe nobody reads has no room for is lost.
    ///
    /// # Errors
    /// The first failure since it could be written.
    pub fn write(&self, text: &[u8]) -> Result<()> {
        let written = if self.has_room() { (&self.file).write_all(text) } else { Err(ErrorKind::WouldBlock.into()) };
        match written {
            Ok(()) => self.failed.set(false),
            Err(error) if !self.failed.replace(true) => return Err(said(error)),
            Err(_) => {}
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let mut set = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        // Regular files always have.
        poll(&mut set, PollTimeout::ZERO) != Ok(0)
    }

    /// Opens the path again: the file there may have been renamed. The old one stays where that fails.
    ///
    /// # Errors
    /// What open(2) answers.
    pub fn reopen(&mut self) -> Result<()> {
        if let Some(path) = &self.path {
            self.file = append(path)?;
            self.failed.set(false);
        }
        Ok(())
    }
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).create(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
}

fn said(error: Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock => Error::other("nobody reads it"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_until_it_can_be_written_again() {
        let full = Sink::open(Path::new("/dev/full")).unwrap();
        assert!(full.write(b"x\n").is_err());
        assert!(full.write(b"x\n").is_ok());
        let (read, write) = std::io::pipe().unwrap();
        let sink = Sink::of(write.into());
        let mut told = 0;
        for _ in 0..100 {
            told += u32::from(sink.write(&[b'x'; 4096]).is_err());
        }
        assert_eq!(told, 1);
        drop(read);
        assert!(sink.write(b"x").is_ok(), "it is still the same failure");
    }

    #[test]
    fn it_follows_its_path_when_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut sink = Sink::open(&path).unwrap();
        sink.write(b"a\n").unwrap();
        std::fs::rename(&path, dir.path().join("log.1")).unwrap();
        sink.write(b"b\n").unwrap();
        sink.reopen().unwrap();
        sink.write(b"c\n").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("log.1")).unwrap(), "a\nb\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c\n");
    }
}
