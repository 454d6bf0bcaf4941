//! How things are, as `endless status --json` prints it. Durations are milliseconds.

use serde::{Deserialize, Serialize};

/// One endless.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `--name`.
    pub name: String,
    /// The pid of endless.
    pub pid: u32,
    /// Its version.
    pub endless: String,
    /// The target and its arguments.
    pub command: Vec<String>,
    /// `starting`, `serving`, `restarting`, `down` (waiting to start it again) or `stopping`.
    pub state: String,
    /// How long it has run.
    pub uptime_ms: u64,
    /// The generation that serves.
    pub active: Option<u32>,
    /// How long until it is started again.
    pub respawn_ms: Option<u64>,
    /// How the newest start ended.
    pub last_start: Option<LastStart>,
    /// In `-l` order.
    pub listeners: Vec<ListenerStatus>,
    /// Those that are not gone, newest first.
    pub generations: Vec<GenerationStatus>,
}

/// The newest start or restart that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastStart {
    /// The generation that was started.
    pub generation: u32,
    /// It became active, and has not failed its probation.
    pub ok: bool,
    /// How it was known to serve, or why it failed.
    pub reason: String,
    /// How long ago that was.
    pub ago_ms: u64,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Where it really listens.
    pub address: String,
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationStatus {
    /// Its number.
    pub generation: u32,
    /// The pid of its main process, while it has one.
    pub pid: Option<i32>,
    /// `starting`, `active`, `guarding`, `draining`, `stopping` or `killed`.
    pub state: String,
    /// Since it was started.
    pub age_ms: u64,
    /// Connections it has accepted and not closed, through seats of its own; None where it has none, or nothing is known.
    pub open: Option<u32>,
    /// Connections that wait to be accepted in its own TCP seats; None where it has none.
    pub queued: Option<u32>,
    /// Until its hammer.
    pub hammer_ms: Option<u64>,
    /// The last STATUS= it sent (sd_notify(3)).
    pub status: Option<String>,
}
