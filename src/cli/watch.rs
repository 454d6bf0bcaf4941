//! Restarts while one works on a program.

use clap::Args;
use std::path::PathBuf;

/// What is restarted for by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Development")]
pub struct WatchArgs {
    /// Restart when the program has changed, or one of these paths instead, and then nothing more for 200 ms
    ///
    /// Directories are watched with all that is in them but what .gitignore names, version control, what editors leave, and
    /// *.log, *.pid, *.sock and *.pyc.
    #[arg(long, value_name = "PATH", num_args = 0.., env = "ENDLESS_WATCH", hide_env_values = true)]
    pub watch: Option<Vec<PathBuf>>,

    /// Run COMMAND before each of these restarts; if it fails the old copy goes on
    ///
    /// Run by `sh -c`, as in `--watch src --watch-exec 'cargo build' -- target/debug/app`. It may take as long as it likes.
    #[arg(long, value_name = "COMMAND", env = "ENDLESS_WATCH_EXEC", hide_env_values = true)]
    pub watch_exec: Option<String>,
}
