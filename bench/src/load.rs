//! Clients that ask without a break and count what they do not get.

use crate::client::{Connection, Loss, ask};
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
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
}

/// What a client counts.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub answered: u64,
    /// Closed without a byte on a connection that had carried answers: no server can avoid it, and HTTP lets a client
    /// send the request again (RFC 9112, section 9.3.1). The request is sent again, on a new connection, and counted.
    pub races: u64,
    pub lost: BTreeMap<Loss, u64>,
}

impl Tally {
    pub fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Lost although no server process had taken the connection.
    pub fn lost_before_accept(&self) -> u64 {
        self.lost() - self.lost.get(&Loss::Half).copied().unwrap_or(0)
    }

    fn add(mut self, other: Tally) -> Tally {
        self.answered += other.answered;
        self.races += other.races;
        for (loss, count) in other.lost {
            *self.lost.entry(loss).or_default() += count;
        }
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
    pub fn start(address: SocketAddr, clients: &[(Kind, usize)]) -> Load {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Seen::default());
        let kinds = clients.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count));
        let spawn = |kind| {
            let (stop, seen) = (stop.clone(), seen.clone());
            thread::spawn(move || client(address, kind, &stop, &seen))
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

fn client(address: SocketAddr, kind: Kind, stop: &AtomicBool, seen: &Seen) -> Tally {
    let (mut tally, mut kept, mut newest) = (Tally::default(), None::<Connection>, 0);
    while !stop.load(Ordering::Relaxed) {
        let reused = kept.as_ref().is_some_and(|connection| connection.reused);
        let result = match kind {
            Kind::KeepAlive => keep_alive(address, &mut kept),
            Kind::New => ask(address, "/"),
            Kind::Slow => ask(address, "/sleep/200"),
        };
        match result {
            Ok(pid) => {
                tally.answered += 1;
                if pid.pid != newest {
                    newest = pid.pid;
                    seen.add(newest);
                }
            }
            Err(Loss::Unanswered) if reused => tally.races += 1,
            Err(loss) => *tally.lost.entry(loss).or_default() += 1,
        }
        thread::sleep(PAUSE);
    }
    tally
}

/// One request on the kept connection, or on a new one that is kept then; dropped when it has failed or was the last.
fn keep_alive(address: SocketAddr, kept: &mut Option<Connection>) -> Result<crate::client::Answer, Loss> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(address)?,
    };
    let answer = connection.get("/", true)?;
    if !answer.last {
        *kept = Some(connection);
    }
    Ok(answer)
}
