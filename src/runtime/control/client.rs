//! One client of the control socket: what it said and was not read yet, what it is told and has not read yet.

use crate::control::LONGEST_REQUEST;
use crate::words::Moment;
use nix::poll::PollFlags;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A request that is begun is finished within this, and an answer that is due is read.
const PATIENCE: Duration = Duration::from_secs(10);
/// No more requests are taken from a client that waits for so many answers.
const MOST_PENDING: usize = 64;

/// A connection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Client {
    #[serde(with = "crate::sys::carried")]
    stream: UnixStream,
    said: Vec<u8>,
    told: Vec<u8>,
    /// When it has been slow for too long.
    deadline: Option<Moment>,
    /// How many answers it waits for.
    pub(super) pending: usize,
    /// It says nothing more.
    ended: bool,
    /// It is to be closed once it has read what it was told.
    last: bool,
    /// It has closed its end: what it said before is still done, and nothing is answered.
    #[serde(skip)]
    gone: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> Client {
        let (said, told) = (Vec::new(), Vec::new());
        Client { stream, said, told, deadline: None, pending: 0, ended: false, last: false, gone: false }
    }

    /// What to wait for.
    pub(super) fn flags(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLOUT, !self.told.is_empty());
        flags.set(PollFlags::POLLIN, self.listens());
        flags
    }

    fn listens(&self) -> bool {
        self.told.is_empty() && self.pending < MOST_PENDING && !self.ended && !self.last
    }

    /// Reads what has come, a bounded part of it at a time.
    pub(super) fn hear(&mut self, now: Moment) {
        if !self.listens() {
            return;
        }
        let mut part = [0u8; 16 * 1024];
        match self.stream.read(&mut part) {
            Ok(0) => self.ended = true,
            Ok(length) => self.said.extend_from_slice(&part[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => (self.ended, self.last) = (true, true),
        }
        self.time(now);
    }

    /// Reads the rest of what was said by one who has closed its end: no more than the kernel keeps for a socket.
    pub(super) fn hear_last(&mut self) {
        self.told.clear();
        self.gone = true;
        let mut part = [0u8; 16 * 1024];
        loop {
            match self.stream.read(&mut part) {
                Ok(length) if length > 0 => self.said.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// True when it has closed its end.
    pub(super) fn gone(&self) -> bool {
        self.gone
    }

    /// The next whole line. None while there is none, or while earlier answers are not read. `Some(None)` for a line that is
    /// too long.
    pub(super) fn next_line(&mut self) -> Option<Option<Vec<u8>>> {
        let waits = !self.told.is_empty() || self.pending >= MOST_PENDING;
        if self.last || waits && !self.gone {
            return None;
        }
        if let Some(end) = self.said.iter().position(|byte| *byte == b'\n').filter(|end| *end < LONGEST_REQUEST) {
            let rest = self.said.split_off(end + 1);
            let line = std::mem::replace(&mut self.said, rest);
            return Some(Some(line));
        }
        (self.said.len() >= LONGEST_REQUEST).then_some(None)
    }

    /// Tells it something; what it does not take at once is kept.
    pub(super) fn tell(&mut self, text: &[u8], now: Moment) {
        if self.gone {
            return;
        }
        self.told.extend_from_slice(text);
        self.speak(now);
    }

    /// Sends what is kept, as far as it is taken.
    pub(super) fn speak(&mut self, now: Moment) {
        while !self.told.is_empty() {
            match self.stream.write(&self.told) {
                Ok(length) => drop(self.told.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.told.clear();
                    (self.ended, self.last) = (true, true);
                }
            }
        }
        self.time(now);
    }

    /// It gets no more than what it was told already.
    pub(super) fn dismiss(&mut self) {
        self.last = true;
    }

    /// Sets or clears the deadline, by what it is slow with.
    pub(super) fn time(&mut self, now: Moment) {
        let slow = !self.told.is_empty() || !self.said.is_empty() && self.pending < MOST_PENDING;
        self.deadline = if slow { Some(self.deadline.unwrap_or(now + PATIENCE)) } else { None };
    }

    /// When it has been slow for too long.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// Nothing more is to be said by anybody.
    pub(super) fn over(&self) -> bool {
        self.told.is_empty() && (self.last || self.ended && self.pending == 0)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
