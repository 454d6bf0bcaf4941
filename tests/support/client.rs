//! A client that asks once.

use nix::unistd::Pid;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An answer that takes longer counts as none.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where a client connects to.
#[derive(Debug, Clone)]
pub enum At {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket; a path that begins with `@` is an abstract name.
    Unix(PathBuf),
}

impl From<SocketAddr> for At {
    fn from(at: SocketAddr) -> At {
        At::Tcp(at)
    }
}

impl From<&Path> for At {
    fn from(path: &Path) -> At {
        At::Unix(path.to_owned())
    }
}

/// A connection, whatever it is made of.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl At {
    /// A new connection, which gives up reading after [`PATIENCE`].
    pub fn connect(&self) -> Result<Box<dyn Stream>> {
        Ok(match self {
            At::Tcp(at) => {
                let stream = TcpStream::connect_timeout(at, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            At::Unix(path) => {
                let stream = UnixStream::connect_addr(&unix_address(path)?)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        })
    }
}

/// The address of a Unix socket, as [`At::Unix`] writes it.
pub fn unix_address(path: &Path) -> Result<UnixAddress> {
    match path.as_os_str().as_bytes() {
        [b'@', name @ ..] => UnixAddress::from_abstract_name(name),
        _ => UnixAddress::from_pathname(path),
    }
}

/// GET on a connection of its own: the whole answer.
pub fn get(at: impl Into<At>, path: &str) -> Result<String> {
    ask(at.into().connect()?, path)
}

fn ask(mut stream: impl Read + Write, path: &str) -> Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())?;
    read_answer(&mut stream)
}

/// A read with a timeout is not restarted after a signal (signal(7)). Here it is: the SIGCHLD of a child that another thread has
/// started a moment ago may come to any thread, though it is ignored, while that one has signals blocked (posix_spawn(3)).
pub fn uninterrupted<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads one answer with its body off a connection.
pub fn read_answer(stream: &mut impl Read) -> Result<String> {
    let mut text = Vec::new();
    let mut part = [0u8; 1024];
    loop {
        if let Some(length) = whole(&text) {
            text.truncate(length);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        match uninterrupted(|| stream.read(&mut part))? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => text.extend_from_slice(&part[..length]),
        }
    }
}

/// How a request came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// connect(2) failed: nobody was there.
    Refused,
    /// The connection ended before one byte of the answer.
    Unanswered,
    /// The same, where the request came so late after connect(2) that nobody waits for it any more.
    Late,
    /// The answer began and did not end: a server had the connection.
    Cut,
    /// Neither an answer nor an end within [`PATIENCE`].
    Silent,
    /// A whole answer, and not the one asked for: its status is not 2xx.
    Denied,
}

/// A new connection.
pub fn connect(at: impl Into<At>) -> std::result::Result<Box<dyn Stream>, Loss> {
    at.into().connect().map_err(|error| match error.kind() {
        ErrorKind::TimedOut => Loss::Silent,
        // There was somebody: the end came before connect(2) had returned.
        ErrorKind::ConnectionReset => Loss::Unanswered,
        _ => Loss::Refused,
    })
}

/// One request on a connection.
pub fn send(stream: &mut dyn Stream, path: &str) {
    // Where writing fails, a part of an answer may have arrived all the same.
    let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes());
}

/// One request on a connection, and its answer.
pub fn request(stream: &mut dyn Stream, path: &str) -> std::result::Result<String, Loss> {
    send(stream, path);
    answer(stream)
}

/// The answer to a request that was sent.
pub fn answer(stream: &mut dyn Stream) -> std::result::Result<String, Loss> {
    let mut text = Vec::new();
    let mut part = [0u8; 1024];
    loop {
        if let Some(length) = whole(&text) {
            text.truncate(length);
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        match uninterrupted(|| stream.read(&mut part)) {
            Ok(length) if length > 0 => text.extend_from_slice(&part[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(Loss::Silent);
            }
            _ if text.is_empty() => return Err(Loss::Unanswered),
            _ => return Err(Loss::Cut),
        }
    }
}

/// The length of the answer when all of it is there: by its Content-Length.
fn whole(text: &[u8]) -> Option<usize> {
    let head = text.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let lines = String::from_utf8_lossy(&text[..head]).to_ascii_lowercase();
    let length: usize = lines.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    (text.len() >= head + length).then_some(head + length)
}

/// Generation and pid from `Hello, world GENERATION PID!`.
pub fn greeting(answer: &str) -> (u32, Pid) {
    let rest = answer.split("Hello, world ").nth(1).unwrap_or_else(|| panic!("no greeting in {answer:?}"));
    let mut words = rest.trim_end().trim_end_matches('!').split(' ');
    let generation = words.next().and_then(|word| word.parse().ok()).expect("a generation");
    let pid = words.next().and_then(|word| word.parse().ok()).expect("a pid");
    (generation, Pid::from_raw(pid))
}

/// Sends a datagram and waits for its answer: the generation that gave it.
pub fn ask_udp(at: SocketAddr) -> Result<u32> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(b"hello", at)?;
    let mut text = [0u8; 256];
    let length = uninterrupted(|| socket.recv(&mut text))?;
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    Ok(text.split(' ').next().and_then(|word| word.parse().ok()).expect("a generation"))
}
