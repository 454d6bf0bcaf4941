//! `--ready probe=http:PATH`: a GET through the first listener that can be probed, which only the candidate can answer.

use crate::listener::{Listeners, Probe};
use crate::words::{GenerationId, Moment, ReadySign};
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

/// After a refusal or a bad answer the next try follows this much later.
const PAUSE: Duration = Duration::from_millis(250);
/// An answer that takes longer than this is given up, and another try is made.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries to get a good answer, again and again.
#[derive(Debug)]
pub struct HttpProbe {
    path: String,
    attempt: Option<Attempt>,
    next_try: Moment,
}

/// One connection and how far it got.
#[derive(Debug)]
struct Attempt {
    probe: Probe,
    began: Moment,
    get: Get,
}

/// One GET on one connection.
#[derive(Debug)]
pub struct Get {
    unsent: Vec<u8>,
    answer: Vec<u8>,
}

/// What one look at a connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet.
    Nothing,
    /// This status.
    Status(u16),
    /// No HTTP, or an end.
    Broken,
}

impl HttpProbe {
    /// A probe for this path, which begins with `/`.
    #[must_use]
    pub fn new(path: String) -> Self {
        Self { path, attempt: None, next_try: Moment::default() }
    }

    /// Goes on with the present try, or begins one. `Some` when the answer was 2xx or 3xx.
    pub fn look(&mut self, now: Moment, generation: GenerationId, listeners: &mut Listeners) -> Option<ReadySign> {
        if self.attempt.is_none() && self.next_try <= now {
            self.attempt = Some(self.connect(now, generation, listeners));
        }
        let attempt = self.attempt.as_mut()?;
        match attempt.look() {
            Seen::Status(status) if (200..400).contains(&status) => return Some(ReadySign::Answered(status)),
            Seen::Nothing if now.since(attempt.began) < PATIENCE => return None,
            Seen::Nothing | Seen::Status(_) | Seen::Broken => {}
        }
        self.next_try = now + PAUSE;
        if let Some(attempt) = self.attempt.take() {
            attempt.probe.end(listeners);
        }
        None
    }

    fn connect(&self, now: Moment, generation: GenerationId, listeners: &mut Listeners) -> Attempt {
        let probe = listeners.begin_question(generation);
        Attempt { probe, began: now, get: Get::new("localhost", &self.path) }
    }

    /// Closes what is open.
    pub fn end(self, listeners: &mut Listeners) {
        if let Some(attempt) = self.attempt {
            attempt.probe.end(listeners);
        }
    }
}

impl Attempt {
    fn look(&mut self) -> Seen {
        match self.probe.streams().next() {
            Some((_, stream)) => self.get.go_on(stream),
            None => Seen::Broken,
        }
    }
}

impl Get {
    /// A request that is still to be sent.
    #[must_use]
    pub fn new(host: &str, path: &str) -> Get {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: endless\r\nConnection: close\r\n\r\n");
        Get { unsent: request.into_bytes(), answer: Vec::new() }
    }

    /// Sends what can be sent and reads what is there, without waiting.
    pub fn go_on(&mut self, stream: &mut (impl Read + Write)) -> Seen {
        if !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if not_yet(error.kind()) => return Seen::Nothing,
                Err(_) => return Seen::Broken,
            }
        }
        let mut part = [0u8; 512];
        match stream.read(&mut part) {
            Ok(0) => Seen::Broken,
            Ok(length) => {
                self.answer.extend_from_slice(&part[..length]);
                status(&self.answer)
            }
            Err(error) if not_yet(error.kind()) => Seen::Nothing,
            Err(_) => Seen::Broken,
        }
    }
}

fn not_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}

/// Reads the status line (RFC 9112, section 4). Interim answers come before the one that counts (RFC 9110, section 15.2).
fn status(mut answer: &[u8]) -> Seen {
    loop {
        if answer.len() < 12 {
            return Seen::Nothing;
        }
        let line = String::from_utf8_lossy(&answer[..12]);
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        match status {
            Some(100 | 102..200) => {}
            status => return status.map_or(Seen::Broken, Seen::Status),
        }
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Seen::Nothing };
        answer = &answer[end + 4..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_answers_are_not_the_one_that_counts() {
        let read = |answer: &str| match status(answer.as_bytes()) {
            Seen::Status(status) => Some(status),
            _ => None,
        };
        assert_eq!(read("HTTP/1.1 200 OK"), Some(200));
        assert_eq!(
            read("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 "),
            Some(204)
        );
        assert_eq!(read("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1"), None);
        assert_eq!(read("HTTP/1.1 101 Switching Protocols\r\n\r\n"), Some(101));
    }
}
