//! One Unix path: the sockets behind it, and which of them it leads to.
//!
//! Every generation's socket is bound at a private name beside the path. The public path is a second name (link(2)) of
//! the active one's, put there by rename(2), so that it changes hands in one step; the private names stay, so that it can
//! be handed back, and put back when a copy removed it.

use super::error::{BIND, Fault, Problem};
use super::options::begin_to_listen;
use super::port::{Made, Sharing};
use super::rights::Rights;
use super::steered::NOBODY;
use super::unix_name::{Inode, Lies, Named, bind_at, busy, has_room, look, private, publish, remove, sweep};
use crate::plan::{SocketOptions, UnixKind};
use crate::sys::poll;
use crate::sys::socket::set_nonblocking;
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::poll::{PollFlags, PollTimeout};
use nix::sys::socket::{Shutdown, UnixAddr, shutdown};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) owner: GenerationId,
    pub(super) named: Named,
    /// Of a path that copies bind: its copy crashed, and the successor has not asked for it yet.
    pub(super) waits: bool,
    /// Of a path of the plan: its copy has bound it by itself, and may have changed its mode and owner.
    #[serde(default)]
    pub(super) claimed: bool,
}

/// A public path and the seats behind it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UnixPath {
    #[serde(with = "crate::words::path")]
    pub(super) public: PathBuf,
    pub(super) kind: UnixKind,
    /// True when there is one socket for all generations.
    pub(super) shared: bool,
    /// True when copies bind it by themselves.
    pub(super) captured: bool,
    /// True when they rename it then.
    #[serde(default)]
    pub(super) renamed: bool,
    /// What the options of the listener say, and copies do not.
    #[serde(default)]
    pub(super) asked: Rights,
    pub(super) seats: Vec<Seat>,
    /// What the public path leads to, as far as endless put it there.
    pub(super) published: Inode,
    /// Numbers the private names.
    pub(super) serial: u32,
}

