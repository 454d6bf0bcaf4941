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
    let mark = getsockopt(&socket, sockopt::Mark).unwrap();
    let transparent = [(libc::IPPROTO_IP, libc::IP_TRANSPARENT), (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT)];
    let transparent = transparent.map(|(level, name)| int(socket, level, name)).contains(&Some(1));
    let congestion = getsockopt(&socket, sockopt::TcpCongestion).unwrap_or("-".into());
    say(&format!(
        "socket {number}: nonblock={nonblock} v6only={v6only} rcvbuf={rcvbuf} backlog={} mark={mark} \
         transparent={transparent} congestion={}",
        backlog(socket),
        congestion.display()
    ));
}

/// An option whose value is an int; None where the socket has no such option.
fn int(socket: BorrowedFd<'_>, level: i32, name: i32) -> Option<i32> {
    let mut value = 0i32;
    let mut length = libc::socklen_t::try_from(size_of::<i32>()).unwrap();
    // SAFETY: the kernel writes at most `length` bytes into `value`.
    let result =
        unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) };
    (result == 0).then_some(value)
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
