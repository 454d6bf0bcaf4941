//! The terminal of a client: its size, and keys one by one.

use nix::errno::Errno;
use nix::libc;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// Rows and columns of the terminal that is standard output; None where it is none (TIOCGWINSZ, ioctl_tty(2)).
#[must_use]
pub fn size() -> Option<(usize, usize)> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the kernel writes one winsize, for which there is room; zeroed, it is a valid one even when it does not.
    let (answer, size) = unsafe {
        let answer = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr());
        (answer, size.assume_init())
    };
    (Errno::result(answer).is_ok() && size.ws_row > 0 && size.ws_col > 0)
        .then_some((size.ws_row.into(), size.ws_col.into()))
}

/// Standard input without echo and line by line reading; both come back when it goes.
#[derive(Debug)]
pub struct Keys {
    input: std::io::Stdin,
    before: Option<Termios>,
}

impl Keys {
    /// Takes keys as they are pressed, where the input is a terminal.
    #[must_use]
    pub fn one_by_one() -> Keys {
        let input = std::io::stdin();
        let before = tcgetattr(&input).ok();
        if let Some(mut raw) = before.clone() {
            raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            let _ = tcsetattr(&input, SetArg::TCSANOW, &raw);
        }
        Keys { input, before }
    }

    /// Reads what was pressed: true for q, Ctrl-D and the end of the input.
    #[must_use]
    pub fn ends(&self) -> bool {
        let mut keys = [0u8; 64];
        match read(&self.input, &mut keys) {
            Ok(0) => true,
            Ok(length) => keys[..length].iter().any(|key| matches!(key, b'q' | b'Q' | 4)),
            Err(errno) => errno != Errno::EINTR,
        }
    }
}

impl AsFd for Keys {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(&self.input, SetArg::TCSANOW, before);
        }
    }
}