/// What became of a public path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Custody {
    /// It was as endless left it.
    Kept,
    /// It had been unlinked or replaced, and leads to the right socket again.
    Restored(&'static str),
    /// It cannot be made to lead there, and why.
    Lost(&'static str),
}

impl UnixPath {
    /// Binds the first socket and publishes it.
    pub(super) fn bind(
        public: &Path,
        kind: UnixKind,
        options: &SocketOptions,
        sharing: Sharing,
    ) -> Result<(UnixPath, Sharing), Problem> {
        let lies = look(public, kind)?;
        if lies == Lies::Stale {
            sweep(public, kind);
        }
        let shared = sharing != Sharing::None;
        let first = match has_room(public) {
            true => private(public, kind, options, 1),
            false => Err(Fault { step: "use this path", errno: Errno::ENAMETOOLONG }),
        };
        let (named, sharing, serial) = match first {
            Ok((mut named, serial)) => match first_publish(&mut named, public, lies)? {
                true => (named, sharing, serial),
                false => (named, refused(sharing, "the file system has no second names for sockets (link(2))"), serial),
            },
            Err(Fault { errno: Errno::ENAMETOOLONG, .. }) if UnixAddr::new(public).is_ok() => {
                if lies == Lies::Stale {
                    remove(public);
                }
                let (socket, inode) = bind_at(public, kind, options)?;
                let named = Named { socket, inode, private: None };
                (named, refused(sharing, "the path is too long for private names beside it"), 1)
            }
            Err(fault) => return Err(fault.into()),
        };
        let shared = shared || sharing != Sharing::None;
        let published = named.inode;
        let seats = vec![Seat { owner: NOBODY, named, waits: false, claimed: false }];
        let public = public.to_owned();
        Ok((
            UnixPath {
                public,
                kind,
                shared,
                captured: false,
                renamed: false,
                asked: Rights::default(),
                seats,
                published,
                serial,
            },
            sharing,
        ))
    }

    /// The socket a generation uses.
    pub(super) fn seat(&self, owner: GenerationId) -> Option<BorrowedFd<'_>> {
        self.find(if self.shared { NOBODY } else { owner }).map(|seat| seat.named.socket.as_fd())
    }

    /// The socket only this generation uses.
    pub(super) fn own_seat(&self, owner: GenerationId) -> Option<BorrowedFd<'_>> {
        if self.shared { None } else { self.seat(owner) }
    }

    /// The private name of a generation's own socket.
    pub(super) fn private_name(&self, owner: GenerationId) -> Option<&Path> {
        if self.shared { None } else { self.find(owner)?.named.private.as_deref() }
    }

    /// Stream, datagram or seqpacket.
    pub(super) fn kind(&self) -> UnixKind {
        self.kind
    }

    pub(super) fn find(&self, owner: GenerationId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.owner == owner)
    }

    /// Makes the next generation's socket at a private name.
    pub(super) fn make(&mut self, options: &SocketOptions) -> Result<Made, Problem> {
        if self.shared || self.captured {
            return Ok(Made::None);
        }
        if self.find(NOBODY).is_some() {
            return Ok(Made::First);
        }
        let (named, serial) = private(&self.public, self.kind, options, self.serial + 1)?;
        self.serial = serial;
        Ok(Made::Named(named))
    }

    /// The socket just made belongs to this generation.
    pub(super) fn add(&mut self, owner: GenerationId, named: Named) {
        self.seats.push(Seat { owner, named, waits: false, claimed: false });
    }

    /// The seat of one generation belongs to another from now on.
    pub(super) fn rename(&mut self, from: GenerationId, to: GenerationId) {
        if !self.shared {
            for seat in self.seats.iter_mut().filter(|seat| seat.owner == from) {
                (seat.owner, seat.waits) = (to, self.captured);
            }
        }
    }

    /// Puts back O_NONBLOCK and the backlog. A socket that a copy shut down cannot be revived: a new one takes its place.
    pub(super) fn restore(&mut self, owner: GenerationId, options: &SocketOptions, held: bool) {
        if self.captured {
            return;
        }
        let Some(at) = self.seats.iter().position(|seat| seat.owner == owner) else { return };
        let socket = &self.seats[at].named.socket;
        if !held {
            set_nonblocking(socket, options.nonblocking()).ok();
        }
        if self.kind != UnixKind::Datagram {
            begin_to_listen(socket, options).ok();
        }
        if is_shut(socket)
            && let Ok((named, serial)) = private(&self.public, self.kind, options, self.serial + 1)
        {
            let was_public = self.seats[at].named.inode == self.published;
            self.serial = serial;
            std::mem::replace(&mut self.seats[at].named, named).forget();
            if was_public {
                self.lead_to(owner);
            }
        }
    }

    /// Puts the socket all generations share back to what was asked.
    pub(super) fn reset_shared(&self, options: &SocketOptions) {
        if let (true, Some(seat)) = (self.shared, self.seats.first()) {
            set_nonblocking(&seat.named.socket, options.nonblocking()).ok();
            if self.kind != UnixKind::Datagram {
                begin_to_listen(&seat.named.socket, options).ok();
            }
        }
    }

    /// The public path leads to this generation's socket from now on, if it does not yet.
    pub(super) fn lead_to(&mut self, to: GenerationId) -> Custody {
        let owner = if self.shared { NOBODY } else { to };
        if self.is_renamed() {
            return Custody::Kept;
        }
        self.take_rights(owner);
        let now = fs::symlink_metadata(&self.public).ok();
        if now.as_ref().is_some_and(|file| !file.file_type().is_socket()) {
            return Custody::Lost("something that is no socket lies there now");
        }
        let now = Inode::at(&self.public);
        self.keep_names(now);
        let Some(seat) = self.find(owner) else { return Custody::Kept };
        let wanted = seat.named.inode;
        if now != Some(wanted) {
            let Some(private) = &seat.named.private else { return Custody::Lost("its socket has no other name") };
            if publish(private, &self.public).is_err() || Inode::at(&self.public) != Some(wanted) {
                return Custody::Lost("its socket could not be given the name again");
            }
        }
        let expected = std::mem::replace(&mut self.published, wanted);
        match now {
            Some(found) if found == expected || found == wanted => Custody::Kept,
            Some(_) => Custody::Restored("replaced"),
            None => Custody::Restored("unlinked"),
        }
    }

    /// Before the public path leads elsewhere: the socket it is a name of must keep its private one, and a copy may have
    /// removed that.
    fn keep_names(&self, public: Option<Inode>) {
        for seat in self.seats.iter().filter(|seat| Some(seat.named.inode) == public) {
            if let Some(private) = seat.named.private.as_ref().filter(|private| Inode::at(private).is_none()) {
                fs::hard_link(&self.public, private).ok();
            }
        }
    }

    /// Ends listening on a generation's own seat; see `Steered::shut`.
    pub(super) fn shut(&mut self, owner: GenerationId) {
        if let (false, Some(seat)) = (self.kind == UnixKind::Datagram, self.own_seat(owner)) {
            shutdown(seat.as_raw_fd(), Shutdown::Both).ok();
        }
    }

    /// Closes a generation's own seat and removes its private name. The public path stays, even where it leads nowhere.
    pub(super) fn release(&mut self, owner: GenerationId) {
        if self.shared {
            return;
        }
        self.shut(owner);
        self.seats.extract_if(.., |seat| seat.owner == owner).for_each(|seat| seat.named.forget());
    }

    /// The end: every name that still is our own is removed.
    pub(super) fn close(self) {
        if Inode::at(&self.public) == Some(self.published) {
            remove(&self.public);
        }
        self.seats.into_iter().for_each(|seat| seat.named.forget());
    }
}

/// Gives the first socket its public name. False when it has no private one from now on.
fn first_publish(named: &mut Named, public: &Path, lies: Lies) -> Result<bool, Problem> {
    let Some(private) = named.private.clone() else { return Ok(false) };
    let linked = match lies {
        Lies::Nothing => fs::hard_link(&private, public),
        Lies::Stale => publish(&private, public),
    };
    let error = match linked {
        Ok(()) => return Ok(true),
        Err(error) => Errno::from_raw(error.raw_os_error().unwrap_or_default()),
    };
    let unable = matches!(error, Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK);
    if unable && fs::rename(&private, public).is_ok() {
        named.private = None;
        return Ok(false);
    }
    remove(&private);
    Err(if error == Errno::EEXIST { busy(public) } else { Fault { step: BIND, errno: error }.into() })
}

fn refused(sharing: Sharing, why: &str) -> Sharing {
    if sharing == Sharing::None { Sharing::Refused(why.to_owned()) } else { sharing }
}

/// True when somebody called shutdown(2) on it, for both directions.
fn is_shut(socket: &OwnedFd) -> bool {
    poll::state(socket, PollFlags::empty(), PollTimeout::ZERO).is_ok_and(|state| state.contains(PollFlags::POLLHUP))
}
