//! What each signal to endless does (`--on`), and the hooks around it (`--hook`, `--check`).

use crate::words::{HookPoint, Sig};
use std::collections::BTreeMap;
use std::time::Duration;

/// `--on SIGNAL=ACTION` on top of the defaults. A signal that is not in it keeps the system's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalTable(pub BTreeMap<Sig, SignalAction>);

/// What endless does on a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalAction {
    /// Start a fresh copy and retire the old one.
    Restart,
    /// Retire everything, then exit. A second one hammers.
    Stop,
    /// Hammer what is retiring.
    Hammer,
    /// Send a signal to the main process of the active generation.
    Forward(Sig),
    /// Job control: stop the target's group, then endless.
    Suspend,
    /// Nothing of endless' own; hooks run.
    Ignore,
}

/// The commands of `--hook` and `--check`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// In the order given.
    pub list: Vec<Hook>,
    /// `--hook-timeout`: a hook that runs longer is killed and has failed. None: no limit.
    pub timeout: Option<Duration>,
}

/// One `--hook WHEN=COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub point: HookPoint,
    /// What `sh -c` runs.
    pub command: String,
}
