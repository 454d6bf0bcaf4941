//! One TCP connection as the kernel knows it, and whether it is in the middle of a request.
//!
//! The kernel does not know requests. It knows how long ago the server last sent and last received data, what is unread,
//! unsent and unacknowledged (tcp(7), TCP_INFO), in ticks of its clock: 1 to 10 ms. That is enough to tell whose turn it is.

use super::diag::{AF_INET, ESTABLISHED, INODE, MESSAGE, NEW_SYN_RECV, SYN_RECV, word};
use super::tcp_table::{CLOSE_WAIT, FIN_WAIT2};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A connection that carried nothing yet has this long to bring its first request, then nobody is about to ask.
const FRESH: Duration = Duration::from_secs(1);
/// The clock's ticks are coarse: shorter than this tells nothing.
const LEAST_SILENCE: Duration = Duration::from_millis(10);
/// No silence in which the server had its turn last has to be longer.
pub(super) const MOST_SILENCE: Duration = Duration::from_secs(1);

/// A connection's ends, interface and cookie. The cookie is the socket's own number: a later connection with the same ends
/// has another, and it stays the same from the handshake on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Id {
    pub(super) family: u8,
    /// `struct inet_diag_sockid`.
    #[serde(with = "as_list")]
    pub(super) bytes: [u8; 48],
}

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) id: Id,
    /// 0 while no process has it.
    pub(super) inode: u32,
    state: u8,
    /// Received and not read, in bytes; an end that was not read counts one.
    unread: u32,
    /// Sent and not acknowledged, in bytes.
    unacked: u32,
    info: Option<Info>,
}

/// The parts of `struct tcp_info` that tell whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Info {
    /// Since the server last sent data; since the handshake when it never did.
    sent: Duration,
    /// Since it last received data.
    received: Duration,
    /// Since the client last acknowledged anything.
    acked: Duration,
    /// The least time an answer of the client takes.
    round_trip: Duration,
    /// Written and not sent: the client does not read, or the way is full.
    unsent: u32,
    /// Segments with data.
    segments_in: u32,
    segments_out: u32,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Its handshake is not over.
    HalfOpen,
    /// It waits to be accepted.
    Queued,
    /// In the middle of a request.
    Busy,
    /// Nothing is asked on it.
    Quiet,
    /// The server has closed it.
    Over,
}

/// Serde knows arrays of up to 32.
mod as_list {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 48], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 48], D::Error> {
        Vec::deserialize(from)?.try_into().map_err(|_| D::Error::custom("a connection of another length"))
    }
}

impl Id {
    /// The socket's number.
    pub(super) fn cookie(&self) -> u64 {
        self.bytes[40..].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The server's end. The IPv4 client of a socket for both families shows as IPv4.
    pub(super) fn server(&self) -> SocketAddr {
        let [high, low, _, _, a, b, c, d, rest @ ..] = self.bytes;
        let ip = if self.family == AF_INET {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&[a, b, c, d]);
            bytes[4..].copy_from_slice(&rest[..12]);
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        };
        SocketAddr::new(ip, u16::from_be_bytes([high, low]))
    }
}

impl Connection {
    /// Reads `struct inet_diag_msg` and its attributes; None when it is cut short.
    pub(super) fn read(body: &[u8]) -> Option<Connection> {
        let id = Id { family: *body.first()?, bytes: body.get(4..52)?.try_into().ok()? };
        let word = |at| word(body, at);
        Some(Connection {
            id,
            inode: word(INODE)?,
            state: *body.get(1)?,
            unread: word(56)?,
            unacked: word(60)?,
            info: attribute(body.get(MESSAGE..)?, INET_DIAG_INFO).and_then(Info::read),
        })
    }

    /// How far it is. A silence of less than `least` says nothing. One of `patience` says that nothing is going on, whoever's
    /// turn it is: a request that old is not waited for.
    pub(super) fn phase(&self, least: Duration, patience: Duration) -> Phase {
        let unread_end = u32::from(self.state == CLOSE_WAIT);
        match (self.state, self.inode) {
            (SYN_RECV | NEW_SYN_RECV, _) => Phase::HalfOpen,
            (ESTABLISHED | CLOSE_WAIT, 0) => Phase::Queued,
            (_, 0) => Phase::Over,
            (ESTABLISHED | CLOSE_WAIT, _) => match self.info {
                Some(info) if self.unread <= unread_end && info.quiet(self.unacked, least, patience) => Phase::Quiet,
                _ => Phase::Busy,
            },
            // The server's last word has arrived.
            (FIN_WAIT2, _) => Phase::Over,
            // FIN_WAIT1: the server said its last word and waits until it has arrived.
            _ => Phase::Busy,
        }
    }
}

