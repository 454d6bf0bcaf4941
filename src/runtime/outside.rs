//! `--ready http=URL` and `tcp=ADDR`: a question to an address of the copy's own.

use super::http::{Get, Seen};
use crate::plan::Url;
use crate::sys::poll;
use crate::words::{Moment, ReadySign};
use nix::errno::Errno;
use nix::poll::{PollFlags, PollTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, getsockopt, socket, sockopt};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// After a refusal or a bad answer the next try follows this much later.
const PAUSE: Duration = Duration::from_millis(250);
/// What takes longer than this is given up, and another try is made.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries to connect, or to get a good answer, again and again.
#[derive(Debug)]
pub struct Outside {
    at: SocketAddr,
    /// What to ask for; None: a connection is enough.
    question: Option<(String, String)>,
    attempt: Option<Attempt>,
    next_try: Moment,
    tries: u32,
}

#[derive(Debug)]
struct Attempt {
    stream: TcpStream,
    began: Moment,
    get: Option<Get>,
}

impl Outside {
    /// A GET.
    #[must_use]
    pub fn ask(url: &Url) -> Outside {
        Outside { question: Some((url.host.clone(), url.path.clone())), ..Outside::connect(url.at) }
    }

    /// A connection.
    #[must_use]
    pub fn connect(at: SocketAddr) -> Outside {
        Outside { at, question: None, attempt: None, next_try: Moment::default(), tries: 0 }
    }

    /// Goes on with the present try, or begins one. `Some` when it was good.
    pub fn look(&mut self, now: Moment) -> Option<ReadySign> {
        if self.attempt.is_none() && self.next_try <= now {
            let get = self.question.as_ref().map(|(host, path)| Get::new(host, path));
            let stream = begin(self.next_address()).ok();
            self.attempt = stream.map(|stream| Attempt { stream, began: now, get });
            self.next_try = now + PAUSE;
        }
        let attempt = self.attempt.as_mut()?;
        match attempt.look() {
            Ok(Some(sign)) => return Some(sign),
            Ok(None) if now.since(attempt.began) < PATIENCE => return None,
            Ok(None) | Err(()) => {}
        }
        self.attempt = None;
        self.next_try = now + PAUSE;
        None
    }

    /// Without a host it may listen for IPv6 or for IPv4: one is tried after the other.
    fn next_address(&mut self) -> SocketAddr {
        let port = self.at.port();
        if !self.at.ip().is_unspecified() {
            return self.at;
        }
        self.tries += 1;
        let ipv4 = self.at.is_ipv4() || self.tries.is_multiple_of(2);
        if ipv4 { (Ipv4Addr::LOCALHOST, port).into() } else { (Ipv6Addr::LOCALHOST, port).into() }
    }
}

impl Attempt {
    fn look(&mut self) -> Result<Option<ReadySign>, ()> {
        if poll::state(&self.stream, PollFlags::POLLOUT, PollTimeout::ZERO).is_ok_and(|state| state.is_empty()) {
            return Ok(None);
        }
        if getsockopt(&self.stream, sockopt::SocketError) != Ok(0) {
            return Err(());
        }
        let Some(get) = &mut self.get else { return Ok(Some(ReadySign::Connected)) };
        match get.go_on(&mut self.stream) {
            Seen::Nothing => Ok(None),
            Seen::Status(status) if (200..400).contains(&status) => Ok(Some(ReadySign::Answered(status))),
            Seen::Status(_) | Seen::Broken => Err(()),
        }
    }
}

/// Begins to connect, without waiting.
fn begin(at: SocketAddr) -> Result<TcpStream, Errno> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket: OwnedFd = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(at)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
        Err(errno) => Err(errno),
    }
}
