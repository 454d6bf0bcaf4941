//! Clients that ask one request after the other and count what got no answer.

use super::client::{At, Loss, Stream, answer, connect, send};
use super::talk::{self, Talk};
use super::tls;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two requests of one client: leaves the processors to the servers.
const PAUSE: Duration = Duration::from_millis(1);

/// Between two requests of a client that keeps its connection and does not hurry.
const LEISURE: Duration = Duration::from_millis(20);

/// A client that came so late with its first request may find the connection closed: a second is what is promised.
const FRESH: Duration = Duration::from_millis(900);

/// How a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A new connection for each request.
    New,
    /// One connection for as long as the server keeps it.
    KeepAlive,
    /// A new connection for each request, whose answer takes 200 ms.
    Slow,
    /// The same with 300 ms.
    Slower,
    /// A kept connection with 20 ms between an answer and the next request, as a person's browser has at the least.
    Leisurely,
    /// A new connection for each question in another protocol.
    Talk(Talk),
    /// The same with 300 ms between connection and answer.
    SlowTalk(Talk),
}

/// What became of the requests of all clients.
#[derive(Debug, Default, Clone)]
pub struct Count {
    /// Answered whole.
    pub answered: usize,
    /// Not answered, and how.
    pub lost: Vec<(Kind, Loss)>,
    /// A kept connection was closed without a byte just as the client sent: HTTP/1.1 lets it send again (RFC 9112, 9.3.1).
    pub raced: usize,
}

impl Count {
    /// How many were lost in this way.
    pub fn lost_as(&self, how: Loss) -> usize {
        self.lost.iter().filter(|(_, loss)| *loss == how).count()
    }
}

/// Whom the clients ask.
#[derive(Clone)]
struct Server {
    at: At,
    tls: Option<tls::Config>,
}

/// Clients at work.
pub struct Load {
    end: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Count>>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    /// Starts as many clients of each kind.
    pub fn start(at: impl Into<At>, kinds: &[(Kind, usize)]) -> Load {
        Load::on(&Server { at: at.into(), tls: None }, kinds)
    }

    /// The same over TLS, with any certificate.
    pub fn start_tls(at: impl Into<At>, kinds: &[(Kind, usize)]) -> Load {
        static CONFIG: OnceLock<tls::Config> = OnceLock::new();
        Load::on(&Server { at: at.into(), tls: Some(CONFIG.get_or_init(tls::config).clone()) }, kinds)
    }

    fn on(server: &Server, kinds: &[(Kind, usize)]) -> Load {
        let end = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for (kind, number) in kinds {
            for _ in 0..*number {
                let (end, answered, kind, server) = (Arc::clone(&end), Arc::clone(&answered), *kind, server.clone());
                clients.push(thread::spawn(move || run(&server, kind, &end, &answered)));
            }
        }
        Load { end, clients, answered }
    }

    /// How many answers there were so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
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

fn run(server: &Server, kind: Kind, end: &AtomicBool, answered: &AtomicUsize) -> Count {
    let mut count = Count::default();
    let mut kept: Option<Box<dyn Stream>> = None;
    while !end.load(Ordering::SeqCst) {
        let reused = kept.is_some();
        let answer = match kind {
            Kind::New => ask(server, "/", &mut None),
            Kind::Slow => ask(server, "/sleep/200", &mut None),
            Kind::Slower => ask(server, "/sleep/300", &mut None),
            Kind::KeepAlive | Kind::Leisurely => ask(server, "/", &mut kept),
            Kind::Talk(talk) => talk::ask(&server.at, talk, Duration::ZERO),
            Kind::SlowTalk(talk) => talk::ask(&server.at, talk, Duration::from_millis(300)),
        };
        match answer {
            Ok(()) => {
                count.answered += 1;
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(Loss::Late) => count.raced += 1,
            Err(Loss::Unanswered) if reused => count.raced += 1,
            Err(loss) => count.lost.push((kind, loss)),
        }
        thread::sleep(if kind == Kind::Leisurely { LEISURE } else { PAUSE });
    }
    count
}

/// One request on the kept connection, or on a new one that is kept then, unless it has failed or the answer was its last.
fn ask(server: &Server, path: &str, kept: &mut Option<Box<dyn Stream>>) -> Result<(), Loss> {
    let (mut stream, opened) = match kept.take() {
        Some(stream) => (stream, None),
        None => {
            let now = Instant::now();
            (server.open()?, Some(now))
        }
    };
    send(&mut stream, path);
    let late = opened.is_some_and(|opened| opened.elapsed() > FRESH);
    let answer = answer(&mut stream).map_err(|loss| match loss {
        Loss::Unanswered if late => Loss::Late,
        other => other,
    })?;
    if !answer.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
        return Err(Loss::Denied);
    }
    if !answer.to_ascii_lowercase().contains("connection: close") {
        *kept = Some(stream);
    }
    Ok(())
}

impl Server {
    fn open(&self) -> Result<Box<dyn Stream>, Loss> {
        let stream = connect(self.at.clone())?;
        Ok(match &self.tls {
            Some(config) => Box::new(tls::over(stream, config)),
            None => stream,
        })
    }
}
