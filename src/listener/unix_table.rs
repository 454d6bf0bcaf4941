//! The kernel's table of Unix connections (unix_diag, sock_diag(7)).
//!
//! An accepted socket has the name of the seat it came through, so it shows whose it is. When it was last used the kernel
//! does not tell, only what lies in its queues.

use super::connection::attribute;
use super::diag::{DUMP, Diag, SOCK_DIAG_BY_FAMILY, message, word};
use crate::words::Moment;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;

const AF_UNIX: u8 = 1;
const ESTABLISHED: u32 = 1;
/// UDIAG_SHOW_NAME, UDIAG_SHOW_PEER, UDIAG_SHOW_RQLEN.
const SHOW: u32 = 0x01 | SHOW_PEER | 0x10;
const SHOW_PEER: u32 = 0x04;
const SHOW_ICONS: u32 = 0x08;
/// Length of `struct unix_diag_msg`.
const MESSAGE: usize = 16;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_ICONS: u16 = 3;
const UNIX_DIAG_RQLEN: u16 = 4;
/// A request that was read and is not answered shows nowhere. So a connection is only taken for idle when nothing was seen
/// on it for this long.
const SILENCE: Duration = Duration::from_secs(1);

/// The connections of one generation's Unix seats.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct UnixConnections {
    /// The names of the seats.
    pub(super) names: Vec<Vec<u8>>,
    /// Each socket's queues, and when something was seen there last.
    seen: HashMap<u32, (Queues, Moment)>,
}

/// What lies in a connection's queues, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Queues {
    unread: u32,
    /// Written, and not read by the client.
    untaken: u32,
}

impl UnixConnections {
    /// Those of the seats with these names.
    pub(super) fn at(names: Vec<Vec<u8>>) -> UnixConnections {
        UnixConnections { names, seen: HashMap::new() }
    }

    /// How many are in the middle of a request, as far as can be told, and how many are not.
    pub(super) fn look(&mut self, diag: &Diag, now: Moment) -> Result<(usize, usize), Errno> {
        if self.names.is_empty() {
            return Ok((0, 0));
        }
        let mut found = HashMap::new();
        diag.dump(&dump(), |body| found.extend(read(body, &self.names)))?;
        Ok(self.note(&found, now))
    }

    fn note(&mut self, found: &HashMap<u32, Queues>, now: Moment) -> (usize, usize) {
        self.seen.retain(|inode, _| found.contains_key(inode));
        for (inode, queues) in found {
            let (before, since) = self.seen.entry(*inode).or_insert((*queues, now));
            if before != queues || queues.unread + queues.untaken > 0 {
                (*before, *since) = (*queues, now);
            }
        }
        let idle = self.seen.values().filter(|(_, since)| now.since(*since) >= SILENCE).count();
        (self.seen.len() - idle, idle)
    }
}

/// `struct unix_diag_req`.
fn dump() -> Vec<u8> {
    let mut body = vec![AF_UNIX, 0, 0, 0];
    for word in [1 << ESTABLISHED, 0, SHOW, 0, 0] {
        body.extend(u32::to_ne_bytes(word));
    }
    message(SOCK_DIAG_BY_FAMILY, DUMP, &body)
}

/// Whether the connection of this client of ours was accepted: only then its other end belongs to a process. None where the
/// kernel does not tell.
pub(super) fn is_accepted(diag: &Diag, client: &impl AsFd) -> Option<bool> {
    let peer = |body: &[u8]| Some(word(attribute(body.get(MESSAGE..)?, UNIX_DIAG_PEER)?, 0)? != 0);
    diag.one(&question(client, SHOW_PEER)?, peer).ok().flatten()
}

/// `struct unix_diag_req` for exactly this socket.
fn question(socket: &impl AsFd, show: u32) -> Option<Vec<u8>> {
    let inode = u32::try_from(fstat(socket).ok()?.st_ino).ok()?;
    let mut body = vec![AF_UNIX, 0, 0, 0];
    for word in [u32::MAX, inode, show, u32::MAX, u32::MAX] {
        body.extend(u32::to_ne_bytes(word));
    }
    Some(message(SOCK_DIAG_BY_FAMILY, 0, &body))
}

/// Whether a process has a connection that came through the socket of this name, whose client may have gone.
pub(super) fn any_accepted(diag: &Diag, name: &[u8]) -> Result<bool, Errno> {
    let mut any = false;
    diag.dump(&dump(), |body| any |= is_named(body, name) && word(body, 4).is_some_and(|inode| inode != 0))?;
    Ok(any)
}

