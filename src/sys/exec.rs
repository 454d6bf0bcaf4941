//! execve(2) with everything laid out before fork, so that the child has nothing to allocate.

use nix::errno::Errno;
use nix::libc::{self, c_char};
use std::ffi::{CStr, CString};
use std::io::Write;
use std::marker::PhantomData;
use std::ptr;

/// Room for `LISTEN_PID=`, a pid and the final zero.
const ROOM: usize = 32;

/// A program, its arguments and its environment, ready to be executed.
#[derive(Debug)]
pub struct Image<'a> {
    program: &'a CStr,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    listen_pid: Option<[u8; ROOM]>,
    borrowed: PhantomData<&'a [CString]>,
}

impl<'a> Image<'a> {
    /// Lays it out. With `listen_pid` a last variable LISTEN_PID is added: the pid of the process that executes it.
    #[must_use]
    pub fn new(program: &'a CStr, argv: &'a [CString], envp: &'a [CString], listen_pid: bool) -> Image<'a> {
        Image {
            program,
            argv: pointers(argv, 1),
            envp: pointers(envp, if listen_pid { 2 } else { 1 }),
            listen_pid: listen_pid.then_some([0; ROOM]),
            borrowed: PhantomData,
        }
    }

    /// The file it executes.
    #[must_use]
    pub fn program(&self) -> &'a CStr {
        self.program
    }

    /// Executes it. Returns only when that failed, with the reason.
    pub fn execute(&mut self) -> Errno {
        if let Some(text) = &mut self.listen_pid {
            // The buffer is zeroed and longer than any pid, so the string ends.
            let _ = write!(&mut text[..ROOM - 1], "LISTEN_PID={}", std::process::id());
            let last = self.envp.len() - 2;
            self.envp[last] = text.as_ptr().cast();
        }
        // SAFETY: both arrays end with a null pointer, and all they point at ends with a zero and outlives the call:
        // it is borrowed for 'a, or it is the buffer in `self`.
        unsafe { libc::execve(self.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        Errno::last()
    }
}

/// Pointers to the strings and `nulls` null pointers after them.
fn pointers(strings: &[CString], nulls: usize) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain(std::iter::repeat_n(ptr::null(), nulls)).collect()
}
