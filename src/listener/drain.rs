//! The end of a drain: nobody waits at a generation's seats any more, nobody can come to, and nothing is asked.
//!
//! A handshake that was half done when new connections were steered away still ends at the old seat. No other can come after
//! that. So the connections there are soon after, half-open ones included, are written down, and the drain is about these.
//! The few that came in between are a newer generation's, and most of them are over in a moment; where that one retires
//! before they are, what it has open tells them from the older one's.

use super::connection::{Connection, Id, MOST_SILENCE, Phase};
use super::diag::Diag;
use super::half_close::HalfClose;
use super::inet::Transport;
use super::listeners::Listeners;
use super::port::Port;
use super::queue::anybody_waits;
use super::unix_table::UnixConnections;
use crate::plan::UnixKind;
use crate::words::{GenerationId, Moment, OpenSocket, Waits};
use nix::errno::Errno;
use nix::sys::socket::{UnixAddr, getsockname};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Up to this many connections are asked about one by one, which is cheaper than a walk through the kernel's table.
const ONE_BY_ONE: usize = 1000;
/// An answer may come in parts, and the first soon. A connection that was used lately is watched for this long.
const WATCHED: Duration = Duration::from_millis(300);

/// Watches one generation's seats and connections. Begin it soon after new connections were steered elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub struct DrainWatch {
    generation: GenerationId,
    #[serde(with = "super::diag::opened")]
    diag: Option<Diag>,
    ports: Vec<u16>,
    half_open: Vec<Id>,
    old: Vec<Old>,
    unix: UnixConnections,
    unix_waits: (usize, usize),
}

/// A connection that was there at the beginning and is not over.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Old {
    pub(super) id: Id,
    pub(super) inode: u32,
    pub(super) phase: Phase,
    pub(super) half_close: HalfClose,
    /// When it was looked at first.
    since: Option<Moment>,
    /// Segments in and out at the last look.
    segments: Option<(u32, u32)>,
    /// It was seen to send again without having received anything in between.
    streams: bool,
}

/// Addresses, by their ports.
#[derive(Default)]
struct Places(HashMap<u16, Vec<IpAddr>>);

impl Listeners {
    /// Writes down the connections of this moment, by a walk through the kernel's table, at the listeners where the generation
    /// has seats of its own. Where the kernel does not tell (no netlink), only the queues count.
    #[must_use]
    pub fn begin_drain(&self, generation: GenerationId) -> DrainWatch {
        let places = self.tcp_places(generation);
        let ports: Vec<u16> = places.ports().collect();
        let unix = UnixConnections::at(self.unix_names(generation));
        let diag = if ports.is_empty() && unix.names.is_empty() { None } else { Diag::open().ok() };
        let found = diag.as_ref().and_then(|diag| diag.connections(&ports).ok()).unwrap_or_default();
        let old = found.iter().filter(|one| places.have(one)).map(Old::new);
        let old: Vec<Old> = old.filter(|old| old.phase != Phase::Over).collect();
        let half_open = old.iter().filter(|old| old.phase == Phase::HalfOpen).map(|old| old.id).collect();
        DrainWatch { generation, diag, ports, half_open, old, unix, unix_waits: (0, 0) }
    }

    /// How many connections each of these generations has that were accepted; of TCP only those whose cookie is `ours`. One
    /// walk through the kernel's table, however many generations there are. One that can have none at seats of its own is
    /// left out, and all are where the kernel does not tell.
    #[must_use]
    pub fn accepted(
        &self,
        generations: impl Iterator<Item = GenerationId>,
        now: Moment,
        ours: impl Fn(GenerationId, u64) -> bool,
    ) -> BTreeMap<GenerationId, usize> {
        let own = generations.filter(|one| self.has_own_seats(*one));
        let own = own.map(|one| (one, self.tcp_places(one), UnixConnections::at(self.unix_names(one))));
        let own: Vec<_> = own.filter(|(_, places, unix)| !(places.0.is_empty() && unix.names.is_empty())).collect();
        let ports: Vec<u16> = own.iter().flat_map(|(_, places, _)| places.ports()).collect();
        let Some(diag) = (!own.is_empty()).then(|| Diag::open().ok()).flatten() else { return BTreeMap::new() };
        let Ok(found) = diag.connections(&ports) else { return BTreeMap::new() };
        let count = |(generation, places, mut unix): (GenerationId, Places, UnixConnections)| {
            let (busy, idle) = unix.look(&diag, now).ok()?;
            let accepted = |one: &&Connection| one.inode != 0 && Old::new(one).phase != Phase::Over;
            let tcp = found.iter().filter(accepted).filter(|one| places.have(one) && ours(generation, one.id.cookie()));
            Some((generation, tcp.count() + busy + idle))
        };
        own.into_iter().filter_map(count).collect()
    }