impl Connection {
    /// How long ago anything went either way.
    pub(super) fn silence(&self) -> Duration {
        self.info.map(|info| info.sent.min(info.received)).unwrap_or_default()
    }

    /// How many segments of data came in and went out.
    pub(super) fn segments(&self) -> Option<(u32, u32)> {
        self.info.map(|info| (info.segments_in, info.segments_out))
    }
}

impl Info {
    fn read(bytes: &[u8]) -> Option<Info> {
        let word = |at| word(bytes, at);
        let millis = |at| Some(Duration::from_millis(u64::from(word(at)?)));
        Some(Info {
            sent: millis(44)?,
            received: millis(52)?,
            acked: millis(56)?,
            unsent: word(144)?,
            round_trip: Duration::from_micros(u64::from(word(148)?)),
            segments_in: word(152)?,
            segments_out: word(156)?,
        })
    }

    /// Whether nothing is going on.
    fn quiet(&self, unacked: u32, least: Duration, patience: Duration) -> bool {
        let silence = self.sent.min(self.received);
        if self.unsent > 0 {
            return false;
        }
        silence >= patience || self.wanted_silence(unacked).is_some_and(|wanted| silence >= wanted.max(least))
    }

    /// How much silence means that nothing is going on. None: it is the server's turn.
    fn wanted_silence(&self, unacked: u32) -> Option<Duration> {
        let answered = match (self.segments_in, self.segments_out, self.sent.cmp(&self.received)) {
            (0, 0, _) => return Some(FRESH),
            (_, 0, _) | (_, _, Ordering::Greater) => return None,
            // The server spoke last. An answer that took long may have more to come.
            (_, _, Ordering::Less) => self.received - self.sent,
            // In the same tick. The client acknowledges what it has before it asks again, so an answer that is not
            // acknowledged, or was so later, came after the request.
            _ if unacked > 0 || self.acked < self.received => Duration::ZERO,
            _ if self.balanced() => Duration::ZERO,
            _ => MOST_SILENCE,
        };
        // The client, too, may be about to speak: twice the way there and back, in case it is in the middle of a handshake.
        let wanted = answered.max(self.round_trip.saturating_mul(2)).min(MOST_SILENCE);
        Some(wanted.max(LEAST_SILENCE))
    }
}

impl Info {
    /// Where every request is one segment and every answer the same number of them, one that is not answered spoils the sum.
    /// After a few requests it does not come out even by chance.
    fn balanced(&self) -> bool {
        self.segments_in >= 4 && self.segments_out.is_multiple_of(self.segments_in)
    }
}

const INET_DIAG_INFO: u16 = 2;

