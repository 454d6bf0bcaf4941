//! Unix datagram sockets that copies are about to bind.
//!
//! Nobody listens on such a socket: it serves from when it is bound. Its copy does that itself, for the path has to be one
//! that it may make. What it is, a server's or a client's, is decided when the copy is known to serve.

use super::left::is_connected;
use super::listeners::Listeners;
use super::unix_name::name_of;
use crate::notice::Notice;
use crate::plan::{UnixKind, UnixName};
use crate::sys::socket::number;
use crate::words::GenerationId;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// One of them.
#[derive(Debug)]
pub(super) struct Unbound {
    pub(super) owner: GenerationId,
    socket: OwnedFd,
    /// Where it is going to be, unless it gets an abstract name.
    path: Option<PathBuf>,
}

impl Unbound {
    /// Whether it was bound meanwhile and may be a server's.
    fn serves(&self) -> bool {
        name_of(&self.socket).is_some() && !is_connected(&self.socket)
    }
}

impl Listeners {
    pub(super) fn wait_until_bound(&mut self, owner: GenerationId, socket: OwnedFd, path: Option<PathBuf>) {
        let one = Unbound { owner, socket, path };
        self.unbound.retain(|other| number(&other.socket) != number(&one.socket));
        self.unbound.push(one);
    }

    /// Whether a generation has bound one.
    pub(super) fn any_bound(&self, owner: GenerationId) -> bool {
        self.unbound.iter().any(|one| one.owner == owner && one.serves())
    }

    /// A generation serves: what it has bound and not closed or connected since is a listener, which is told. `open` as in
    /// [`super::Asker`].
    pub(super) fn note_bound(&mut self, owner: GenerationId, open: &dyn Fn(u64) -> bool) -> Vec<Notice> {
        let all: Vec<_> = self.unbound.extract_if(.., |one| one.owner == owner).collect();
        let note = |one: Unbound| match name_of(&one.socket)? {
            UnixName::Path(_) => self.note_path(one.owner, one.socket, &one.path?, UnixKind::Datagram),
            UnixName::Abstract(name) => self.note_name(one.owner, one.socket, UnixKind::Datagram, &name),
        };
        all.into_iter().filter(|one| one.serves() && open(number(&one.socket))).filter_map(note).collect()
    }
}
