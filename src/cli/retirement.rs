//! Retirement: drain, stop signal, hammer.

use clap::Args;

/// How an old copy ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Retirement")]
pub struct RetirementArgs {
    /// What an old copy is waited for before its stop signal: off, queue, quiet or soft[=DUR] [default: quiet=10s]
    ///
    /// At most DUR. `queue`: until the connections in its accept queues, and the handshakes that were half open when the new
    /// copy took over, are done. `quiet`: and none of its connections is in the middle of a request, so that a server that
    /// dies of its stop signal loses nothing. `soft`: and connections nothing is asked on are closed halfway, so that the
    /// server ends them between requests. `off`: nothing.
    #[arg(long, value_name = "MODE[=DUR]", env = "ENDLESS_DRAIN", hide_env_values = true)]
    pub drain: Option<String>,

    /// The signal that asks the target to stop [default: TERM]
    ///
    /// A protocol of --pass may bring another default: INT for `endless-json`, QUIT for `goagain`, `nginx`, `unicorn` and
    /// `php-fpm`, USR2 for `einhorn` and `overseer`.
    #[arg(short, long, value_name = "SIGNAL", env = "ENDLESS_STOP_SIGNAL", hide_env_values = true)]
    pub stop_signal: Option<String>,

    /// The stop signal after a restart, where it is another [default: that of --stop-signal]
    #[arg(long, value_name = "SIGNAL", env = "ENDLESS_RETIRE_SIGNAL", hide_env_values = true)]
    pub retire_signal: Option<String>,

    /// SIGKILL this long after the retirement began; -1, never or off: wait for ever [default: 60s]
    #[arg(long, value_name = "DUR", env = "ENDLESS_HAMMER", hide_env_values = true, allow_negative_numbers = true)]
    pub hammer: Option<String>,

    /// Which processes get which signal: mixed, group, process [default: mixed]
    ///
    /// `mixed`: the stop signal to the main process, SIGKILL to all. `group`: both to all, for `sh -c` and `npm`.
    /// `process`: both to the main process only; what it leaves behind lives on.
    #[arg(long, value_name = "MODE", env = "ENDLESS_KILL_MODE", hide_env_values = true)]
    pub kill_mode: Option<String>,
}
