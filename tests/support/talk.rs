//! Clients of protocols other than HTTP: a new connection, one question, and the answer it has to get.

use super::client::{At, Loss, PATIENCE, Stream, connect, uninterrupted, unix_address};
use std::io::{ErrorKind, Result};
use std::net::UdpSocket;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// The script `app.php` of the server's directory over FastCGI, which sleeps.
    FastCgi,
    /// The address of `hello.test` over TCP (RFC 1035, section 4.2.2).
    DnsTcp,
    /// The same in one datagram.
    DnsUdp,
    /// The greeting, CAPABILITY and LOGOUT (RFC 3501).
    Imap,
    /// The versions, and the beginning of the key exchange (RFC 4253).
    Ssh,
    /// PING, as to Redis.
    Redis,
    /// A datagram like no other, which has to come back (RFC 862).
    EchoUdp,
    /// The same at a Unix datagram socket.
    EchoUnix,
}

/// Asks once. `pause` is how long the server takes for its answer (FastCGI), or else the client between its connection, or
/// the server's greeting, and its question.
pub fn ask(at: &At, talk: Talk, pause: Duration) -> std::result::Result<(), Loss> {
    let answered = match talk {
        Talk::DnsUdp => one_datagram(at, QUERY).map(|answer| is_answer(&answer)),
        Talk::EchoUdp | Talk::EchoUnix => echo(at),
        _ => {
            let mut stream = connect(at.clone())?;
            match talk {
                Talk::FastCgi => fast_cgi(&mut *stream, pause),
                Talk::DnsTcp => dns_tcp(&mut *stream, pause),
                Talk::Imap => imap(&mut *stream, pause),
                Talk::Ssh => ssh(&mut *stream, pause),
                Talk::Redis | Talk::DnsUdp | Talk::EchoUdp | Talk::EchoUnix => redis(&mut *stream),
            }
        }
    };
    match answered {
        Ok(true) => Ok(()),
        Ok(false) => Err(Loss::Denied),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(Loss::Silent),
        Err(_) => Err(Loss::Unanswered),
    }
}

fn redis(stream: &mut dyn Stream) -> Result<bool> {
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(answer == *b"+PONG\r\n")
}

/// `VERSION TYPE ID LENGTH PADDING 0 CONTENT` (FastCGI specification, section 3.3).
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[1, kind, 0, 1, high, low, 0, 0], content].concat()
}

fn fast_cgi(stream: &mut dyn Stream, pause: Duration) -> Result<bool> {
    let query = pause.as_millis().to_string();
    let mut params = Vec::new();
    for (name, value) in [("REQUEST_METHOD", "GET"), ("SCRIPT_FILENAME", "app.php"), ("QUERY_STRING", &query)] {
        params.extend([u8::try_from(name.len()).unwrap(), u8::try_from(value.len()).unwrap()]);
        params.extend(name.bytes().chain(value.bytes()));
    }
    let [begin, parameters, input, output, end] = [1, 4, 5, 6, 3];
    let responder = [0, 1, 0, 0, 0, 0, 0, 0];
    stream.write_all(
        &[record(begin, &responder), record(parameters, &params), record(parameters, b""), record(input, b"")].concat(),
    )?;
    let mut text = Vec::new();
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        let mut content = vec![0; length + usize::from(head[6])];
        stream.read_exact(&mut content)?;
        if head[1] == output {
            text.extend_from_slice(&content[..length]);
        }
        if head[1] == end {
            // Its fifth byte: FCGI_REQUEST_COMPLETE.
            return Ok(content[4] == 0 && text.ends_with(b"Hello, world!\n"));
        }
    }
}

/// A query for the A record of `hello.test`, and what its answer ends with.
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05hello\x04test\x00\x00\x01\x00\x01";
const ADDRESS: &[u8] = &[0, 4, 127, 0, 0, 2];

/// The same number, no error, one answer.
fn is_answer(answer: &[u8]) -> bool {
    answer.get(..2) == QUERY.get(..2) && answer.get(3).is_some_and(|flags| flags & 15 == 0) && answer.ends_with(ADDRESS)
}

fn dns_tcp(stream: &mut dyn Stream, pause: Duration) -> Result<bool> {
    thread::sleep(pause);
    let length = u16::try_from(QUERY.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, QUERY].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(is_answer(&answer))
}

/// Without a second try: a datagram that is lost is lost.
fn one_datagram(at: &At, question: &[u8]) -> Result<Vec<u8>> {
    let at = match at {
        At::Tcp(at) => at,
        At::Unix(path) => return one_unix_datagram(path, question),
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(at)?;
    socket.send(question)?;
    let mut answer = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut answer))?;
    Ok(answer[..length].to_vec())
}

/// Not connected: the server may answer from another name than the one that was asked.
fn one_unix_datagram(path: &Path, question: &[u8]) -> Result<Vec<u8>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let own = format!("endless-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let socket = UnixDatagram::bind_addr(&UnixAddress::from_abstract_name(own)?)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to_addr(question, &unix_address(path)?)?;
    let mut answer = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut answer))?;
    Ok(answer[..length].to_vec())
}

fn echo(at: &At) -> Result<bool> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let question = NEXT.fetch_add(1, Ordering::Relaxed).to_ne_bytes();
    Ok(one_datagram(at, &question)? == question)
}

/// Reads to the end of a line.
fn line(stream: &mut dyn Stream) -> Result<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\n") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn imap(stream: &mut dyn Stream, pause: Duration) -> Result<bool> {
    if !line(stream)?.starts_with("* OK ") {
        return Ok(false);
    }
    thread::sleep(pause);
    let mut answered = true;
    for (command, all) in [("a CAPABILITY\r\n", "a OK "), ("b LOGOUT\r\n", "b OK ")] {
        stream.write_all(command.as_bytes())?;
        // Untagged lines come before the answer.
        let answer = loop {
            let answer = line(stream)?;
            if !answer.starts_with("* ") {
                break answer;
            }
        };
        answered &= answer.starts_with(all);
    }
    Ok(answered)
}

fn ssh(stream: &mut dyn Stream, pause: Duration) -> Result<bool> {
    if !line(stream)?.starts_with("SSH-2.0-") {
        return Ok(false);
    }
    thread::sleep(pause);
    stream.write_all(b"SSH-2.0-test\r\n")?;
    // Length, padding, and the number of SSH_MSG_KEXINIT.
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    Ok(head[5] == 20)
}
