//! The client's end of one HTTP/1.1 connection, strict about how a request came to nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// How many seconds a client waits for one answer before it counts as lost.
static PATIENCE: AtomicU64 = AtomicU64::new(5);

/// For half an hour on a machine that does other things as well.
pub fn be_patient() {
    PATIENCE.store(20, Ordering::Relaxed);
}

fn patience() -> Duration {
    Duration::from_secs(PATIENCE.load(Ordering::Relaxed))
}

/// Where a server is.
#[derive(Debug, Clone)]
pub enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl From<SocketAddr> for At {
    fn from(address: SocketAddr) -> At {
        At::Tcp(address)
    }
}

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

trait Stream: Read + Write {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        TcpStream::set_nonblocking(self, nonblocking)
    }
}

impl Stream for UnixStream {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        UnixStream::set_nonblocking(self, nonblocking)
    }
}

impl At {
    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            At::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, patience())?;
                stream.set_read_timeout(Some(patience()))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            At::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(patience()))?;
                Box::new(stream)
            }
        })
    }
}

/// One connection, and whether it has carried an answer before.
pub struct Connection {
    stream: Box<dyn Stream>,
    pub reused: bool,
}

impl Connection {
    pub fn open(at: &At) -> Result<Connection, Loss> {
        let opened = at.connect().map(|stream| Connection { stream, reused: false });
        opened.map_err(|error| if error.kind() == ErrorKind::TimedOut { Loss::Silence } else { Loss::Refused })
    }

    /// Whether the server has closed it while nothing was asked.
    pub fn is_closed(&mut self) -> bool {
        let _ = self.stream.set_nonblocking(true);
        let waits = matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        let _ = self.stream.set_nonblocking(false);
        !waits
    }

    /// One request and its answer.
    pub fn get(&mut self, path: &str, keep: bool) -> Result<Answer, Loss> {
        // A failed write is not the whole story: part of an answer may lie here already.
        let _ = self.stream.write_all(request(path, keep).as_bytes());
        self.answer()
    }

    /// One request that comes in three parts, `pause` apart.
    pub fn get_slowly(&mut self, path: &str, pause: Duration) -> Result<Answer, Loss> {
        let request = request(path, false);
        for part in request.as_bytes().chunks(request.len() / 3 + 1) {
            let _ = self.stream.write_all(part);
            sleep(pause);
        }
        self.answer()
    }

    /// Half a request.
    pub fn begin(&mut self) {
        let _ = self.stream.write_all(b"GET / HT");
    }

    /// Waits until the server ends the connection or `PATIENCE` is over.
    pub fn wait_for_end(&mut self) {
        let _ = self.stream.read(&mut [0]);
    }

    fn answer(&mut self) -> Result<Answer, Loss> {
        let mut got = Vec::with_capacity(512);
        loop {
            if let Some(answer) = parse(&got) {
                self.reused = true;
                return Ok(answer);
            }
            let mut chunk = [0; 512];
            match self.stream.read(&mut chunk) {
                Ok(length) if length > 0 => got.extend_from_slice(&chunk[..length]),
                // By the SIGCHLD of a child whose parent, another thread, is still in posix_spawn(3), with signals blocked: such
                // a signal is not ignored at once, and a read with a timeout is not restarted (signal(7)).
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(Loss::Silence);
                }
                _ if got.is_empty() => return Err(Loss::Unanswered),
                _ => return Err(Loss::Half),
            }
        }
    }
}

fn request(path: &str, keep: bool) -> String {
    let connection = if keep { "keep-alive" } else { "close" };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n")
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
pub fn ask(at: impl Into<At>, path: &str) -> Result<Answer, Loss> {
    Connection::open(&at.into())?.get(path, false)
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
