//! Signals to endless as things to read: a pipe that a handler writes to, and who sent what.

use crate::words::Sig;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// One signal that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Which.
    pub signal: Sig,
    /// The sender's pid; None when the kernel sent it (a terminal's Ctrl-C) or a process outside this pid namespace.
    pub sender: Option<i32>,
}

/// The handlers of every signal endless reacts to, and the pipe they write to.
#[derive(Debug)]
pub struct Signals {
    delivery: SignalDelivery<UnixStream, WithOrigin>,
}

impl Signals {
    /// Makes the pipe. There are no handlers yet.
    ///
    /// # Errors
    /// EMFILE, when there is no descriptor left.
    pub fn prepare() -> std::io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        Ok(Self { delivery: SignalDelivery::with_pipe(read, write, WithOrigin::default(), [0; 0])? })
    }

    /// Installs the handlers. What came before, while all signals were blocked, waits for them.
    ///
    /// # Errors
    /// When one of these can have no handler.
    pub fn install(&self, signals: &[Sig]) -> std::io::Result<()> {
        signals.iter().try_for_each(|signal| self.delivery.handle().add_signal(signal.0))
    }

    /// What arrived since the last call. Never blocks.
    pub fn take(&mut self) -> Vec<Received> {
        let pending = self.delivery.pending();
        pending.map(|origin| Received { signal: Sig(origin.signal), sender: sender(origin.process) }).collect()
    }
}

fn sender(process: Option<signal_hook::low_level::siginfo::Process>) -> Option<i32> {
    process.map(|process| process.pid).filter(|pid| *pid > 0)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }
}
