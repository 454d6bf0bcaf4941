//! Names, files and output.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use std::path::PathBuf;

/// What endless is called, writes and says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Files and output")]
pub struct OutputArgs {
    /// Read arguments from this file too, and again at every restart
    ///
    /// It holds options as on the command line, split as a shell splits words, with # comments; then `--` and COMMAND, if it
    /// is not on the command line, whose options win. Listeners come and go with the new copy. A file with an error stops
    /// the restart and changes nothing.
    #[arg(long, value_name = "FILE", env = "ENDLESS_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// What this endless is called [default: the base name of COMMAND]
    ///
    /// One that another endless of this user has is refused; by default the second one has no control socket.
    #[arg(short, long, value_name = "NAME", env = "ENDLESS_NAME", hide_env_values = true)]
    pub name: Option<String>,

    /// Write endless' own pid here; locked for as long as it runs
    #[arg(long, value_name = "FILE", env = "ENDLESS_PID_FILE", hide_env_values = true)]
    pub pid_file: Option<PathBuf>,

    /// Write a line GENERATION:PID for every living copy here; locked while it is there
    #[arg(long, value_name = "FILE", env = "ENDLESS_STATUS_FILE", hide_env_values = true)]
    pub status_file: Option<PathBuf>,

    /// Where `endless status`, `restart` and the like reach it; none: nowhere
    ///
    /// By default $XDG_RUNTIME_DIR/endless/NAME.sock, and /run/endless/NAME.sock for root. Only the same user and root can
    /// talk to it. Where the default cannot be made, endless runs without; a PATH that cannot be made is an error.
    #[arg(long, value_name = "PATH", env = "ENDLESS_CONTROL", hide_env_values = true)]
    pub control: Option<PathBuf>,

    /// Append endless' log to this file instead of stderr; `--on USR1=reopen` opens it again
    #[arg(long, value_name = "FILE", env = "ENDLESS_LOG_FILE", hide_env_values = true)]
    pub log_file: Option<PathBuf>,

    /// Append what the target prints to this file; `--on USR1=reopen` opens it again
    ///
    /// The target's standard output and error go through endless then. When a copy fails, its last lines are in the log.
    #[arg(long, value_name = "FILE", env = "ENDLESS_OUTPUT", hide_env_values = true)]
    pub output: Option<PathBuf>,

    /// Write a line of JSON for everything that happens: to a file, fd:N, or - for standard output
    #[arg(long, value_name = "FILE", env = "ENDLESS_EVENTS", hide_env_values = true)]
    pub events: Option<PathBuf>,

    /// Return when the first copy serves (0) or has failed (its code), and go on in the background
    ///
    /// Needs --log-file. What the target prints goes there too, unless --output says where.
    #[arg(long, env = "ENDLESS_DETACH", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub detach: bool,

    /// How endless writes to stderr: text, json [default: text]
    #[arg(long, value_name = "FORMAT", env = "ENDLESS_LOG_FORMAT", hide_env_values = true)]
    pub log_format: Option<String>,

    /// Say only what went wrong
    #[arg(short, long, env = "ENDLESS_QUIET", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub quiet: bool,

    /// Say more; repeatable
    #[arg(short, long, env = "ENDLESS_VERBOSE", hide_env_values = true, action = ArgAction::Count)]
    pub verbose: u8,
}
