//! Addresses of the plan that a copy binds by itself: it gets its seat there in place of its own socket.
//!
//! The seat listens already, and with it come the clients that wait since before the copy was started. It is the copy's own
//! as if it had been handed over, so nothing else is different: steering, probe, drain and custody know only the seat.

use super::bound::BoundAddress;
use super::capturing::{Asker, Verdict};
use super::inet::Transport;
use super::listeners::Listeners;
use super::places::Places;
use super::port::{Listener, Port};
use crate::plan::UnixKind;
use crate::sys::socket::{is_v6only, set_nonblocking};
use crate::words::GenerationId;
use nix::errno::Errno;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;

impl Listeners {
    /// Puts a generation's seat at the listener of the plan that fits where its own socket was. None: none fits.
    pub(super) fn claim(
        &mut self,
        generation: GenerationId,
        (transport, at, v6only): (Transport, SocketAddr, bool),
        nonblock: bool,
        asker: Asker<'_>,
    ) -> Option<Verdict> {
        let fits = |listener: &Listener| {
            let planned = match listener.bound.address {
                BoundAddress::Tcp(planned) if transport == Transport::Tcp => planned,
                BoundAddress::Udp(planned) if transport == Transport::Udp => planned,
                _ => return None,
            };
            let six = planned.is_ipv6() && listener.seat(generation).is_some_and(|seat| is_v6only(&seat));
            distance((planned, six), (at, v6only))
        };
        let near = |listener: usize| Some((fits(&self.list[listener])?, listener));
        let nearest = &self.list[self.planned(generation).filter_map(near).min()?.1];
        if is_strange(nearest, at) {
            let asked = match transport {
                Transport::Tcp => BoundAddress::Tcp(at),
                Transport::Udp => BoundAddress::Udp(at),
            };
            self.strange = Some((Rc::clone(&nearest.bound.flag), asked));
            return Some(Verdict::Answer(Err(Errno::EADDRINUSE)));
        }
        put(nearest, generation, nonblock, asker)
    }

    /// What a generation has asked for and cannot have, with the flag of the listener that is in its way: that one is no socket
    /// for IPv4 alone.
    pub fn take_strange(&mut self) -> Option<(Rc<str>, BoundAddress)> {
        self.strange.take()
    }

    /// The same at a Unix path, for a socket of this kind.
    pub fn claim_path(
        &mut self,
        generation: GenerationId,
        (path, kind): (&Path, UnixKind),
        nonblock: bool,
        asker: Asker<'_>,
    ) -> Option<Verdict> {
        let at = self.planned_path(generation, path)?;
        let listener = &mut self.list[at];
        if !matches!(listener.bound.address, BoundAddress::Path { kind: planned, .. } if planned == kind) {
            return None;
        }
        if let Port::Path(planned) = &mut listener.port {
            planned.note_bound(generation, &listener.options);
        }
        put(listener, generation, nonblock, asker)
    }

    /// The same for an abstract name.
    pub fn claim_name(
        &self,
        generation: GenerationId,
        (name, kind): (&[u8], UnixKind),
        nonblock: bool,
        asker: Asker<'_>,
    ) -> Option<Verdict> {
        let wanted = BoundAddress::Abstract { kind, name: name.to_owned() };
        let at = self.planned(generation).find(|at| self.list[*at].bound.address == wanted)?;
        put(&self.list[at], generation, nonblock, asker)
    }

    /// Which listener of the plan is at this path.
    pub(super) fn planned_path(&self, generation: GenerationId, path: &Path) -> Option<usize> {
        self.planned(generation).find(|at| self.list[*at].path().is_some_and(|planned| leads_to(planned, path)))
    }

    /// Whether it is the name by which a socket behind a public path is kept, and which a copy takes for that of its socket.
    pub(super) fn is_private(&self, path: &Path) -> bool {
        let paths = self.list.iter().filter_map(|listener| match &listener.port {
            Port::Path(path) => Some(path),
            _ => None,
        });
        let names = paths.flat_map(|path| &path.seats).filter_map(|seat| seat.named.private.as_deref());
        names.into_iter().any(|private| leads_to(private, path))
    }

