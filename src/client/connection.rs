//! One connection to a running endless: a request as a line, an answer as a line.

use super::Error;
use crate::control::{self, Answer, Ask, Request, VERSION};
use crate::sys::clock;
use crate::words::Moment;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{PeerCredentials, SendTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket};
use nix::sys::time::TimeVal;
use nix::unistd::geteuid;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An endless that does not take a connection or a request within this hangs.
const PATIENCE: i64 = 5;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    said: Vec<u8>,
}

impl Connection {
    /// Connects to the socket at a path. Only an endless of this user or of root is trusted, unless this user is root.
    pub(super) fn open(path: &Path) -> Result<Connection, Errno> {
        let made = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&made, SendTimeout, &TimeVal::new(PATIENCE, 0))?;
        connect(made.as_raw_fd(), &UnixAddr::new(path)?)?;
        let peer = getsockopt(&made, PeerCredentials)?.uid();
        if peer != geteuid().as_raw() && peer != 0 && !geteuid().is_root() {
            return Err(Errno::EPERM);
        }
        Ok(Connection { stream: UnixStream::from(made), said: Vec::new() })
    }

    /// Asks something.
    pub(super) fn ask(&mut self, ask: Ask) -> Result<(), Error> {
        let line = control::line(&Request { version: VERSION, id: None, ask });
        self.stream.write_all(&line).map_err(|error| Error::not_done(format!("it does not take the request: {error}")))
    }

    /// Waits for the next answer. None when `until` has come first.
    pub(super) fn answer(&mut self, until: Option<Moment>) -> Result<Option<Answer>, Error> {
        loop {
            if let Some(end) = self.said.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.said.drain(..=end).collect();
                let answer = serde_json::from_slice(&line);
                return answer.map(Some).map_err(|error| Error::not_done(format!("this is no answer: {error}")));
            }
            if !self.wait(until)? {
                return Ok(None);
            }
            if !self.hear()? {
                return Err(Error::not_done("it has ended without an answer"));
            }
        }
    }

    /// Waits until the other end is closed: until that endless has ended. False when `until` has come first.
    pub(super) fn closed(&mut self, until: Option<Moment>) -> Result<bool, Error> {
        while self.wait(until)? {
            if !self.hear()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for something to read. False when `until` has come.
    fn wait(&self, until: Option<Moment>) -> Result<bool, Error> {
        loop {
            let timeout = match until.map(|until| until.since(clock::now())) {
                Some(Duration::ZERO) => return Ok(false),
                left => poll_timeout(left),
            };
            match poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(errno) => return Err(Error::not_done(format!("cannot wait for the answer: {}", errno.desc()))),
            }
        }
    }

    /// Reads what is there. False at the end.
    fn hear(&mut self) -> Result<bool, Error> {
        let mut part = [0u8; 16 * 1024];
        match self.stream.read(&mut part) {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.said.extend_from_slice(&part[..length]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(Error::not_done(format!("cannot read the answer: {error}"))),
        }
    }
}

/// A length as poll(2) takes it, rounded up; None waits for ever.
pub(super) fn poll_timeout(length: Option<Duration>) -> PollTimeout {
    let Some(length) = length else { return PollTimeout::NONE };
    let millis = length.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
}
