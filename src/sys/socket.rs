//! Socket calls nix has no face for, or not the one that is needed.

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::fstat;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Sets a socket option whose value is an int (setsockopt(2)).
///
/// # Errors
/// The kernel's answer.
pub fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `value`, which outlives the call; the kernel only reads it.
    let answer = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    Errno::result(answer).map(drop)
}

/// Reads a socket option whose value is an int (getsockopt(2)).
///
/// # Errors
/// The kernel's answer.
pub fn option(socket: BorrowedFd<'_>, level: i32, name: i32) -> Result<i32, Errno> {
    let mut value: i32 = 0;
    let mut length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of `value`, and both outlive the call.
    let answer = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length) };
    Errno::result(answer).map(|_| value)
}

/// The number of a socket, as /proc/PID/fd shows it; 0 where it cannot be had.
pub fn number(socket: &impl AsFd) -> u64 {
    fstat(socket).map_or(0, |file| file.st_ino)
}

/// listen(2) with any backlog; the kernel cuts it down to net.core.somaxconn, and a negative one becomes that maximum.
///
/// # Errors
/// The kernel's answer.
pub fn listen(socket: BorrowedFd<'_>, backlog: i32) -> Result<(), Errno> {
    // SAFETY: no memory is passed; a wrong descriptor is an error, and `socket` is open as long as it is borrowed.
    Errno::result(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Where `tcpi_unacked` lies in `struct tcp_info` (linux/tcp.h): after eight bytes and four words.
const UNACKED: usize = 24;

/// How many connections wait to be accepted on a listening TCP socket (TCP_INFO, tcp(7): for a listening socket
/// `tcpi_unacked` is the length of its accept queue).
///
/// # Errors
/// The kernel's answer.
pub fn accept_queue(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut info = [0u8; 104];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, the size of `info`, and both outlive the call.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    Errno::result(answer)?;
    let word = [info[UNACKED], info[UNACKED + 1], info[UNACKED + 2], info[UNACKED + 3]];
    Ok(u32::from_ne_bytes(word))
}

/// Puts a classic BPF program on a socket's SO_REUSEPORT group: it says which member gets a new connection
/// (SO_ATTACH_REUSEPORT_CBPF, socket(7)).
///
/// # Errors
/// The kernel's answer; `EINVAL` also for a program of more than 65,535 instructions.
pub fn steer(socket: BorrowedFd<'_>, program: &[libc::sock_filter]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let described = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: `described` points at `length` instructions that outlive the call; the kernel copies and checks them and
    // writes nothing, so the cast to a mutable pointer, which the C type asks for, is never used to write.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const described).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    Errno::result(answer).map(drop)
}

/// Makes a socket drop every packet (SO_ATTACH_FILTER with a program that takes none, socket(7)); [`hear`] ends it. What
/// comes to a listening one meanwhile is sent again by its client. False where it has a filter already, which is not
/// ours to replace, or the kernel refuses.
pub fn hush(socket: BorrowedFd<'_>) -> bool {
    let mut length: libc::socklen_t = 0;
    // SAFETY: with a length of zero the kernel writes nothing but the number of instructions, to `length`.
    let answer = unsafe {
        let name = libc::SO_GET_FILTER;
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, std::ptr::null_mut(), &raw mut length)
    };
    if answer != 0 || length != 0 {
        return false;
    }
    let mut take_nothing = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut take_nothing };
    // SAFETY: `program` points at one instruction, and both outlive the call; the kernel only reads them.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    answer == 0
}

/// Ends [`hush`].
pub fn hear(socket: BorrowedFd<'_>) {
    // It can only fail where there is no filter.
    set_option(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0).ok();
}

/// What the kernel calls the protocol of the socket behind a link of /proc/PID/fd: the attribute `system.sockprotoname`
/// (getxattr(2)), which is readable where the descriptor itself cannot be had.
#[must_use]
pub fn protocol_name(link: &CStr) -> Option<String> {
    let mut name = [0u8; 32];
    let attribute = c"system.sockprotoname".as_ptr();
    // SAFETY: both strings end with a zero and outlive the call, as does `name`, whose length is passed.
    let length = unsafe { libc::getxattr(link.as_ptr(), attribute, name.as_mut_ptr().cast(), name.len()) };
    let name = name.get(..usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
}

/// Sets close-on-exec on a descriptor this process was started with.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn close_on_exec(number: RawFd) -> Result<(), Errno> {
    // SAFETY: no memory is passed; on a number that is not open this is an error and nothing else.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// A descriptor of our own, close-on-exec, for the open file behind one this process was started with.
///
/// # Errors
/// `EBADF` when it is not open, `EMFILE` when there is no room for another.
pub fn duplicate(number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: no memory is passed; on a number that is not open this is an error and nothing else.
    let copy = Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel just made `copy` for this call, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// One datagram with what came along (unix(7)).
#[derive(Debug)]
pub struct Datagram {
    /// Its length in the buffer.
    pub length: usize,
    /// Pid and uid of the sender; none without SO_PASSCRED.
    pub sender: Option<(i32, u32)>,
    /// The descriptors that came along, close-on-exec, and ours from now on.
    pub fds: Vec<OwnedFd>,
}

/// The most descriptors one datagram carries (SCM_MAX_FD, unix(7)).
const MOST_FDS: usize = 253;

/// Receives one datagram, without waiting.
///
/// # Errors
/// The kernel's answer; `EAGAIN` when there is none.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Datagram, Errno> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg};
    // Room for all there can be: what did not fit would be ours and nobody would know of it.
    let mut control = nix::cmsg_space!(UnixCredentials, [RawFd; MOST_FDS]);
    let mut parts = [io::IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let mut datagram = Datagram { length: message.bytes, sender: None, fds: Vec::new() };
    for part in message.cmsgs()? {
        match part {
            ControlMessageOwned::ScmCredentials(who) => datagram.sender = Some((who.pid(), who.uid())),
            ControlMessageOwned::ScmRights(numbers) => {
                // SAFETY: the kernel has just made each number for this call, so nobody else owns it.
                datagram.fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
            _ => {}
        }
    }
    Ok(datagram)
}

/// True when the descriptor's socket listens (SO_ACCEPTCONN, socket(7)).
#[must_use]
pub fn listens(socket: &impl AsFd) -> bool {
    option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_ACCEPTCONN) == Ok(1)
}

/// Whether O_NONBLOCK is set on the open file (fcntl(2)).
#[must_use]
pub fn is_nonblocking(socket: &impl AsFd) -> bool {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(socket, FcntlArg::F_GETFL).is_ok_and(|flags| OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK))
}

/// Whether it is an IPv6 socket that takes no IPv4 (IPV6_V6ONLY, ipv6(7)).
#[must_use]
pub fn is_v6only(socket: &impl AsFd) -> bool {
    option(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY).is_ok_and(|only| only != 0)
}

/// The interface it is bound to, by its device or a link-local address (SO_BINDTOIFINDEX, Linux 5.0); 0 for none.
#[must_use]
pub fn interface(socket: &impl AsFd) -> i32 {
    option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX).unwrap_or(0)
}

/// Sets O_NONBLOCK on the open file (fcntl(2)): for every descriptor of it, the copies' too.
///
/// # Errors
/// The kernel's answer.
pub fn set_nonblocking(socket: &impl AsFd, on: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let now = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    let mut wanted = now;
    wanted.set(OFlag::O_NONBLOCK, on);
    if wanted != now {
        fcntl(socket, FcntlArg::F_SETFL(wanted))?;
    }
    Ok(())
}
