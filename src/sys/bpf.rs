//! Extended BPF programs, of the one kind that endless needs.

use super::socket::set_option;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// BPF_PROG_LOAD and BPF_PROG_TYPE_SOCKET_FILTER (linux/bpf.h).
const LOAD: i32 = 5;
const SOCKET_FILTER: u32 = 1;
/// The operations "move this number into the register", in 64 bits, and "return register 0".
const MOVE: u8 = 0xb7;
const EXIT: u8 = 0x95;

/// `struct bpf_insn`.
#[repr(C)]
struct Instruction {
    operation: u8,
    registers: u8,
    offset: i16,
    number: i32,
}

/// The beginning of `union bpf_attr` for BPF_PROG_LOAD; the kernel takes what is not there as zero.
#[repr(C)]
struct Load {
    kind: u32,
    length: u32,
    instructions: u64,
    license: u64,
}

/// Loads a program that answers this number, whatever the packet (bpf(2)); close-on-exec.
///
/// # Errors
/// EPERM without CAP_BPF where kernel.unprivileged_bpf_disabled is set, as it is nearly everywhere.
pub fn constant(answer: i32) -> Result<OwnedFd, Errno> {
    let program = [(MOVE, answer), (EXIT, 0)];
    let program = program.map(|(operation, number)| Instruction { operation, registers: 0, offset: 0, number });
    let address = |pointer: *const libc::c_void| pointer.expose_provenance() as u64;
    let load = Load {
        kind: SOCKET_FILTER,
        length: program.len() as u32,
        instructions: address(program.as_ptr().cast()),
        license: address(c"".as_ptr().cast()),
    };
    // SAFETY: `load` has the size that is passed, and its two addresses are those of as many instructions as it says and
    // of a string that ends with a zero; all outlive the call, which only reads them.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const load, size_of::<Load>()) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just opened it for us and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a program on a socket's SO_REUSEPORT group (SO_ATTACH_REUSEPORT_EBPF, socket(7)).
///
/// # Errors
/// The kernel's answer.
pub fn steer(socket: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_EBPF, program.as_raw_fd())
}