    /// Where this generation has a TCP seat of its own.
    fn tcp_places(&self, generation: GenerationId) -> Places {
        let place = |port: &Port| match port {
            Port::Steered(steered) if steered.place().transport == Transport::Tcp => {
                steered.seat(generation).map(|_| steered.place().at)
            }
            Port::Captured(captured) if captured.place().transport == Transport::Tcp => {
                captured.has(generation).then(|| captured.place().at)
            }
            _ => None,
        };
        let mut places = Places::default();
        for at in self.list.iter().filter_map(|listener| place(&listener.port)) {
            places.0.entry(at.port()).or_default().push(at.ip());
        }
        places
    }

    /// The names this generation's own Unix stream seats are bound at, which its connections have, too.
    fn unix_names(&self, generation: GenerationId) -> Vec<Vec<u8>> {
        let streams = |port: &Port| matches!(port, Port::Path(path) if path.kind() == UnixKind::Stream);
        let seats = self.list.iter().filter(|listener| streams(&listener.port));
        let seats = seats.filter_map(|listener| listener.own_seat(generation));
        let name = |seat: UnixAddr| seat.path().map(|path| path.as_os_str().as_encoded_bytes().to_vec());
        seats.filter_map(|seat| name(getsockname(seat.as_raw_fd()).ok()?)).collect()
    }
}

impl Places {
    fn ports(&self) -> impl Iterator<Item = u16> {
        self.0.keys().copied()
    }

    /// Whether the connection is at one of them.
    fn have(&self, one: &Connection) -> bool {
        let server = one.id.server();
        let here = |places: &Vec<IpAddr>| places.iter().any(|place| covers(*place, server.ip()));
        self.0.get(&server.port()).is_some_and(here)
    }
}

/// The connections these watch.
pub(super) fn cookies<'a>(watches: impl Iterator<Item = &'a DrainWatch>) -> HashSet<u64> {
    watches.flat_map(DrainWatch::cookies).collect()
}

/// Whether a socket bound to `place` has connections at `server`.
pub(super) fn covers(place: IpAddr, server: IpAddr) -> bool {
    place.is_unspecified() || place.to_canonical() == server
}

impl DrainWatch {
    /// True when the kernel does not tell about connections that there may be.
    #[must_use]
    pub fn blind(&self) -> bool {
        self.diag.is_none() && !(self.ports.is_empty() && self.unix.names.is_empty())
    }

    /// True when no handshake of the beginning is still half open and the queues of the generation's own seats are empty.
    /// Cheap: it asks the kernel about one handshake at a time.
    pub fn queue_over(&mut self, listeners: &Listeners) -> bool {
        while let (Some(diag), Some(id)) = (&self.diag, self.half_open.last()) {
            if let Ok(Some(connection)) = diag.connection(id)
                && connection.phase(Duration::ZERO, Duration::MAX) == Phase::HalfOpen
            {
                return false;
            }
            self.half_open.pop();
        }
        !anybody_waits(listeners.list.iter().flat_map(|listener| listener.own_seats(self.generation)))
    }

    /// Asks the kernel about every connection that is left. One that was silent for `patience` is not waited for, whoever's
    /// turn it is.
    pub fn look(&mut self, now: Moment, patience: Duration) -> Waits {
        if let Some(diag) = &self.diag {
            // What the kernel does not tell this time stays as it was.
            if self.old.len() <= ONE_BY_ONE {
                self.old.retain_mut(|old| old.take(diag.connection(&old.id), now, patience));
            } else if let Ok(found) = diag.connections(&self.ports) {
                let found: HashMap<Id, Connection> = found.into_iter().map(|one| (one.id, one)).collect();
                self.old.retain_mut(|old| old.take(Ok(found.get(&old.id).copied()), now, patience));
            }
            self.unix_waits = self.unix.look(diag, now).unwrap_or(self.unix_waits);
        }
        self.waits()
    }

