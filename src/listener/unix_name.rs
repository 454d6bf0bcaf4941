//! Unix sockets at paths: bound with the right mode and owner, found stale or alive, linked and renamed.

use super::error::{BIND, During, Fault, Problem};
use super::holder;
use super::options::begin_to_listen;
use super::shared::{answers, unix_socket};
use crate::plan::{SocketOptions, UnixKind, UnixName};
use nix::errno::Errno;
use nix::sys::socket::{SockType, UnixAddr, bind, getsockname, getsockopt, sockopt};
use nix::sys::stat::{Mode, fchmod, umask};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// A file, whatever it is called: device and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inode(u64, u64);

impl Inode {
    /// No file.
    pub(super) const NONE: Inode = Inode(0, 0);

    /// The file at a path, itself and not what a symbolic link points to; None when there is none.
    pub(super) fn at(path: &Path) -> Option<Inode> {
        fs::symlink_metadata(path).ok().map(|file| Inode(file.dev(), file.ino()))
    }
}

/// A socket at its private name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Named {
    #[serde(with = "crate::sys::carried")]
    pub(super) socket: OwnedFd,
    pub(super) inode: Inode,
    /// None where no private name can be.
    #[serde(with = "crate::words::path::optional")]
    pub(super) private: Option<PathBuf>,
}

/// How many private names are tried before giving up: others may be in use by an endless of the same pid.
pub(super) const TRIES: u32 = 64;
/// The private names are numbered up to here, and then from 1 on again: so it is known from the first how long they become.
const LAST: u32 = 9999;

/// What lies at a path before it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    Nothing,
    /// A socket nobody answers.
    Stale,
}

/// Looks at a path that is to be bound.
///
/// # Errors
/// When somebody answers there, or when it is no socket: such a path is never touched.
pub(super) fn look(path: &Path, kind: UnixKind) -> Result<Lies, Problem> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lies::Nothing),
        other => other.during("look at the path")?,
    };
    if !file.file_type().is_socket() {
        return Err(Problem::NoSocketThere(path.to_owned()));
    }
    let address = UnixAddr::new(path).during("use this path")?;
    if answers(kind, &address)? { Err(busy(path)) } else { Ok(Lies::Stale) }
}

/// Somebody has a socket at this path. One of another endless bears its private name.
pub(super) fn busy(path: &Path) -> Problem {
    let private = path.with_file_name(private_prefix(path));
    let [public, private] = [path, &private].map(|name| name.as_os_str().as_encoded_bytes());
    Problem::Busy(holder::of_unix(|name| name == public || name.starts_with(private)))
}

/// A socket bound at a path, with its mode and owner, listening. Nobody has more rights at any time than asked for.
pub(super) fn bind_at(path: &Path, kind: UnixKind, options: &SocketOptions) -> Result<(OwnedFd, Inode), Fault> {
    let address = UnixAddr::new(path).during("use this path")?;
    let socket = unix_socket(kind, options)?;
    let owned = options.user.is_some() || options.group.is_some();
    if owned || options.mode.is_some() {
        // The file gets the mode the socket has when it is bound, less the umask (unix(7)).
        let first = if owned { 0o600 } else { options.mode.unwrap_or(0o600) };
        fchmod(&socket, Mode::from_bits_truncate(first)).during("set mode")?;
    }
    bind(socket.as_raw_fd(), &address).during(BIND)?;
    finish(path, kind, options, &socket).inspect_err(|_| remove(path))?;
    let inode = Inode::at(path).ok_or(Fault { step: "look at the path", errno: nix::errno::Errno::ENOENT })?;
    Ok((socket, inode))
}

fn finish(path: &Path, kind: UnixKind, options: &SocketOptions, socket: &OwnedFd) -> Result<(), Fault> {
    let owned = options.user.is_some() || options.group.is_some();
    if owned {
        lchown(path, options.user, options.group).during("set user and group")?;
    }
    if owned || options.mode.is_some() {
        let mode = options.mode.unwrap_or_else(ordinary_mode);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).during("set mode")?;
    }
    if kind == UnixKind::Datagram { Ok(()) } else { begin_to_listen(socket, options) }
}

