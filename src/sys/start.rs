//! The beginning of the program, without Rust's runtime.
//!
//! The runtime reads /proc/self/maps to find the end of the stack, and makes a second stack on which to say that the first
//! has overflowed. That is a good part of the time endless needs until its target runs. What it does besides is done here.

use super::signals::ignore_sigpipe;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use std::ffi::{CStr, OsStr, c_char};
use std::mem::forget;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Makes a function without arguments, which returns the exit status, the beginning of the program.
#[macro_export]
macro_rules! begin_with {
    ($begin:path) => {
        // SAFETY: the C library calls the function of this name, once and with these arguments, and it is the only one.
        #[unsafe(no_mangle)]
        extern "C" fn main(_: i32, _: *const *const std::ffi::c_char) -> i32 {
            $crate::sys::start::prepare();
            i32::from($begin())
        }
    };
}

/// What Rust's runtime does, too: a write to a closed pipe is an error and not the end, and 0, 1 and 2 are open, so that
/// nothing else is opened there and then written to by mistake.
pub fn prepare() {
    ignore_sigpipe();
    // The lowest free number is the next to be given.
    while (0..3).any(is_closed)
        && let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty())
    {
        forget(null);
    }
}

fn is_closed(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes a number, which may be of no descriptor (fcntl(2)).
    unsafe { libc::fcntl(number, libc::F_GETFD) == -1 }
}

/// The path by which this program was executed: that of execve(2), before any link in it was followed (getauxval(3)).
#[must_use]
pub fn executed() -> Option<PathBuf> {
    // SAFETY: getauxval takes a number.
    let path = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char;
    if path.is_null() {
        return None;
    }
    // SAFETY: the kernel has put a string there that ends with a zero and is there for as long as the program.
    let path = unsafe { CStr::from_ptr(path) };
    Some(PathBuf::from(OsStr::from_bytes(path.to_bytes())))
}
