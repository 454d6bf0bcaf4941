//! What can be seen of a socket from inside.

use super::say;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::socket::{getsockopt, sockopt};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// One line about an inherited socket: what its listener's options have made of it.
pub fn describe(number: i32, socket: BorrowedFd<'_>) {
    let flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL).unwrap());
    let v6only = getsockopt(&socket, sockopt::Ipv6V6Only).map_or("-".to_owned(), |only| only.to_string());
    let rcvbuf = getsockopt(&socket, sockopt::RcvBuf).unwrap();
    let nonblock = flags.contains(OFlag::O_NONBLOCK);
    say(&format!("socket {number}: nonblock={nonblock} v6only={v6only} rcvbuf={rcvbuf} backlog={}", backlog(socket)));
}

/// A listening TCP socket tells its backlog as `tcpi_sacked` (tcp_get_info in net/ipv4/tcp.c); 0 for others.
fn backlog(socket: BorrowedFd<'_>) -> u32 {
    // SAFETY: all bytes zero is a tcp_info.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap();
    // SAFETY: the kernel writes at most `length` bytes into `info`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if result == 0 { info.tcpi_sacked } else { 0 }
}