/// The mode a socket has when none was asked for: everything the umask leaves.
fn ordinary_mode() -> u32 {
    let mask = umask(Mode::empty());
    umask(mask);
    0o777 & !mask.bits()
}

/// Makes `public` a name of the socket at `private` too, in one step, whatever socket `public` was a name of before.
pub(super) fn publish(private: &Path, public: &Path) -> std::io::Result<()> {
    let mut step = private.as_os_str().to_owned();
    step.push(".new");
    let step = PathBuf::from(step);
    remove(&step);
    fs::hard_link(private, &step)?;
    let renamed = fs::rename(&step, public);
    // rename(2) of two names of one file leaves both.
    remove(&step);
    renamed
}

/// Removes a name; that there is none is fine.
pub(super) fn remove(path: &Path) {
    fs::remove_file(path).ok();
}

/// What the private names at this path begin with: `.app.sock.endless-`.
pub(super) fn private_prefix(public: &Path) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from(".");
    name.push(public.file_name().unwrap_or_default());
    name.push(".endless-");
    name
}

/// Removes the private names an endless that was killed left at this path: those nobody answers.
pub(super) fn sweep(public: &Path, kind: UnixKind) {
    let prefix = private_prefix(public);
    let directory = public.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes())
            && look(&entry.path(), kind) == Ok(Lies::Stale)
        {
            remove(&entry.path());
        }
    }
}

impl Named {
    /// Closes the socket and removes its private name.
    pub(super) fn forget(self) {
        if let Some(private) = self.private.filter(|private| Inode::at(private) == Some(self.inode)) {
            remove(&private);
        }
    }
}

/// Whether all private names beside a path are short enough for a socket.
pub(super) fn has_room(public: &Path) -> bool {
    UnixAddr::new(&private_name(public, LAST)).is_ok()
}

/// A private name beside a path.
pub(super) fn private_name(public: &Path, serial: u32) -> PathBuf {
    let mut name = private_prefix(public);
    name.push(format!("{}-{serial}", std::process::id()));
    public.with_file_name(name)
}

/// A socket at the next free private name beside a path, and that name's number.
pub(super) fn private(
    public: &Path,
    kind: UnixKind,
    options: &SocketOptions,
    from: u32,
) -> Result<(Named, u32), Fault> {
    for serial in (from..from.saturating_add(TRIES)).map(round) {
        let path = private_name(public, serial);
        if look(&path, kind) == Ok(Lies::Stale) {
            remove(&path);
        }
        match bind_at(&path, kind, options) {
            Ok((socket, inode)) => return Ok((Named { socket, inode, private: Some(path) }, serial)),
            Err(Fault { step: BIND, errno: Errno::EADDRINUSE }) => {}
            Err(fault) => return Err(fault),
        }
    }
    Err(Fault { step: "find a free private name", errno: Errno::EADDRINUSE })
}

/// The number of a private name.
pub(super) fn round(serial: u32) -> u32 {
    serial.saturating_sub(1) % LAST + 1
}

/// The name of a Unix socket, a path as it was typed; None for any other, and for one that is not bound.
#[must_use]
pub fn name_of(socket: &OwnedFd) -> Option<UnixName> {
    let name: UnixAddr = getsockname(socket.as_raw_fd()).ok()?;
    let path = || name.path().map(|path| UnixName::Path(path.to_owned()));
    name.as_abstract().map(|name| UnixName::Abstract(name.to_owned())).or_else(path)
}

/// The kind of a Unix socket.
pub(super) fn kind_of(socket: &OwnedFd) -> Option<UnixKind> {
    match getsockopt(socket, sockopt::SockType) {
        Ok(SockType::Stream) => Some(UnixKind::Stream),
        Ok(SockType::SeqPacket) => Some(UnixKind::Seqpacket),
        Ok(SockType::Datagram) => Some(UnixKind::Datagram),
        _ => None,
    }
}
