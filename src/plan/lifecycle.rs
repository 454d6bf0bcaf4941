//! The durations and policies of a generation's life: probation, retirement, hammer, respawn.

use crate::words::Sig;
use std::time::Duration;

/// What the supervisor decides by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// `--ready-timeout`: a candidate not ready by then has failed. None: it may take for ever.
    pub ready_timeout: Option<Duration>,
    /// `--probation`: how long the older generation stands guard after a new one became active.
    pub probation: Duration,
    /// `--supersede`: a candidate older than this is replaced by the next restart at once. None: never.
    pub supersede: Option<Duration>,
    /// `--max-retiring`: with more old generations than this the oldest is hammered.
    pub max_retiring: usize,
    /// `--drain`.
    pub drain: Drain,
    /// `--hammer`: SIGKILL this long after the retirement began. None: never.
    pub hammer: Option<Duration>,
    /// `--respawn`: what to do when the active generation ends by itself.
    pub respawn: Respawn,
    /// `--respawn-limit N/DUR`: give up after more than N ends in DUR. None: never give up.
    pub respawn_limit: Option<(u32, Duration)>,
}

/// `--drain MODE[=DUR]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// What to wait for before the stop signal.
    pub mode: DrainMode,
    /// The longest wait; then the stop signal is sent all the same.
    pub limit: Duration,
}

/// What an old generation is waited for before its stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainMode {
    /// Nothing: the stop signal follows at once.
    Off,
    /// Its accept queues are empty and the handshakes that were half open at the flip are done.
    Queue,
}

/// `--respawn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respawn {
    /// After a failure; a clean exit ends endless with 0.
    OnFailure,
    /// After every end.
    Always,
    /// Not at all: endless ends with the target's code.
    Never,
}

/// How a generation is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// `--stop-signal`.
    pub stop_signal: Sig,
    /// `--retire-signal`: the stop signal after a restart; by default the same.
    pub retire_signal: Sig,
    /// `--kill-mode`.
    pub kill_mode: KillMode,
}

/// `--kill-mode`: which processes of a copy get which signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillMode {
    /// The stop signal to the main process, SIGKILL to the whole tree.
    Mixed,
    /// Both to the whole tree.
    Group,
    /// Both to the main process only; what it leaves behind lives on.
    Process,
}
