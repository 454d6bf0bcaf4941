//! The listening socket of the control protocol at its path: made where nobody living has it, removed at the end.

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

/// What became of `--control`.
#[derive(Debug)]
pub struct Opened {
    /// The socket, where there is one.
    pub control: Option<super::Control>,
    /// Why the default was skipped.
    pub notice: Option<Notice>,
}

/// Opens the control socket of a plan.
///
/// # Errors
/// When it was asked for by path and cannot be made, or a living process has it.
pub fn open(wanted: &Wanted) -> Result<Opened, Error> {
    let skipped = |why: String| Opened {
        control: None,
        notice: Some(Notice::Note {
            level: Level::Normal,
            text: format!("no control socket: {why} (--control PATH, or none)"),
        }),
    };
    Ok(match wanted {
        Wanted::None => Opened { control: None, notice: None },
        Wanted::At(path) => {
            let failed = |fault: Fault| Error { code: CODE_FAILURE, ..fault.at("--control", path.to_string_lossy()) };
            let socket = Socket::bind(path).map_err(failed)?;
            Opened { control: Some(super::Control::new(socket)), notice: None }
        }
        Wanted::Default(None) => skipped("XDG_RUNTIME_DIR is not set to a directory of this user".to_owned()),
        Wanted::Default(Some(path)) => {
            let bound = || directory(path.parent().unwrap_or(path)).and_then(|()| Socket::bind(path));
            // Between the two another endless may have ended and taken the empty directory away.
            match bound().or_else(|_| bound()) {
                Ok(mut socket) => {
                    socket.default = true;
                    Opened { control: Some(super::Control::new(socket)), notice: None }
                }
                Err(fault) => skipped(format!("{}: {}", path.display(), fault.reason)),
            }
        }
    })
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
            let pid =
                getsockopt(&stream, PeerCredentials).map_or_else(|_| "?".to_owned(), |peer| peer.pid().to_string());
            let reason = format!("it is held by pid {pid}");
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
