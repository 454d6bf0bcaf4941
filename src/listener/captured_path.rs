//! Unix paths that copies bind by themselves.
//!
//! A copy that binds while another has the path gets its socket bound at a private name. When it is ready the path leads to
//! it, in one step (rename(2)). What the copies do to the path on the way, removing it before they bind and when they stop,
//! is not done while it leads to another's socket.

use super::bound::BoundAddress;
use super::capturing::{Asker, Verdict, replace};
use super::left::is_connected;
use super::listeners::Listeners;
use super::port::{Listener, Port};
use super::rights::Rights;
use super::unix_name::{Inode, Named, TRIES, has_room, kind_of, private_name, round, sweep};
use super::unix_path::{Seat, UnixPath};
use crate::notice::{Level, Notice};
use crate::plan::UnixKind;
use crate::sys::socket::{is_nonblocking, listen, listens, number};
use crate::words::GenerationId;
use nix::errno::Errno;
use nix::sys::socket::{UnixAddr, bind};
use nix::sys::stat::{Mode, fstat, umask};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::lchown;
use std::path::Path;

/// What a file gets from the thread that makes it.
#[derive(Debug, Clone, Copy)]
pub struct Maker {
    /// The mode bits it withholds.
    pub umask: u32,
    /// Its user and group for files.
    pub owner: (u32, u32),
}

impl Listeners {
    /// A copy is about to bind its socket at a path; see [`Listeners::bind_asked`].
    pub fn path_bind_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        path: &Path,
        maker: Maker,
        asker: Asker<'_>,
    ) -> Verdict {
        let Some(kind) = kind_of(&socket) else { return Verdict::GoOn };
        if let Some(verdict) = self.claim_path(generation, (path, kind), is_nonblocking(&socket), asker) {
            return verdict;
        }
        let active = self.steered_to == generation;
        if let Some(captured) = self.captured_path(path)
            && captured.is_renamed()
        {
            captured.drop_waiting(generation);
        }
        if let Some(captured) = self.captured_path(path).filter(|captured| captured.kind == kind && !captured.renamed) {
            captured.drop_closed(generation, asker.open);
            if let Some(answer) = captured.hand_over(generation, |kept| replace(&socket, kept, asker)) {
                return Verdict::Answer(answer);
            }
            if captured.has_other(generation) {
                if captured.find(generation).is_some() {
                    return Verdict::Answer(Err(Errno::EADDRINUSE));
                }
                let bound = captured.bind_theirs(generation, socket, maker);
                if active && kind == UnixKind::Datagram && bound.is_ok() {
                    // Bound late: everybody comes to this generation already.
                    captured.lead_to(generation);
                }
                return Verdict::Answer(bound);
            }
        }
        // Of one that serves already, it is a client's.
        if kind == UnixKind::Datagram && asker.early {
            self.wait_until_bound(generation, socket, Some(path.to_owned()));
        }
        Verdict::GoOn
    }

    /// A copy is about to listen on its socket, which is bound at this path.
    pub fn path_listen_asked(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        path: &Path,
        backlog: i32,
    ) -> Option<Notice> {
        let kind = kind_of(&socket)?;
        if listens(&socket) {
            return None;
        }
        let number = fstat(&socket).ok()?.st_ino;
        let active = self.steered_to == generation;
        let ours = |captured: &&mut UnixPath| captured.seats.iter().any(|seat| seat.number() == number);
        if let Some(captured) = self.captured_paths_mut().find(ours) {
            // Bound late: everybody comes to this generation already. Before anybody can, it listens.
            if active && listen(socket.as_fd(), backlog).is_ok() {
                captured.lead_to(generation);
            }
            return None;
        }
        self.note_path(generation, socket, path, kind)
    }

    /// Takes note of a socket that its copy has bound at a path by itself.
    pub(super) fn note_path(
        &mut self,
        generation: GenerationId,
        socket: OwnedFd,
        path: &Path,
        kind: UnixKind,
    ) -> Option<Notice> {
        if !has_room(path) {
            let text = format!(
                "{} is not captured: the path is too long for private names beside it, so a new copy takes it before it \
                 is ready",
                path.display()
            );
            return Some(Notice::Note { level: Level::Problem, text });
        }
        let captured = self.provide_path(path, kind)?;
        let known = !captured.seats.is_empty();
        captured.note_first(generation, socket);
        let address = BoundAddress::Path { kind, path: path.to_owned() }.to_string();
        (!known).then(|| Notice::Listening { name: address.replace(':', "-"), address, shared: None })
    }

    /// A copy is about to remove this path.
    pub fn unlink_asked(&mut self, generation: GenerationId, path: &Path) -> Verdict {
        let captured = self.captured_path(path).is_some_and(|captured| captured.leads_to_other(generation));
        let ours = captured || self.planned_path(generation, path).is_some() || self.is_private(path);
        if ours { Verdict::Answer(Ok(())) } else { Verdict::GoOn }
    }

    /// Whether any copy has a socket at a path.
    #[must_use]
    pub fn any_path(&self) -> bool {
        let any = |listener: &Listener| !matches!(&listener.port, Port::Path(path) if path.seats.is_empty());
        self.list.iter().any(|listener| listener.path().is_some() && any(listener))
    }

    pub(super) fn captured_paths(&self) -> impl Iterator<Item = &UnixPath> {
        self.list.iter().filter_map(|listener| match &listener.port {
            Port::Path(path) if path.captured => Some(path),
            _ => None,
        })
    }

    fn captured_paths_mut(&mut self) -> impl Iterator<Item = &mut UnixPath> {
        self.list.iter_mut().filter_map(|listener| match &mut listener.port {
            Port::Path(path) if path.captured => Some(path),
            _ => None,
        })
    }

    fn captured_path(&mut self, public: &Path) -> Option<&mut UnixPath> {
        self.captured_paths_mut().find(|captured| captured.public == public)
    }

    /// The captured path, as a new listener where it is not known yet.
    fn provide_path(&mut self, public: &Path, kind: UnixKind) -> Option<&mut UnixPath> {
        let here = |path: &UnixPath| path.captured && path.kind == kind && path.public == public;
        let known = |listener: &Listener| matches!(&listener.port, Port::Path(path) if here(path));
        let at = self.list.iter().position(known).unwrap_or_else(|| {
            let address = BoundAddress::Path { kind, path: public.to_owned() };
            self.place(Listener::captured(address, Port::Path(UnixPath::captured(public, kind))))
        });
        match &mut self.list[at].port {
            Port::Path(path) => Some(path),
            _ => None,
        }
    }
}

