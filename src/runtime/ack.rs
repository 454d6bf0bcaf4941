//! The einhorn socket of a generation: a worker connects, writes one line and is ready.

use super::sender::Sender;
use crate::handoff::einhorn;
use crate::sys::carried::Kept;
use nix::sys::socket::{getsockopt, sockopt};
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A longer line is no message.
const LONGEST: usize = 4096;
/// More connections than this at once are not accepted.
const MOST: usize = 16;

/// A stream socket at a path; unlinked when dropped.
#[derive(Debug, Serialize, Deserialize)]
pub struct AckSocket {
    #[serde(with = "crate::sys::carried")]
    listener: UnixListener,
    #[serde(with = "crate::sys::carried::own_path")]
    path: PathBuf,
    open: Vec<(Kept<UnixStream>, Vec<u8>)>,
}

impl AckSocket {
    /// Binds it. A copy may run as somebody else, so everybody may connect.
    ///
    /// # Errors
    /// What socket(2), bind(2) or chmod(2) answer.
    pub fn bind(path: PathBuf) -> std::io::Result<AckSocket> {
        let listener = UnixListener::bind(&path)?;
        let socket = AckSocket { listener, path, open: Vec::new() };
        socket.listener.set_nonblocking(true)?;
        std::fs::set_permissions(&socket.path, Permissions::from_mode(0o777))?;
        Ok(socket)
    }

    /// What EINHORN_SOCK_PATH says.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What something may arrive on.
    pub fn waiting(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let more = (self.open.len() < MOST).then(|| self.listener.as_fd());
        more.into_iter().chain(self.open.iter().map(|(stream, _)| stream.as_fd()))
    }

    /// Who has said `worker:ack` since the last call. Never blocks. A connection is closed after its first line.
    pub fn take(&mut self) -> Vec<Sender> {
        while self.open.len() < MOST
            && let Ok((stream, _)) = self.listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                self.open.push((Kept(stream), Vec::new()));
            }
        }
        let mut acked = Vec::new();
        self.open.retain_mut(|(stream, text)| match first_line(stream, text) {
            Line::Unfinished => true,
            Line::Over => false,
            Line::Whole(line) => {
                acked.extend(einhorn::acked(&line).and(peer(stream)));
                false
            }
        });
        acked
    }
}

enum Line {
    Unfinished,
    Whole(String),
    Over,
}

fn first_line(stream: &mut UnixStream, text: &mut Vec<u8>) -> Line {
    let mut part = [0u8; 512];
    loop {
        let length = match stream.read(&mut part) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Line::Unfinished,
            Err(_) => return Line::Over,
        };
        text.extend_from_slice(&part[..length]);
        // The end of the connection ends a line as well.
        let end = text.iter().position(|byte| *byte == b'\n').or((length == 0).then_some(text.len()));
        if let Some(end) = end {
            return Line::Whole(String::from_utf8_lossy(&text[..end]).into_owned());
        }
        if text.len() > LONGEST {
            return Line::Over;
        }
    }
}

fn peer(stream: &UnixStream) -> Option<Sender> {
    let peer = getsockopt(stream, sockopt::PeerCredentials).ok()?;
    Some(Sender { pid: peer.pid(), uid: peer.uid() })
}

impl Drop for AckSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