/// The value of one attribute (`struct rtattr`, rtnetlink(7)).
pub(super) fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Last sent and received so many milliseconds ago, some exchanges in.
    fn info(sent: u64, received: u64) -> Info {
        Info {
            sent: ms(sent),
            received: ms(received),
            acked: ms(received),
            round_trip: ms(0),
            unsent: 0,
            segments_in: 3,
            segments_out: 3,
        }
    }

    fn established(info: Info) -> Connection {
        let id = Id { family: AF_INET, bytes: [0; 48] };
        Connection { id, inode: 7, state: ESTABLISHED, unread: 0, unacked: 0, info: Some(info) }
    }

    fn quiet(info: Info) -> bool {
        established(info).phase(Duration::ZERO, PATIENCE) == Phase::Quiet
    }

    #[test]
    fn too_short_a_silence_says_nothing() {
        let answered = established(info(200, 204));
        assert_eq!(answered.phase(ms(201), PATIENCE), Phase::Busy);
        assert_eq!(answered.phase(ms(200), PATIENCE), Phase::Quiet);
    }

    #[test]
    fn a_request_that_is_not_answered_is_in_the_middle() {
        assert!(!quiet(info(500, 200)));
        assert!(!quiet(info(9999, 9000)));
        assert!(!quiet(Info { segments_out: 0, ..info(300, 300) }), "the first one, in the tick of the handshake");
    }

    #[test]
    fn after_an_answer_nothing_goes_on() {
        assert!(quiet(info(12, 16)));
        assert!(quiet(info(60_000, 60_004)));
        assert!(!quiet(info(4, 8)), "too short a silence to tell");
    }

    #[test]
    fn an_answer_that_took_long_may_have_more_to_come() {
        assert!(!quiet(info(100, 300)));
        assert!(quiet(info(200, 400)));
        assert!(!quiet(info(999, 30_000)), "a stream");
        assert!(quiet(info(1000, 30_000)));
    }

    #[test]
    fn in_one_tick_the_acknowledgement_tells_whose_turn_it_is() {
        let one_tick = info(20, 20);
        assert!(!quiet(one_tick));
        assert!(!quiet(info(996, 996)));
        assert!(quiet(info(1000, 1000)));
        assert!(quiet(Info { acked: ms(12), ..one_tick }));
        assert!(quiet(Info { segments_in: 5, segments_out: 10, ..one_tick }));
        assert!(!quiet(Info { segments_in: 5, segments_out: 8, ..one_tick }), "two for each of four requests");
        let unacked = Connection { unacked: 90, ..established(one_tick) };
        assert_eq!(unacked.phase(Duration::ZERO, PATIENCE), Phase::Quiet);
    }

    #[test]
    fn a_client_far_away_gets_the_time_for_its_next_word() {
        let far = Info { round_trip: ms(100), ..info(150, 154) };
        assert!(!quiet(far));
        assert!(quiet(Info { sent: ms(200), received: ms(204), ..far }));
        assert!(quiet(Info { round_trip: Duration::from_secs(90), ..info(1000, 1004) }));
    }

    #[test]
    fn a_fresh_connection_is_waited_for_a_while() {
        let fresh = |age| Info { segments_in: 0, segments_out: 0, ..info(age, age) };
        assert!(!quiet(fresh(400)));
        assert!(quiet(fresh(1000)));
        let greeted = Info { segments_in: 0, segments_out: 1, ..info(40, 44) };
        assert!(quiet(greeted), "the server spoke first, and it is the client's turn");
    }

    #[test]
    fn what_is_unread_or_unsent_is_in_the_middle() {
        let settled = established(info(5000, 5004));
        assert_eq!(Connection { unread: 1, ..settled }.phase(Duration::ZERO, PATIENCE), Phase::Busy);
        assert!(!quiet(Info { unsent: 1, ..info(5000, 5004) }));
    }

    #[test]
    fn nobody_waits_for_a_silence_longer_than_the_patience() {
        assert!(quiet(info(12_000, 10_000)));
        assert!(quiet(Info { segments_out: 0, ..info(10_000, 10_000) }), "a log that is only received");
        assert!(!quiet(Info { unsent: 1, ..info(12_000, 10_000) }));
    }

    #[test]
    fn a_half_closed_client_still_waits_for_its_answer() {
        let asked = Connection { state: CLOSE_WAIT, ..established(info(500, 200)) };
        assert_eq!(asked.phase(Duration::ZERO, PATIENCE), Phase::Busy);
        let gone = Connection { state: CLOSE_WAIT, unread: 1, ..established(info(200, 204)) };
        assert_eq!(gone.phase(Duration::ZERO, PATIENCE), Phase::Quiet, "only its end is unread");
    }

    #[test]
    fn states_and_owners() {
        let one = established(info(50, 54));
        assert_eq!(Connection { state: FIN_WAIT2, ..one }.phase(Duration::ZERO, PATIENCE), Phase::Over);
        assert_eq!(Connection { inode: 0, ..one }.phase(Duration::ZERO, PATIENCE), Phase::Queued);
        assert_eq!(Connection { inode: 0, state: 4, ..one }.phase(Duration::ZERO, PATIENCE), Phase::Over);
        assert_eq!(Connection { state: 4, ..one }.phase(Duration::ZERO, PATIENCE), Phase::Busy);
        assert_eq!(
            Connection { inode: 0, state: SYN_RECV, info: None, ..one }.phase(Duration::ZERO, PATIENCE),
            Phase::HalfOpen
        );
        assert_eq!(Connection { info: None, ..one }.phase(Duration::ZERO, PATIENCE), Phase::Busy);
    }

    #[test]
    fn cut_short_messages_are_no_connections() {
        assert_eq!(Connection::read(&[0; 71]), None);
        assert_eq!(Connection::read(&[0; 72]).map(|one| one.info), Some(None));
        assert_eq!(Info::read(&[0; 159]), None);
        assert_eq!(attribute(&[8, 0, 2, 0, 1], 2), None);
        assert_eq!(attribute(&[0, 0, 9, 0], 2), None);
        assert_eq!(attribute(&[5, 0, 1, 0, 9, 0, 0, 0, 6, 0, 2, 0, 1, 2], 2), Some(&[1, 2][..]));
    }
}
