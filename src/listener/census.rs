//! How many sockets there really are at the addresses of the listeners: ours, and those of strangers that joined them.

use super::captured::Captured;
use super::diag::{AF_INET, AF_INET6, Diag};
use super::inet::{Place, Transport};
use super::left;
use super::listeners::Listeners;
use super::port::Port;
use super::servers::{self, Server};
use super::steered::Steered;
use crate::plan::SocketOptions;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

/// With more listeners than this no census is taken: it would cost more than making their seats does.
pub(super) const MOST: usize = 1000;
/// The same for addresses that copies bind, each of which is counted by itself when a copy listens there.
pub(super) const MOST_CAPTURED: usize = 64;

/// Sockets that differ in one of these are in different groups.
type Key = (IpAddr, u16, i32);

/// The members of every SO_REUSEPORT group of this machine, counted by address and the interface they are bound to.
#[derive(Debug, Default)]
pub(super) struct Census {
    tcp: Option<HashMap<Key, usize>>,
    udp: Option<HashMap<Key, usize>>,
}

impl Census {
    /// Asks the kernel about the transports and address families these places have. Costs a walk through its table of
    /// listening sockets for each.
    pub(super) fn take(places: impl Iterator<Item = Place>) -> Census {
        let (mut tcp, mut udp) = (BTreeSet::new(), BTreeSet::new());
        for place in places {
            let families = if place.transport == Transport::Tcp { &mut tcp } else { &mut udp };
            families.insert(if place.at.is_ipv4() { AF_INET } else { AF_INET6 });
        }
        let count = |families: &BTreeSet<u8>, transport| {
            if families.is_empty() { None } else { counted(families, transport).ok() }
        };
        Census { tcp: count(&tcp, Transport::Tcp), udp: count(&udp, Transport::Udp) }
    }

    /// How many sockets there are that are bound to this interface, 0 for none; None where the kernel does not tell.
    pub(super) fn members(&self, place: Place, interface: i32) -> Option<usize> {
        let table = match place.transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        };
        Some(table.as_ref()?.get(&(place.at.ip(), place.at.port(), interface)).copied().unwrap_or(0))
    }
}

impl Listeners {
    /// Strangers may have joined some of our groups, or left them. Of very many listeners this is not looked at.
    pub(super) fn recount(&mut self, which: fn(&Steered) -> bool) {
        let mut all: Vec<(i32, &mut Steered)> = Vec::new();
        for listener in &mut self.list {
            if let Port::Steered(steered) = &mut listener.port
                && which(steered)
            {
                all.push((interface(steered.place(), &listener.options), steered));
            }
        }
        if all.is_empty() || all.len() > MOST {
            return;
        }
        let census = Census::take(all.iter().map(|(_, steered)| steered.place()));
        for (interface, steered) in &mut all {
            if let Some(members) = census.members(steered.place(), *interface) {
                steered.recount(members);
            }
        }
    }

    /// The same at addresses that copies bind by themselves.
    pub(super) fn recount_captured(&mut self, which: impl Fn(&Captured) -> bool) {
        if self.list.len() > MOST_CAPTURED {
            return;
        }
        for listener in &mut self.list {
            let Port::Captured(captured) = &mut listener.port else { continue };
            let Some((place, interface)) = captured.group_at().filter(|_| which(captured)) else { continue };
            if let Some(members) = Census::take(std::iter::once(place)).members(place, interface) {
                captured.recount(members);
            }
        }
    }
}

/// The interface that sockets are bound to, by `device=` or a link-local address; 0 for none.
fn interface(place: Place, options: &SocketOptions) -> i32 {
    let number = match (&options.device, place.at) {
        (Some(device), _) => if_nametoindex(device.as_str()).unwrap_or(0),
        (None, SocketAddr::V6(at)) => at.scope_id(),
        (None, SocketAddr::V4(_)) => 0,
    };
    number.cast_signed()
}

fn counted(families: &BTreeSet<u8>, transport: Transport) -> Result<HashMap<Key, usize>, Errno> {
    let (diag, mut table) = (Diag::open()?, HashMap::new());
    for &family in families {
        servers::each(&diag, family, transport, |Server { id, .. }| {
            let [.., a, b, c, d, _, _, _, _, _, _, _, _] = id.bytes;
            let (at, interface) = (id.server(), i32::from_ne_bytes([a, b, c, d]));
            // Of those that were let go, and live on with somebody, none is in a group.
            if interface != left::NOWHERE {
                *table.entry((at.ip(), at.port(), interface)).or_insert(0) += 1;
            }
        })?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "a measurement: cargo test --release --lib cost_of_a_census -- --ignored --nocapture"]
    #[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
    fn cost_of_a_census() {
        let _ = crate::listener::raise_file_limit();
        let sockets: Vec<_> = (0..10_000).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let place = Place { transport: Transport::Tcp, at: sockets[0].local_addr().unwrap(), any: false };
        for _ in 0..3 {
            let begin = std::time::Instant::now();
            assert_eq!(Census::take(std::iter::once(place)).members(place, 0), Some(1));
            println!("{:?} with {} listeners", begin.elapsed(), sockets.len());
        }
    }

    #[test]
    fn sockets_at_an_address_are_counted() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (tcp, udp) = (std::net::TcpListener::bind(at).unwrap(), std::net::UdpSocket::bind(at).unwrap());
            let place = |transport, at| Place { transport, at, any: false };
            let places =
                [place(Transport::Tcp, tcp.local_addr().unwrap()), place(Transport::Udp, udp.local_addr().unwrap())];
            let census = Census::take(places.into_iter());
            assert_eq!(places.map(|place| census.members(place, 0)), [Some(1), Some(1)]);
            assert_eq!(places.map(|place| census.members(place, 1)), [Some(0), Some(0)]);
            drop((tcp, udp));
            let census = Census::take(places.into_iter());
            assert_eq!(places.map(|place| census.members(place, 0)), [Some(0), Some(0)]);
        }
    }
}
