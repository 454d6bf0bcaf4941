//! The client's end of one HTTP/1.1 connection, strict about how a request came to nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a client waits for one answer before it counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// An answer: who gave it, and whether it was the connection's last.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    pub pid: u32,
    pub last: bool,
}

/// How a request came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// connect(2) failed.
    Refused,
    /// The connection was closed or reset before one byte of the answer.
    Unanswered,
    /// The answer began and did not end.
    Half,
    /// Neither an answer nor an end within `PATIENCE`.
    Silence,
}

/// One connection, and whether it has carried an answer before.
pub struct Connection {
    stream: TcpStream,
    pub reused: bool,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Connection, Loss> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Loss::Silence,
            _ => Loss::Refused,
        })?;
        let set = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_nodelay(true));
        set.map(|()| Connection { stream, reused: false }).map_err(|_| Loss::Unanswered)
    }

    /// One request and its answer.
    pub fn get(&mut self, path: &str, keep: bool) -> Result<Answer, Loss> {
        let connection = if keep { "keep-alive" } else { "close" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
        // A failed write is not the whole story: part of an answer may lie here already.
        let _ = self.stream.write_all(request.as_bytes());
        let mut got = Vec::with_capacity(512);
        loop {
            if let Some(answer) = parse(&got) {
                self.reused = true;
                return Ok(answer);
            }
            let mut chunk = [0; 512];
            match self.stream.read(&mut chunk) {
                Ok(length) if length > 0 => got.extend_from_slice(&chunk[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Loss::Silence);
                }
                _ if got.is_empty() => return Err(Loss::Unanswered),
                _ => return Err(Loss::Half),
            }
        }
    }
}

/// A whole answer `Hello, world GENERATION PID!` with a length, or nothing yet.
fn parse(got: &[u8]) -> Option<Answer> {
    let text = std::str::from_utf8(got).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let length: usize = head.split_once("content-length:")?.1.split("\r\n").next()?.trim().parse().ok()?;
    let pid = body.get(..length)?.trim_end().trim_end_matches('!').rsplit(' ').next()?.parse().ok()?;
    Some(Answer { pid, last: head.contains("\r\nconnection: close") })
}

/// One request on a connection of its own.
pub fn ask(address: SocketAddr, path: &str) -> Result<Answer, Loss> {
    Connection::open(address)?.get(path, false)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_answer_is_whole_or_not_there() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\nHello, world 3 1234!";
        let answer = parse(whole).expect("an answer");
        assert_eq!((answer.pid, answer.last), (1234, true));
        assert!(parse(&whole[..whole.len() - 1]).is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_none());
    }
}
