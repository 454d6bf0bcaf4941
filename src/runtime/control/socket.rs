//! The listening socket of the control protocol at its path: made where nobody living has it, removed at the end.

use crate::control;
use crate::notice::{Level, Notice};
use crate::plan::{Control as Wanted, Error, Fault};
use crate::words::CODE_FAILURE;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The way out where there is no better one.
const ANOTHER: &str = "another path, or --control none";

/// A listening socket; its path is removed when it goes, if it still is ours.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Socket {
    #[serde(with = "crate::sys::carried")]
    pub(super) listener: UnixListener,
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
    inode: u64,
    /// In the directory of the default sockets, which the last one takes away.
    default: bool,
}

/// Opens the control socket that was asked for by its path. The default one is no condition for anything, and comes after
/// the first copy's start: [`open_default`].
///
/// # Errors
/// When it cannot be made, or a living process has it.
pub fn open(wanted: &Wanted) -> Result<Option<super::Control>, Error> {
    let path = match wanted {
        Wanted::At(path) => path,
        Wanted::Named(path) => return not_held(path).map(|()| None),
        Wanted::None | Wanted::Default(_) => return Ok(None),
    };
    let failed = |fault: Fault| Error { code: CODE_FAILURE, ..fault.at("--control", path.to_string_lossy()) };
    Ok(Some(super::Control::new(Socket::bind(path).map_err(failed)?)))
}

/// Two of one name could not be told apart by those who ask for it.
fn not_held(path: &Path) -> Result<(), Error> {
    let Ok(stream) = UnixStream::connect(path) else { return Ok(()) };
    let name = control::name_of(path).unwrap_or_default();
    let fault = Fault::new(format!("that is what pid {} is called", peer(&stream)), "another --name, or stop that one");
    Err(Error { code: CODE_FAILURE, ..fault.at("--name", name) })
}

fn peer(stream: &UnixStream) -> String {
    getsockopt(stream, PeerCredentials).map_or_else(|_| "?".to_owned(), |peer| peer.pid().to_string())
}

/// Opens the default control socket, where it is wanted.
///
/// # Errors
/// Why there is none, for the log.
pub fn open_default(wanted: &Wanted) -> Result<Option<super::Control>, Notice> {
    let skipped = |why: String| Notice::Note {
        level: Level::Normal,
        text: format!("no control socket: {why} (--control PATH, or none)"),
    };
    let path = match wanted {
        Wanted::None | Wanted::At(_) => return Ok(None),
        Wanted::Default(None) => {
            return Err(skipped("XDG_RUNTIME_DIR is not set to a directory of this user".to_owned()));
        }
        Wanted::Named(path) | Wanted::Default(Some(path)) => path,
    };
    let bound = || directory(path.parent().unwrap_or(path)).and_then(|()| Socket::bind(path));
    // Between the two another endless may have ended and taken the empty directory away.
    let bound = bound().or_else(|_| bound());
    let mut socket = bound.map_err(|fault| skipped(format!("{}: {}", path.display(), fault.reason)))?;
    socket.default = true;
    Ok(Some(super::Control::new(socket)))
}

/// The directory of the default sockets: ours, and nobody else can write to it.
fn directory(path: &Path) -> Result<(), Fault> {
    // To look first is cheaper than to fail to make it: that takes the lock of a disk's journal.
    let there = fs::symlink_metadata(path).or_else(|_| {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::symlink_metadata(path)
    });
    let there = there.map_err(|error| Fault::new(format!("its directory cannot be made: {error}"), ANOTHER))?;
    if !there.is_dir() || there.uid() != geteuid().as_raw() || there.mode() & 0o022 != 0 {
        return Err(Fault::new("the directory is not one that only this user can write to", ANOTHER));
    }
    Ok(())
}

impl Socket {
    /// Binds it with mode 0600 from the first moment on. What lies there is removed only if it is a socket nobody answers.
    fn bind(path: &Path) -> Result<Socket, Fault> {
        let listener = match bind_private(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                remove_stale(path)?;
                bind_private(path)
            }
            bound => bound,
        };
        let made = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(Socket { listener, path: path.to_owned(), inode: fs::symlink_metadata(path)?.ino(), default: false })
        });
        made.map_err(|error| cannot_be_made(&error))
    }
}

fn cannot_be_made(error: &io::Error) -> Fault {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "a path in a directory this user may write",
        _ => ANOTHER,
    };
    Fault::new(format!("cannot bind it: {error}"), hint)
}

fn bind_private(path: &Path) -> std::io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}

fn remove_stale(path: &Path) -> Result<(), Fault> {
    if !fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        return Err(Fault::new("it exists and is no socket", "move it away, or choose another path"));
    }
    let error = match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            return fs::remove_file(path).map_err(|error| cannot_be_made(&error));
        }
        Err(error) => error,
        Ok(stream) => {
            let reason = format!("it is held by pid {}", peer(&stream));
            return Err(Fault::new(reason, "stop that one, or choose another --name or --control"));
        }
    };
    Err(Fault::new(format!("a socket is there that cannot be asked whether anybody needs it: {error}"), ANOTHER))
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(directory) = self.path.parent().filter(|_| self.default) {
            // Refused while another socket is in it.
            let _ = fs::remove_dir(directory);
        }
    }
}
