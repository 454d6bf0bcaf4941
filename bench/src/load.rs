//! Clients that ask without a break and count what they do not get.

use crate::client::{Answer, At, Connection, Loss, ask};
use crate::system::now;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two requests of one client: as good as none, and leaves two processors room for the servers.
const PAUSE: Duration = Duration::from_micros(500);

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One connection for as long as the server lets it live.
    KeepAlive,
    /// A connection for each request.
    New,
    /// A connection for each request, answered after 200 ms.
    Slow,
    /// A kept connection with 30 ms between an answer and the next request.
    Leisurely,
    /// A connection for each request, which comes in three parts within 300 ms.
    Drip,
    /// A connection that carries nothing for half a second, and then one request.
    Hesitant,
    /// Half a request, and then nothing any more. Nothing it does counts as lost but a connection refused.
    Silent,
}

/// A request that got no whole answer.
#[derive(Debug, Clone, Copy)]
pub struct Lost {
    pub kind: Kind,
    pub how: Loss,
    /// From when to when it was under way (`system::now`).
    pub began: u64,
    pub ended: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        write!(f, "{:?}, {:?} from {:.3} to {:.3} s", self.kind, self.how, seconds(self.began), seconds(self.ended))
    }
}

/// What a client counts.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub answered: u64,
    /// Closed without a byte on a connection that had carried answers: no server can avoid it, and HTTP lets a client
    /// send the request again (RFC 9112, section 9.3.1). The request is sent again, on a new connection, and counted.
    pub races: u64,
    pub lost: Vec<Lost>,
}

impl Tally {
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// How many were lost in which way.
    pub fn ways(&self) -> BTreeMap<Loss, usize> {
        let mut ways = BTreeMap::new();
        for lost in &self.lost {
            *ways.entry(lost.how).or_default() += 1;
        }
        ways
    }

    /// Lost although no server process had taken the connection.
    pub fn lost_before_accept(&self) -> usize {
        self.lost.iter().filter(|lost| lost.how != Loss::Half).count()
    }

    fn add(mut self, other: Tally) -> Tally {
        self.answered += other.answered;
        self.races += other.races;
        self.lost.extend(other.lost);
        self
    }
}

/// The processes that have answered so far.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<HashSet<u32>>>);

impl Seen {
    fn add(&self, pid: u32) {
        self.lock().insert(pid);
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<u32>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    pub seen: Seen,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Lets so many clients of each kind loose on the address.
    pub fn start(at: impl Into<At>, clients: &[(Kind, usize)]) -> Load {
        Load::start_with(at, clients, PAUSE)
    }

    /// The same with this pause between two requests of a client.
    pub fn start_with(at: impl Into<At>, clients: &[(Kind, usize)], pause: Duration) -> Load {
        let at = at.into();
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Seen::default());
        let kinds = clients.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count));
        let spawn = |kind| {
            let (at, stop, seen) = (at.clone(), stop.clone(), seen.clone());
            thread::spawn(move || client(&at, kind, pause, &stop, &seen))
        };
        let clients = kinds.map(spawn).collect();
        Load { stop, seen, clients }
    }

    /// Lets each finish its request and adds up.
    pub fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().filter_map(|client| client.join().ok()).fold(Tally::default(), Tally::add)
    }
}

fn client(at: &At, kind: Kind, pause: Duration, stop: &AtomicBool, seen: &Seen) -> Tally {
    let (mut tally, mut kept, mut newest) = (Tally::default(), None::<Connection>, 0);
    while !stop.load(Ordering::Relaxed) {
        if kind == Kind::Leisurely {
            thread::sleep(Duration::from_millis(30));
            kept = kept.take().and_then(|mut connection| (!connection.is_closed()).then_some(connection));
        }
        let reused = kept.as_ref().is_some_and(|connection| connection.reused);
        let began = now();
        match request(at, kind, &mut kept) {
            Ok(Some(answer)) => {
                tally.answered += 1;
                if answer.pid != newest {
                    newest = answer.pid;
                    seen.add(newest);
                }
            }
            Ok(None) => (),
            Err(Loss::Unanswered) if reused => tally.races += 1,
            Err(how) => tally.lost.push(Lost { kind, how, began, ended: now() }),
        }
        thread::sleep(pause);
    }
    tally
}

/// One request, or what else clients of this kind do.
fn request(at: &At, kind: Kind, kept: &mut Option<Connection>) -> Result<Option<Answer>, Loss> {
    let answer = match kind {
        Kind::KeepAlive | Kind::Leisurely => keep_alive(at, kept),
        Kind::New => ask(at.clone(), "/"),
        Kind::Slow => ask(at.clone(), "/sleep/200"),
        Kind::Drip => Connection::open(at)?.get_slowly("/", Duration::from_millis(100)),
        Kind::Hesitant => {
            let mut connection = Connection::open(at)?;
            thread::sleep(Duration::from_millis(500));
            connection.get("/", false)
        }
        Kind::Silent => {
            let mut connection = Connection::open(at)?;
            connection.begin();
            connection.wait_for_end();
            return Ok(None);
        }
    };
    answer.map(Some)
}

/// One request on the kept connection, or on a new one that is kept then; dropped when it has failed or was the last.
fn keep_alive(at: &At, kept: &mut Option<Connection>) -> Result<Answer, Loss> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(at)?,
    };
    let answer = connection.get("/", true)?;
    if !answer.last {
        *kept = Some(connection);
    }
    Ok(answer)
}
