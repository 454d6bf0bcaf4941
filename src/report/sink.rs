//! A file that lines are appended to: the log, the events, the target's output. One that cannot be written is no reason to
//! fail; it is said once, until it can be written again.

use crate::sys::poll;
use nix::libc;
use nix::poll::{PollFlags, PollTimeout};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where a pipe has room at all, it has it for this much (PIPE_BUF, pipe(7)).
const AT_ONCE: usize = 4096;

/// An open file, and the path by which it is opened again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sink {
    #[serde(with = "crate::sys::carried")]
    file: File,
    #[serde(with = "crate::words::path::optional")]
    path: Option<PathBuf>,
    failed: Cell<bool>,
    /// The end of a line whose beginning is written.
    #[serde(default)]
    rest: RefCell<Vec<u8>>,
}

impl Sink {
    /// Opens a file for appending, or makes it. A FIFO nobody reads is an error (fifo(7)).
    ///
    /// # Errors
    /// What open(2) answers.
    pub fn open(path: &Path) -> Result<Sink> {
        let file = append(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENXIO) => Error::other("nobody reads this FIFO\nhint: start its reader first, or name a file"),
            _ => error,
        })?;
        Ok(Sink { path: Some(path.to_owned()), ..Sink::on(file) })
    }

    /// A descriptor endless was started with.
    #[must_use]
    pub fn of(descriptor: OwnedFd) -> Sink {
        Sink::on(File::from(descriptor))
    }

    fn on(file: File) -> Sink {
        Sink { file, path: None, failed: Cell::new(false), rest: RefCell::default() }
    }

    /// Writes it, whole or not at all. Never blocks: what a pipe nobody reads has no room for is lost. What has been begun is
    /// gone on with the next time.
    ///
    /// # Errors
    /// The first failure since it could be written.
    pub fn write(&self, text: &[u8]) -> Result<()> {
        let mut rest = self.rest.borrow_mut();
        let written = self.put(&mut rest).and_then(|()| {
            rest.extend_from_slice(text);
            let put = self.put(&mut rest);
            if rest.len() == text.len() {
                rest.clear();
            }
            put
        });
        match written {
            Ok(()) => self.failed.set(false),
            Err(error) if !self.failed.replace(true) => return Err(said(error)),
            Err(_) => {}
        }
        Ok(())
    }

    /// Takes from it what can be written.
    fn put(&self, text: &mut Vec<u8>) -> Result<()> {
        let most = if self.file.metadata().is_ok_and(|file| file.is_file()) { usize::MAX } else { AT_ONCE };
        let mut done = 0;
        let result = loop {
            match text.len() - done {
                0 => break Ok(()),
                _ if !self.has_room() => break Err(ErrorKind::WouldBlock.into()),
                left => match (&self.file).write(&text[done..done + left.min(most)]) {
                    Ok(0) => break Err(ErrorKind::WriteZero.into()),
                    Ok(length) => done += length,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                },
            }
        };
        text.drain(..done);
        result
    }

    fn has_room(&self) -> bool {
        // Regular files always have.
        poll::state(&self.file, PollFlags::POLLOUT, PollTimeout::ZERO).map_or(true, |state| !state.is_empty())
    }

    /// Opens the path again: the file there may have been renamed. The old one stays where that fails.
    ///
    /// # Errors
    /// What open(2) answers.
    pub fn reopen(&mut self) -> Result<()> {
        if let Some(path) = &self.path {
            self.file = append(path)?;
            self.rest.get_mut().clear();
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
    fn a_line_that_is_too_long_for_the_room_there_is_goes_on_later() {
        use std::io::Read;
        let (mut read, write) = std::io::pipe().unwrap();
        let sink = Sink::of(write.into());
        // The descriptor blocks, and 65,536 bytes are what a pipe holds.
        let long = |byte: u8| [vec![byte; 30_000], vec![b'\n']].concat();
        let told: Vec<bool> = [b'a', b'b', b'c', b'd'].map(|byte| sink.write(&long(byte)).is_err()).into();
        assert_eq!(told, [false, false, true, false]);
        let mut part = vec![0; 65_536];
        let length = read.read(&mut part).unwrap();
        sink.write(&long(b'e')).unwrap();
        drop(sink);
        part.truncate(length);
        read.read_to_end(&mut part).unwrap();
        let lines: Vec<&[u8]> = part.split_inclusive(|byte| *byte == b'\n').collect();
        assert!(lines.iter().all(|line| **line == long(line[0])), "each is whole");
        let first: Vec<u8> = lines.iter().map(|line| line[0]).filter(|byte| *byte != b'c').collect();
        assert_eq!(first, b"abe", "of one there was no room for all, or for anything");
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
