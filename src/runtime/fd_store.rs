//! What copies leave with endless for the next ones (FDSTORE=1, sd_notify(3)).

use crate::sys::poll;
use nix::poll::{PollFlags, PollTimeout};
use nix::sys::stat::{SFlag, fstat};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One descriptor.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    name: String,
    #[serde(with = "crate::sys::carried")]
    fd: OwnedFd,
    /// It is closed when it has hung up.
    watched: bool,
}

/// What a copy says about them.
#[derive(Debug)]
pub enum Left {
    /// These are to be kept.
    Fds {
        /// Under this name.
        name: String,
        /// Themselves.
        fds: Vec<OwnedFd>,
        /// They are closed when they hang up.
        watched: bool,
    },
    /// None of this name is to be kept any more.
    Nothing {
        /// The name.
        name: String,
    },
}

impl Left {
    /// Closes what would be too many beside what was left before, and what was left before already. Gives back how many were
    /// too many.
    pub fn fit(&mut self, before: &[Left], most: usize) -> usize {
        let Left::Fds { name, fds, .. } = self else { return 0 };
        let all = || {
            before
                .iter()
                .filter_map(|left| if let Left::Fds { name, fds, .. } = left { Some((name, fds)) } else { None })
        };
        fds.retain(|fd| !all().any(|(known, fds)| known == name && fds.iter().any(|one| same_socket(one, fd))));
        let room = most.saturating_sub(all().map(|(_, fds)| fds.len()).sum());
        fds.drain(room.min(fds.len())..).count()
    }
}

/// All of them, in the order they came.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct FdStore {
    all: Vec<Stored>,
}

impl FdStore {
    /// Keeps these, and gives back how many found no room. A socket that is there already under this name is not kept twice.
    pub fn keep(&mut self, name: &str, fds: Vec<OwnedFd>, watched: bool, most: usize) -> usize {
        let mut refused = 0;
        for fd in fds {
            if self.all.iter().any(|one| one.name == name && same_socket(&one.fd, &fd)) {
                continue;
            }
            if self.all.len() >= most {
                refused += 1;
                continue;
            }
            self.all.push(Stored { name: name.to_owned(), fd, watched });
        }
        refused
    }

    /// Closes those of a name.
    pub fn close(&mut self, name: &str) {
        self.all.retain(|one| one.name != name);
    }

    /// Closes those that have hung up and are not to be kept all the same.
    pub fn forget_hung_up(&mut self) {
        self.all.retain(|one| !one.watched || !hung_up(&one.fd));
    }

    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|one| one.name.as_str()).collect()
    }

    /// Themselves, in order.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.all.iter().map(|one| one.fd.as_fd())
    }
}

/// A socket's inode is its own, unlike that of a file that was opened twice.
fn same_socket(one: &OwnedFd, other: &OwnedFd) -> bool {
    let (Ok(one), Ok(other)) = (fstat(one), fstat(other)) else { return false };
    let is_socket = SFlag::from_bits_truncate(one.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFSOCK;
    is_socket && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn hung_up(fd: &OwnedFd) -> bool {
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    poll::state(fd, PollFlags::empty(), PollTimeout::ZERO).is_ok_and(|state| state.intersects(gone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn kept_once_up_to_the_limit_and_until_it_hangs_up() {
        let (one, other) = UnixStream::pair().unwrap();
        let again = one.try_clone().unwrap();
        let mut store = FdStore::default();
        assert_eq!(store.keep("a", vec![one.into(), again.into()], true, 2), 0);
        assert_eq!(store.names(), ["a"]);
        let (third, _fourth) = UnixStream::pair().unwrap();
        let (fifth, _sixth) = UnixStream::pair().unwrap();
        assert_eq!(store.keep("b", vec![third.into(), fifth.into()], true, 2), 1);
        store.forget_hung_up();
        assert_eq!(store.names(), ["a", "b"]);
        drop(other);
        store.forget_hung_up();
        assert_eq!(store.names(), ["b"]);
        store.close("b");
        assert_eq!(store.fds().count(), 0);
    }
}