/// Who waits at a listening socket: the numbers of the clients' sockets in the order of the queue, 0 for one that has gone.
pub(super) fn queue_of(diag: &Diag, listener: &impl AsFd) -> Result<Option<Vec<u32>>, Errno> {
    let waiting = |body: &[u8]| {
        let icons = attribute(body.get(MESSAGE..)?, UNIX_DIAG_ICONS)?;
        Some(icons.chunks_exact(4).filter_map(|number| word(number, 0)).collect())
    };
    let Some(question) = question(listener, SHOW_ICONS) else { return Ok(None) };
    diag.one(&question, waiting)
}

/// Inode and queues of a socket with one of these names whose client is still there.
fn read(body: &[u8], names: &[Vec<u8>]) -> Option<(u32, Queues)> {
    names.iter().find(|name| is_named(body, name))?;
    let attributes = body.get(MESSAGE..)?;
    word(attribute(attributes, UNIX_DIAG_PEER)?, 0).filter(|peer| *peer != 0)?;
    let queues = attribute(attributes, UNIX_DIAG_RQLEN)?;
    Some((word(body, 4)?, Queues { unread: word(queues, 0)?, untaken: word(queues, 4)? }))
}

fn is_named(body: &[u8], name: &[u8]) -> bool {
    let theirs = body.get(MESSAGE..).and_then(|attributes| attribute(attributes, UNIX_DIAG_NAME));
    theirs.is_some_and(|theirs| theirs.strip_suffix(&[0]).unwrap_or(theirs) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn at(milliseconds: u64) -> Moment {
        Moment(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_connection_is_idle_after_a_second_without_a_sign() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seat");
        let listener = UnixListener::bind(&path).unwrap();
        let elsewhere = UnixListener::bind(dir.path().join("other")).unwrap();
        let _stranger = UnixStream::connect(dir.path().join("other")).unwrap();
        let _kept = elsewhere.accept().unwrap();
        let diag = Diag::open().unwrap();
        let name = path.as_os_str().as_bytes().to_vec();
        let mut connections = UnixConnections::at(vec![name]);
        let mut client = UnixStream::connect(&path).unwrap();
        let mut server = listener.accept().unwrap().0;
        assert_eq!(connections.look(&diag, at(0)), Ok((1, 0)));
        assert_eq!(connections.look(&diag, at(1000)), Ok((0, 1)));
        client.write_all(b"request").unwrap();
        assert_eq!(connections.look(&diag, at(3000)), Ok((1, 0)));
        server.read_exact(&mut [0; 7]).unwrap();
        assert_eq!(connections.look(&diag, at(3500)), Ok((1, 0)));
        server.write_all(b"answer").unwrap();
        assert_eq!(connections.look(&diag, at(9000)), Ok((1, 0)));
        client.read_exact(&mut [0; 6]).unwrap();
        assert_eq!(connections.look(&diag, at(9100)), Ok((1, 0)));
        assert_eq!(connections.look(&diag, at(10_100)), Ok((0, 1)));
        drop(client);
        assert_eq!(connections.look(&diag, at(10_200)), Ok((0, 0)));
    }

    #[test]
    fn a_connection_is_accepted_whoever_else_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seat");
        let listener = UnixListener::bind(&path).unwrap();
        let diag = Diag::open().unwrap();
        let [first, second] = [0; 2].map(|_| UnixStream::connect(&path).unwrap());
        assert_eq!(is_accepted(&diag, &first), Some(false));
        let _server = listener.accept().unwrap();
        assert_eq!(is_accepted(&diag, &first), Some(true));
        assert_eq!(is_accepted(&diag, &second), Some(false));
    }

    #[test]
    fn a_queue_shows_its_clients_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seat");
        let name = path.as_os_str().as_bytes();
        let listener = UnixListener::bind(&path).unwrap();
        let diag = Diag::open().unwrap();
        let [first, second] = [0; 2].map(|_| UnixStream::connect(&path).unwrap());
        let number = |client: &UnixStream| u32::try_from(fstat(client).unwrap().st_ino).unwrap();
        assert_eq!(queue_of(&diag, &listener), Ok(Some(vec![number(&first), number(&second)])));
        assert_eq!(any_accepted(&diag, name), Ok(false));
        let _server = listener.accept().unwrap();
        assert_eq!(queue_of(&diag, &listener), Ok(Some(vec![number(&second)])));
        assert_eq!(any_accepted(&diag, name), Ok(true));
        drop(second);
        assert_eq!(queue_of(&diag, &listener), Ok(Some(vec![0])));
    }
}
