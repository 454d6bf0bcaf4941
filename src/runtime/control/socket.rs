//! The listening socket of the control protocol at its path: made where nobody living has it, removed at the end.

use crate::notice::{Level, Notice};
use crate::plan::Control as Wanted;
use anyhow::{Context, Result, bail};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

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
pub fn open(wanted: &Wanted) -> Result<Opened> {
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
            let socket = Socket::bind(path).with_context(|| format!("--control {}", path.display()))?;
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
                Err(error) => skipped(format!("{}: {error:#}", path.display())),
            }
        }
    })
}

/// The directory of the default sockets: ours, and nobody else can write to it.
fn directory(path: &Path) -> Result<()> {
    // To look first is cheaper than to fail to make it: that takes the lock of a disk's journal.
    let there = fs::symlink_metadata(path).or_else(|_| {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::symlink_metadata(path)
    })?;
    if !there.is_dir() || there.uid() != geteuid().as_raw() || there.mode() & 0o022 != 0 {
        bail!("the directory is not one that only this user can write to");
    }
    Ok(())
}

impl Socket {
    /// Binds it with mode 0600 from the first moment on. What lies there is removed only if it is a socket nobody answers.
    fn bind(path: &Path) -> Result<Socket> {
        let listener = match bind_private(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                remove_stale(path)?;
                bind_private(path)
            }
            bound => bound,
        };
        let listener = listener.context("cannot bind it")?;
        listener.set_nonblocking(true)?;
        let inode = fs::symlink_metadata(path)?.ino();
        Ok(Socket { listener, path: path.to_owned(), inode, default: false })
    }
}

fn bind_private(path: &Path) -> std::io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = UnixListener::bind(path);
    umask(before);
    bound
}

fn remove_stale(path: &Path) -> Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        bail!("it exists and is no socket; move it away, or choose another path");
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => bail!("something is there and cannot be asked ({error}); choose another path"),
        Ok(stream) => {
            let pid =
                getsockopt(&stream, PeerCredentials).map_or_else(|_| "?".to_owned(), |peer| peer.pid().to_string());
            bail!("it is held by pid {pid}; stop that one, or choose another --name or --control")
        }
    }
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
