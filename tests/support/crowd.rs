//! Clients that run the same request of a test's own again and again, and count.

use super::client::read_answer;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Tally {
    end: AtomicBool,
    answered: AtomicUsize,
    lost: AtomicUsize,
}

/// The clients at work.
pub struct Crowd {
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// As many clients, each of which runs `one` with the connection it keeps; false is a lost request.
    pub fn start(number: usize, one: impl Fn(&mut Option<TcpStream>) -> bool + Send + Sync + 'static) -> Crowd {
        let (tally, one) = (Arc::new(Tally::default()), Arc::new(one));
        let run = |_| {
            let (tally, one) = (Arc::clone(&tally), Arc::clone(&one));
            thread::spawn(move || {
                let mut kept = None;
                while !tally.end.load(Ordering::SeqCst) {
                    let counter = if one(&mut kept) { &tally.answered } else { &tally.lost };
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let threads = (0..number).map(run).collect();
        Crowd { tally, threads }
    }

    /// Waits for this many answers more.
    #[track_caller]
    pub fn wait_for_more(&self, more: usize) {
        let answered = || self.tally.answered.load(Ordering::SeqCst);
        let enough = answered() + more;
        super::until("more is answered", || (answered() >= enough).then_some(()));
    }

    /// Lets every client finish its request. How many were answered, and how many lost.
    pub fn finish(self) -> (usize, usize) {
        self.tally.end.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        (self.tally.answered.load(Ordering::SeqCst), self.tally.lost.load(Ordering::SeqCst))
    }
}

/// A connection that gives up reading after 20 s.
pub fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// GET on a connection: whether it was answered.
pub fn get(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").is_ok() && read_answer(stream).is_ok()
}

/// The same with Redis' PING.
pub fn ping(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 7];
    stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut answer)).is_ok() && answer == *b"+PONG\r\n"
}

/// A request whose handshake is over 150 ms after the client connected.
pub fn late(at: SocketAddr) -> bool {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
    use std::os::fd::{AsFd, AsRawFd};
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    // With TCP_DEFER_ACCEPT a client keeps the last acknowledgement of the handshake back, for 200 ms at most.
    let option = nix::libc::TCP_DEFER_ACCEPT;
    endless::sys::socket::set_option(client.as_fd(), nix::libc::IPPROTO_TCP, option, 1).unwrap();
    let began = Instant::now();
    if connect(client.as_raw_fd(), &SockaddrStorage::from(at)).is_err() {
        return false;
    }
    let mut client = TcpStream::from(client);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    thread::sleep(Duration::from_millis(150));
    let answered = get(&mut client);
    // Of one that came as late as this by itself nobody knows any more.
    answered || began.elapsed() > Duration::from_secs(1)
}

/// A client that keeps its connection and pauses 30 ms before each request. A connection that was closed in the pause is
/// replaced, as every HTTP client does; what counts is a request that was sent and not answered.
pub fn pausing(kept: &mut Option<TcpStream>, at: SocketAddr, ask: fn(&mut TcpStream) -> bool) -> bool {
    thread::sleep(Duration::from_millis(30));
    let mut stream = kept.take().filter(still_open).unwrap_or_else(|| connect(at));
    let answered = ask(&mut stream);
    *kept = Some(stream).filter(|_| answered);
    answered
}

fn still_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let closed = matches!(stream.peek(&mut [0]), Ok(0));
    stream.set_nonblocking(false).unwrap();
    !closed
}
