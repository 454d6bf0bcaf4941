//! How a copy is known to serve: `--ready`, `--settle`.

use crate::words::Sig;
use std::time::Duration;

/// How a copy is known to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `--ready`.
    pub mode: ReadyMode,
    /// `--settle`: how long the other listeners get after the first was accepted, and how long a guess waits.
    pub settle: Duration,
}

/// `--ready MODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyMode {
    /// The first of READY=1 and an accepted connection; a guess where neither can be.
    Auto,
    /// READY=1 (sd_notify(3)) from a process of that copy.
    Notify,
    /// endless' connection was accepted on every TCP and Unix stream listener.
    Accept,
    /// `probe=http:PATH`: a GET through the public port answered 2xx or 3xx by the candidate itself.
    ProbeHttp(String),
    /// `signal=SIG`: this signal to endless from a process of that copy.
    Signal(Sig),
    /// `delay=DUR`: alive for this long.
    Delay(Duration),
}
