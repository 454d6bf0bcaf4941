//! poll(2) of one descriptor.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// What of this is true of a descriptor now, or within that time; POLLHUP, POLLERR and POLLNVAL are always asked for. A signal
/// that arrives is no answer: poll(2) says EINTR then even where it is not to wait.
///
/// # Errors
/// EINVAL where no descriptor may be open any more (RLIMIT_NOFILE), ENOMEM.
pub fn state(of: impl AsFd, wanted: PollFlags, within: PollTimeout) -> nix::Result<PollFlags> {
    let mut set = [PollFd::new(of.as_fd(), wanted)];
    loop {
        match poll(&mut set, within) {
            Err(Errno::EINTR) => {}
            answer => return answer.map(|_| set[0].revents().unwrap_or(PollFlags::empty())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use nix::libc;
    use nix::sys::signal::Signal;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn a_signal_is_no_answer() {
        let heard = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(Signal::SIGURG as i32, Arc::clone(&heard)).unwrap();
        let (_read, write) = std::io::pipe().unwrap();
        nix::fcntl::fcntl(&write, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        while nix::unistd::write(&write, &[0; 4096]).is_ok() {}
        // SAFETY: it has no arguments.
        let (me, over) = (unsafe { libc::pthread_self() }, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the thread lives until this one has been waited for.
                    unsafe { libc::pthread_kill(me, libc::SIGURG) };
                }
            });
            // The other thread may be long in coming where the processors are busy.
            let (deadline, mut asked, mut all) = (clock::monotonic() + Duration::from_secs(30), 0, true);
            while asked < 10_000 || (!heard.load(Ordering::Relaxed) && clock::monotonic() < deadline) {
                all &= state(&write, PollFlags::POLLOUT, PollTimeout::ZERO) == Ok(PollFlags::empty());
                asked += 1;
            }
            over.store(true, Ordering::Relaxed);
            assert!(all);
        });
        assert!(heard.load(Ordering::Relaxed));
    }
}
