//! Whether anybody waits at a socket.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;

/// True when a connection waits to be accepted, or a datagram to be read, at one of the sockets (poll(2)). Nobody waits at
/// a socket that was shut down: the kernel has sent them away.
pub(super) fn anybody_waits<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> bool {
    let mut set: Vec<PollFd> = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
    match poll(&mut set, PollTimeout::ZERO) {
        Ok(0) => false,
        Ok(_) => set.iter().filter_map(PollFd::revents).any(|got| got == PollFlags::POLLIN),
        // Too many for one call (RLIMIT_NOFILE), or interrupted: it is asked again soon.
        Err(_) => true,
    }
}