    fn waits(&self) -> Waits {
        let count = |phase| self.old.iter().filter(|old| old.phase == phase).count();
        let (busy, idle) = self.unix_waits;
        Waits {
            half_open: count(Phase::HalfOpen),
            queued: count(Phase::Queued),
            busy: count(Phase::Busy) + busy,
            idle: count(Phase::Quiet) + idle,
        }
    }

    /// Forgets connections that turn out to be another generation's: of a newer one when they came between the steering and
    /// the writing down, of an older one when they have not ended since.
    pub fn forget(&mut self, others: &[OpenSocket]) {
        let others: HashSet<u32> = others.iter().map(|open| open.inode).collect();
        self.old.retain(|old| !others.contains(&old.inode));
    }

    /// Whether any of its connections is among those, by their cookies.
    #[must_use]
    pub fn shares(&self, cookies: &HashSet<u64>) -> bool {
        self.old.iter().any(|old| cookies.contains(&old.id.cookie()))
    }

    /// Of the connections an earlier drain has written down, only what its copy has open is this generation's, or may be:
    /// what nobody has accepted yet. Where nothing is known of what it has open, all of them may be.
    pub fn share(&mut self, cookies: &HashSet<u64>, own: &[OpenSocket]) {
        let own: HashSet<u32> = own.iter().map(|open| open.inode).collect();
        let may_be_ours = |old: &Old| own.is_empty() || old.inode == 0 || own.contains(&old.inode);
        self.old.retain(|old| !cookies.contains(&old.id.cookie()) || may_be_ours(old));
    }

    /// The cookies of its connections.
    pub fn cookies(&self) -> impl Iterator<Item = u64> {
        self.old.iter().map(|old| old.id.cookie())
    }

    pub(super) fn old(&self) -> impl Iterator<Item = &Old> {
        self.old.iter()
    }

    /// The diagnosis and the connections, for closing them halfway.
    pub(super) fn parts(&mut self) -> Option<(&Diag, &mut Vec<Old>)> {
        Some((self.diag.as_ref()?, &mut self.old))
    }
}

impl Old {
    fn new(one: &Connection) -> Old {
        // What is busy cannot be told without a patience; the first look will.
        let phase = one.phase(Duration::ZERO, Duration::MAX);
        let (since, segments) = (None, one.segments());
        Old { id: one.id, inode: one.inode, phase, half_close: HalfClose::Not, since, segments, streams: false }
    }

    /// Takes what the kernel says now. False when the connection is over.
    fn take(&mut self, found: Result<Option<Connection>, Errno>, now: Moment, patience: Duration) -> bool {
        match found {
            Ok(Some(connection)) => {
                let since = *self.since.get_or_insert(now);
                if let (Some(before), Some(after)) = (self.segments, connection.segments()) {
                    self.streams = before.0 == after.0 && (self.streams || before.1 != after.1);
                }
                self.segments = connection.segments();
                self.inode = connection.inode;
                self.phase = connection.phase(self.least_silence(now.since(since)), patience);
                self.phase != Phase::Over
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// What silence may mean that nothing is going on, after it was watched for so long.
    fn least_silence(&self, watched: Duration) -> Duration {
        match watched {
            _ if self.streams => MOST_SILENCE,
            _ if watched < WATCHED => WATCHED,
            _ => Duration::ZERO,
        }
    }

    /// How long it was looked at.
    pub(super) fn watched(&self, now: Moment) -> Duration {
        self.since.map(|since| now.since(since)).unwrap_or_default()
    }

    /// Whether it is quiet still, by what the kernel says now.
    pub(super) fn still_quiet(&self, now: &Connection, patience: Duration) -> bool {
        self.segments == now.segments() && now.phase(Duration::ZERO, patience) == Phase::Quiet
    }
}
