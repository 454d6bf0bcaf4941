//! Clients that ask without a pause and count what got no answer.

use super::client::{At, Stream, get, read_answer};
use std::io::{ErrorKind, Result, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new connection for each request.
    New,
    /// One connection for as long as the server keeps it.
    KeepAlive,
    /// A new connection for each request, whose answer takes 200 ms.
    Slow,
}

/// What became of the requests of all clients.
#[derive(Debug, Default, Clone)]
pub struct Count {
    /// Answered whole.
    pub answered: usize,
    /// Not answered, and why: refused, reset, closed, silent.
    pub lost: Vec<String>,
    /// A kept connection was closed without a byte just as the client sent: HTTP/1.1 lets it send again (RFC 9112, 9.3.1).
    pub raced: usize,
}

/// Clients at work.
pub struct Load {
    end: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Count>>,
    answered: Arc<Mutex<usize>>,
}

impl Load {
    /// Starts as many clients of each kind.
    pub fn start(at: impl Into<At>, kinds: &[(Kind, usize)]) -> Load {
        let at = at.into();
        let end = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(Mutex::new(0));
        let mut clients = Vec::new();
        for (kind, number) in kinds {
            for _ in 0..*number {
                let (at, end, answered, kind) = (at.clone(), Arc::clone(&end), Arc::clone(&answered), *kind);
                clients.push(thread::spawn(move || run(&at, kind, &end, &answered)));
            }
        }
        Load { end, clients, answered }
    }

    /// How many answers there were so far.
    pub fn answered(&self) -> usize {
        *self.answered.lock().unwrap()
    }

    /// Waits for this many answers more.
    #[track_caller]
    pub fn wait_for_more(&self, number: usize) {
        let enough = self.answered() + number;
        super::until("more requests are answered", || (self.answered() >= enough).then_some(()));
    }

    /// Lets every client finish its request and adds everything up.
    pub fn finish(self) -> Count {
        self.end.store(true, Ordering::SeqCst);
        let mut all = Count::default();
        for client in self.clients {
            let one = client.join().unwrap();
            all.answered += one.answered;
            all.lost.extend(one.lost);
            all.raced += one.raced;
        }
        all
    }
}

fn run(at: &At, kind: Kind, end: &AtomicBool, answered: &Mutex<usize>) -> Count {
    let mut count = Count::default();
    let mut kept: Option<Box<dyn Stream>> = None;
    while !end.load(Ordering::SeqCst) {
        let answer = match kind {
            Kind::New => get(at.clone(), "/").map(drop),
            Kind::Slow => get(at.clone(), "/sleep/200").map(drop),
            Kind::KeepAlive => {
                let reused = kept.is_some();
                let answer = ask_kept(at, &mut kept);
                let closed = |error: &std::io::Error| {
                    matches!(
                        error.kind(),
                        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    )
                };
                if reused && answer.as_ref().is_err_and(closed) {
                    count.raced += 1;
                    continue;
                }
                answer
            }
        };
        match answer {
            Ok(()) => {
                count.answered += 1;
                *answered.lock().unwrap() += 1;
            }
            Err(error) => count.lost.push(format!("{kind:?}: {error}")),
        }
    }
    count
}

fn ask_kept(at: &At, kept: &mut Option<Box<dyn Stream>>) -> Result<()> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => at.connect()?,
    };
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")?;
    let answer = read_answer(&mut stream)?;
    if !answer.to_ascii_lowercase().contains("connection: close") {
        *kept = Some(stream);
    }
    Ok(())
}
