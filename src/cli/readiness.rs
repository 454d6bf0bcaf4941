//! Readiness and restart.

use clap::Args;

/// When a copy serves, and what a restart does about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Readiness and restart")]
pub struct ReadinessArgs {
    /// When a copy serves: auto, notify, accept, probe=http:PATH, signal=SIG, fd=N, exec=CMD, http=URL, tcp=ADDR, delay=DUR [default: auto]
    ///
    /// `auto`: the first of READY=1 (sd_notify), the sign of the protocol in use, and an accepted connection that endless makes
    /// for this copy alone.
    /// `notify`: READY=1. `accept`: that connection was accepted on every TCP and Unix stream listener.
    /// `probe=http:PATH`: a GET of PATH through the first listener that can be probed, answered 2xx or 3xx by the new copy itself.
    /// `signal=SIG`: SIG sent to endless by a process of the copy. `fd=N`: a byte written to descriptor N. `exec=CMD`: CMD,
    /// run by `sh -c` every 250 ms, exits with 0. `http=URL`, `tcp=ADDR`: a GET answered 2xx or 3xx, or a connection, at an
    /// address of the copy's own. `delay=DUR`: alive for DUR.
    #[arg(short, long, value_name = "MODE", env = "ENDLESS_READY", hide_env_values = true)]
    pub ready: Option<String>,

    /// A copy that is not ready by then has failed; never: no limit [default: 90s]
    #[arg(
        long,
        value_name = "DUR",
        env = "ENDLESS_READY_TIMEOUT",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub ready_timeout: Option<String>,

    /// Time for the other listeners after the first was accepted, and the length of a guess [default: 1s]
    #[arg(long, value_name = "DUR", env = "ENDLESS_SETTLE", hide_env_values = true, allow_negative_numbers = true)]
    pub settle: Option<String>,

    /// The old copy stands guard for this long after the new one took over [default: 2s]
    ///
    /// If the new copy dies in that time, new connections go back to the old one and the restart has failed.
    #[arg(long, value_name = "DUR", env = "ENDLESS_PROBATION", hide_env_values = true, allow_negative_numbers = true)]
    pub probation: Option<String>,

    /// The active copy is to send WATCHDOG=1 this often, or it is taken to be stuck; off: it need not [default: off]
    ///
    /// It gets WATCHDOG_USEC (sd_watchdog_enabled(3)). One that is stuck is killed, and what follows is what follows when the
    /// target ends by itself.
    #[arg(long, value_name = "DUR", env = "ENDLESS_WATCHDOG", hide_env_values = true, allow_negative_numbers = true)]
    pub watchdog: Option<String>,

    /// A copy that is still not ready after this is replaced by the next restart; never: it is waited for [default: 5s]
    #[arg(long, value_name = "DUR", env = "ENDLESS_SUPERSEDE", hide_env_values = true, allow_negative_numbers = true)]
    pub supersede: Option<String>,

    /// With more old copies than this the oldest is hammered [default: 8]
    #[arg(long, value_name = "N", env = "ENDLESS_MAX_RETIRING", hide_env_values = true, allow_negative_numbers = true)]
    pub max_retiring: Option<String>,

    /// What to do when the target ends by itself: on-failure, always, never [default: on-failure]
    #[arg(long, value_name = "WHEN", env = "ENDLESS_RESPAWN", hide_env_values = true)]
    pub respawn: Option<String>,

    /// Give up after more than N ends in DUR; off: never [default: 5/1m]
    #[arg(
        long,
        value_name = "N/DUR",
        env = "ENDLESS_RESPAWN_LIMIT",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub respawn_limit: Option<String>,

    /// When endless itself is killed: stop (the target gets its stop signal), keep [default: stop]
    #[arg(long, value_name = "WHAT", env = "ENDLESS_ORPHANS", hide_env_values = true)]
    pub orphans: Option<String>,
}