    /// The listeners of a generation's plan.
    fn planned(&self, generation: GenerationId) -> impl Iterator<Item = usize> {
        self.sets.of.get(&generation).into_iter().flat_map(Places::iter)
    }
}

impl Listener {
    /// The Unix path it is at.
    pub(super) fn path(&self) -> Option<&Path> {
        match (&self.port, &self.bound.address) {
            (Port::Path(path), _) => Some(&path.public),
            (Port::Shared(_), BoundAddress::Path { path, .. }) => Some(path),
            _ => None,
        }
    }
}

fn put(listener: &Listener, generation: GenerationId, nonblock: bool, asker: Asker<'_>) -> Option<Verdict> {
    let seat = listener.seat(generation)?;
    if (asker.polled)() {
        return Some(Verdict::Answer(Err(Errno::EADDRINUSE)));
    }
    // What all copies share is not changed under them.
    if listener.own_seat(generation).is_some() {
        set_nonblocking(&seat, nonblock).ok();
    }
    Some(Verdict::Answer((asker.put)(seat)))
}

/// The public path as the kernel resolves it, with what lies in the way.
fn leads_to(planned: &Path, path: &Path) -> bool {
    let resolved = || -> Option<PathBuf> {
        let parent = planned.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        Some(parent.canonicalize().ok()?.join(planned.file_name()?))
    };
    planned.file_name() == path.file_name() && resolved().is_some_and(|resolved| resolved == path)
}

/// A program that asks for a socket for IPv4 would get one from which its clients' addresses come as IPv6: nginx closes such
/// connections, and lists of addresses fit none of them.
fn is_strange(listener: &Listener, asked: SocketAddr) -> bool {
    asked.is_ipv4() && listener.bound.address.inet().is_some_and(|planned| planned.is_ipv6())
}

/// How far a planned address is from the one a copy asks for; None: they have nothing to do with each other. With each: whether
/// its socket takes IPv6 alone.
fn distance((planned, planned_six): (SocketAddr, bool), (asked, asked_six): (SocketAddr, bool)) -> Option<u8> {
    let (ip, wanted) = (planned.ip().to_canonical(), asked.ip().to_canonical());
    let covers = |one: IpAddr, six: bool, other: IpAddr| {
        one.is_unspecified() && (one.is_ipv4() == other.is_ipv4() || one.is_ipv6() && !six)
    };
    match () {
        () if planned.port() != asked.port() => None,
        () if ip == wanted => Some(0),
        () if !covers(ip, planned_six, wanted) && !covers(wanted, asked_six, ip) => None,
        () if ip.is_ipv4() == wanted.is_ipv4() => Some(1),
        () => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_near_to_itself_and_to_those_that_cover_it() {
        let six = |text: &str| (text.trim_end_matches('6').parse().unwrap(), text.ends_with('6'));
        let far = |planned: &str, asked: &str| distance(six(planned), six(asked));
        assert_eq!(far("127.0.0.1:80", "127.0.0.1:80"), Some(0));
        assert_eq!(far("127.0.0.1:80", "[::ffff:127.0.0.1]:80"), Some(0));
        assert_eq!(far("127.0.0.1:80", "0.0.0.0:80"), Some(1));
        assert_eq!(far("0.0.0.0:80", "127.0.0.1:80"), Some(1));
        assert_eq!(far("[::1]:80", "[::]:80"), Some(1));
        assert_eq!(far("127.0.0.1:80", "[::]:80"), Some(2));
        assert_eq!(far("[::]:80", "127.0.0.1:80"), Some(2));
        assert_eq!(far("[::]:806", "[::1]:80"), Some(1));
        assert_eq!(far("[::]:80", "[::]:806"), Some(0));
        for (planned, asked) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("[::1]:80", "0.0.0.0:80"),
            ("0.0.0.0:80", "[::1]:80"),
            ("[::]:806", "0.0.0.0:80"),
            ("[::]:806", "127.0.0.1:80"),
            ("0.0.0.0:80", "[::]:806"),
        ] {
            assert_eq!(far(planned, asked), None, "{planned} {asked}");
        }
    }
}