impl UnixPath {
    /// A path that no copy has bound yet.
    fn captured(public: &Path, kind: UnixKind) -> UnixPath {
        let (public, published) = (public.to_owned(), Inode::NONE);
        UnixPath {
            public,
            kind,
            shared: false,
            captured: true,
            asked: Rights::default(),
            renamed: false,
            seats: Vec::new(),
            published,
            serial: 0,
        }
    }

    /// Whether a generation listens here.
    pub(super) fn has(&self, owner: GenerationId) -> bool {
        let serves = |seat: &Seat| self.kind == UnixKind::Datagram || listens(&seat.named.socket);
        self.seats.iter().any(|seat| seat.owner == owner && !seat.waits && serves(seat))
    }

    /// Whether another generation has a socket here, or one that crashed has left it one.
    pub(super) fn has_other(&self, owner: GenerationId) -> bool {
        self.seats.iter().any(|seat| seat.owner != owner || seat.waits)
    }

    /// Closes what still waits for a generation that does not need it.
    pub(super) fn drop_waiting(&mut self, owner: GenerationId) {
        self.seats.extract_if(.., |seat| seat.owner == owner && seat.waits).for_each(|seat| seat.named.forget());
    }

    pub(super) fn seat_of(&self, inode: Option<Inode>) -> Option<&Seat> {
        self.seats.iter().find(|seat| Some(seat.named.inode) == inode)
    }

    fn leads_to_other(&self, owner: GenerationId) -> bool {
        self.seat_of(Inode::at(&self.public)).is_some_and(|seat| seat.owner != owner || seat.waits)
    }

    /// Forgets a generation's socket that it has closed itself.
    pub(super) fn drop_closed(&mut self, owner: GenerationId, open: &dyn Fn(u64) -> bool) {
        let closed = |seat: &mut Seat| seat.owner == owner && !seat.waits && !open(seat.number());
        self.seats.extract_if(.., closed).for_each(|seat| seat.named.forget());
    }

    /// Forgets those datagram sockets of a generation that turned out to be clients: closed soon, or connected.
    pub(super) fn drop_clients(&mut self, owner: GenerationId, open: &dyn Fn(u64) -> bool) {
        let over = |seat: &Seat| is_connected(&seat.named.socket) || !open(seat.number());
        let client = |seat: &mut Seat| seat.owner == owner && !seat.waits && over(seat);
        if self.kind == UnixKind::Datagram {
            self.seats.extract_if(.., client).for_each(|seat| seat.named.forget());
        }
    }

    /// Gives a copy the socket that waits for it.
    fn hand_over(
        &mut self,
        owner: GenerationId,
        put: impl Fn(BorrowedFd<'_>) -> nix::Result<()>,
    ) -> Option<nix::Result<()>> {
        let seat = self.seats.iter_mut().find(|seat| seat.owner == owner && seat.waits)?;
        let answer = put(seat.named.socket.as_fd());
        seat.waits = answer.is_err();
        Some(answer)
    }

    /// Binds a copy's socket at a private name, with the rights its own call would have given it.
    fn bind_theirs(&mut self, owner: GenerationId, socket: OwnedFd, maker: Maker) -> nix::Result<()> {
        for _try in 0..TRIES {
            self.serial = round(self.serial + 1);
            let private = private_name(&self.public, self.serial);
            let before = umask(Mode::from_bits_truncate(maker.umask));
            let bound = UnixAddr::new(&private).and_then(|address| bind(socket.as_raw_fd(), &address));
            umask(before);
            match bound {
                Err(Errno::EADDRINUSE) => {}
                Err(errno) => return Err(errno),
                Ok(()) => {
                    lchown(&private, Some(maker.owner.0), Some(maker.owner.1)).ok();
                    let inode = Inode::at(&private).ok_or(Errno::ENOENT)?;
                    self.add(owner, Named { socket, inode, private: Some(private) });
                    return Ok(());
                }
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// Takes note of a socket that its copy has bound at the path itself, and gives it a private name too.
    fn note_first(&mut self, owner: GenerationId, socket: OwnedFd) {
        let Some(inode) = Inode::at(&self.public) else { return };
        if self.seats.is_empty() {
            sweep(&self.public, self.kind);
        }
        let mut private = None;
        for _try in 0..TRIES {
            self.serial = round(self.serial + 1);
            let name = private_name(&self.public, self.serial);
            match fs::hard_link(&self.public, &name) {
                Ok(()) => private = Some(name),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(_) => {}
            }
            break;
        }
        self.published = inode;
        self.add(owner, Named { socket, inode, private });
    }
}

impl Seat {
    /// The socket's number, as /proc/PID/fd shows it.
    fn number(&self) -> u64 {
        number(&self.named.socket)
    }
}
