//! Abstract Unix names that copies bind by themselves (unix(7)).
//!
//! Two sockets cannot have the same one, and none can be given another. So the first copy's socket is everybody's: it is put
//! in place of what a later copy binds there.

use super::bound::BoundAddress;
use super::capturing::{Asker, Verdict};
use super::listeners::Listeners;
use super::port::{Listener, Port};
use super::unix_name::kind_of;
use crate::notice::Notice;
use crate::plan::UnixKind;
use crate::sys::socket::{is_nonblocking, listens, number, set_nonblocking};
use crate::words::GenerationId;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};

/// A name and who uses it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CapturedName {
    kind: UnixKind,
    name: Vec<u8>,
    uses: Vec<Use>,
}

/// A descriptor of the one socket, kept for a generation.
#[derive(Debug, Serialize, Deserialize)]
struct Use {
    owner: GenerationId,
    #[serde(with = "crate::sys::carried")]
    socket: OwnedFd,
    /// Its copy crashed, and the successor has not asked for it yet.
    waits: bool,
}

impl Listeners {
    /// A copy is about to bind its socket to an abstract name; see [`Listeners::bind_asked`].
    pub fn name_bind_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        name: &[u8],
        asker: Asker<'_>,
    ) -> Verdict {
        let Some(kind) = kind_of(&socket) else { return Verdict::GoOn };
        if let Some(verdict) = self.claim_name(generation, (name, kind), is_nonblocking(&socket), asker) {
            return verdict;
        }
        let used = self.captured_name(kind, name).filter(|named| !named.uses.is_empty());
        let Some(named) = used else {
            if kind == UnixKind::Datagram && asker.early {
                self.wait_until_bound(generation, socket, None);
            }
            return Verdict::GoOn;
        };
        Verdict::Answer(named.hand_over(generation, &socket, asker))
    }

    /// A copy is about to listen on a socket that has this name.
    pub fn name_listen_asked(&mut self, generation: GenerationId, socket: OwnedFd, name: &[u8]) -> Option<Notice> {
        let kind = kind_of(&socket)?;
        if listens(&socket) { None } else { self.note_name(generation, socket, kind, name) }
    }

    /// Takes note of a socket that its copy has given this name.
    pub(super) fn note_name(
        &mut self,
        owner: GenerationId,
        socket: OwnedFd,
        kind: UnixKind,
        name: &[u8],
    ) -> Option<Notice> {
        if self.captured_name(kind, name).is_none() {
            let named = CapturedName { kind, name: name.to_owned(), uses: Vec::new() };
            self.place(Listener::captured(named.address(), Port::Name(named)));
        }
        let named = self.captured_name(kind, name).filter(|named| named.uses.is_empty())?;
        named.uses.push(Use { owner, socket, waits: false });
        let address = named.address().to_string();
        Some(Notice::Listening {
            name: address.replace(':', "-"),
            address,
            shared: Some("an abstract name".to_owned()),
        })
    }

    pub(super) fn captured_names(&self) -> impl Iterator<Item = &CapturedName> {
        self.list.iter().filter_map(|listener| match &listener.port {
            Port::Name(named) => Some(named),
            _ => None,
        })
    }

    fn captured_name(&mut self, kind: UnixKind, name: &[u8]) -> Option<&mut CapturedName> {
        self.list.iter_mut().find_map(|listener| match &mut listener.port {
            Port::Name(named) if named.kind == kind && named.name == name => Some(named),
            _ => None,
        })
    }
}

impl CapturedName {
    fn address(&self) -> BoundAddress {
        BoundAddress::Abstract { kind: self.kind, name: self.name.clone() }
    }

    /// Whether nobody uses it any more.
    pub(super) fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// Whether a generation serves here.
    pub(super) fn has(&self, owner: GenerationId) -> bool {
        let serves = |one: &Use| self.kind == UnixKind::Datagram || listens(&one.socket);
        self.uses.iter().any(|one| one.owner == owner && !one.waits && serves(one))
    }

    /// Whether another generation uses it, or one that crashed has left it.
    pub(super) fn has_other(&self, owner: GenerationId) -> bool {
        self.uses.iter().any(|one| one.owner != owner || one.waits)
    }

    /// What one generation used waits for another.
    pub(super) fn rename(&mut self, from: GenerationId, to: GenerationId) {
        for one in self.uses.iter_mut().filter(|one| one.owner == from) {
            (one.owner, one.waits) = (to, true);
        }
    }

    /// A generation does not use it any more.
    pub(super) fn release(&mut self, owner: GenerationId) {
        self.uses.retain(|one| one.owner != owner);
    }

    /// A generation does without what still waits for it.
    pub(super) fn drop_waiting(&mut self, owner: GenerationId) {
        self.uses.retain(|one| one.owner != owner || !one.waits);
    }

    /// A datagram socket that a generation has closed soon was a client's. `open` as in [`Asker`].
    pub(super) fn drop_clients(&mut self, owner: GenerationId, open: &dyn Fn(u64) -> bool) {
        if self.kind == UnixKind::Datagram {
            self.uses.retain(|one| one.owner != owner || one.waits || open(number(&one.socket)));
        }
    }

    /// Puts the socket in place of the one a copy is about to bind.
    fn hand_over(&mut self, owner: GenerationId, theirs: &OwnedFd, asker: Asker<'_>) -> Result<(), Errno> {
        let kept = self.uses.first().ok_or(Errno::EADDRINUSE)?;
        if self.uses.iter().any(|one| one.owner == owner && !one.waits && (asker.open)(number(&one.socket))) {
            return Err(Errno::EADDRINUSE);
        }
        // What all copies share is not changed under them.
        if self.uses.iter().all(|one| one.waits) {
            set_nonblocking(&kept.socket, is_nonblocking(theirs)).ok();
        }
        let socket = kept.socket.try_clone().map_err(|_| Errno::EMFILE)?;
        (asker.put)(socket.as_fd())?;
        self.release(owner);
        self.uses.push(Use { owner, socket, waits: false });
        Ok(())
    }
}
