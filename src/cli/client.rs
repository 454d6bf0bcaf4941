//! The subcommands that talk to a running endless.

use clap::{Args, Parser};
use std::path::PathBuf;

/// Talks to a running endless.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "endless", version, disable_help_subcommand = true, max_term_width = 110)]
pub enum ClientArgs {
    /// Shows what runs, or one endless in detail
    ///
    /// Exit status: 0 it is up, 3 it is not running.
    Status(StatusArgs),
    /// Restarts the target and waits until the new copy has passed its probation
    ///
    /// Exit status: 0 the new copy serves; 1 it does not, and the reason is printed. Ctrl-C ends the waiting, not the restart.
    Restart(RestartArgs),
    /// Retires everything, and waits until endless has ended
    Stop(StopArgs),
    /// Kills what is retiring, and waits until it is gone
    Hammer(HammerArgs),
    /// Does what that signal to endless does (--on), and waits until it is done
    Signal(SendArgs),
    /// Replaces endless itself by the program that is at its path now, and waits until it has taken over
    ///
    /// Same pid, same copies, same sockets: nothing is restarted, and no client notices. The program is asked first whether it
    /// can; when it cannot, everything goes on as it was. Exit status: 0 it has taken over; 1 it has not, and the reason is
    /// printed.
    Upgrade(UpgradeArgs),
}

/// Which endless.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Whom {
    /// Its name (--name); not needed while only one runs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// Its control socket, where it is not in the usual place; without NAME, ENDLESS_CONTROL does it, too
    #[arg(long, value_name = "PATH", conflicts_with = "name")]
    pub control: Option<PathBuf>,
}

/// `endless status`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StatusArgs {
    /// Whose.
    #[command(flatten)]
    pub whom: Whom,

    /// Print one JSON object for each endless
    #[arg(long)]
    pub json: bool,

    /// Go on and show every change; q or Ctrl-C ends it
    #[arg(short, long, conflicts_with = "json")]
    pub watch: bool,
}

/// `endless restart`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct RestartArgs {
    /// Whose.
    #[command(flatten)]
    pub whom: Whom,

    /// Wait only until the new copy is active
    #[arg(long, conflicts_with = "drained")]
    pub active: bool,

    /// Wait until the old copies are gone as well
    #[arg(long)]
    pub drained: bool,

    /// Give up waiting after this; the restart goes on [default: never]
    #[arg(long, value_name = "DUR", allow_negative_numbers = true)]
    pub timeout: Option<String>,

    /// Without a control socket: HUP to the pid in this file, of endless or of Server::Starter
    #[arg(long, value_name = "FILE", requires = "status_file", conflicts_with_all = ["name", "control"])]
    pub pid_file: Option<PathBuf>,

    /// And wait until this file shows new copies only
    #[arg(long, value_name = "FILE", requires = "pid_file")]
    pub status_file: Option<PathBuf>,
}

/// `endless stop`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct StopArgs {
    /// Whose.
    #[command(flatten)]
    pub whom: Whom,

    /// Give up waiting after this; the stop goes on [default: never]
    #[arg(long, value_name = "DUR", allow_negative_numbers = true)]
    pub timeout: Option<String>,

    /// Without a control socket: TERM to the pid in this file, of endless or of Server::Starter
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "control"])]
    pub pid_file: Option<PathBuf>,
}

/// `endless hammer`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct HammerArgs {
    /// Whose.
    #[command(flatten)]
    pub whom: Whom,

    /// Give up waiting after this [default: never]
    #[arg(long, value_name = "DUR", allow_negative_numbers = true)]
    pub timeout: Option<String>,
}

/// `endless upgrade`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct UpgradeArgs {
    /// Whose.
    #[command(flatten)]
    pub whom: Whom,

    /// Give up waiting after this; the upgrade goes on [default: never]
    #[arg(long, value_name = "DUR", allow_negative_numbers = true)]
    pub timeout: Option<String>,
}

/// `endless signal`
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SendArgs {
    /// Its name or number: HUP, SIGUSR1, RTMIN+1
    #[arg(value_name = "SIGNAL")]
    pub signal: String,

    /// Whose.
    #[command(flatten)]
    pub whom: Whom,

    /// Give up waiting after this [default: never]
    #[arg(long, value_name = "DUR", allow_negative_numbers = true)]
    pub timeout: Option<String>,
}

/// The words that are read here.
pub(super) const WORDS: [&str; 6] = ["status", "restart", "stop", "hammer", "signal", "upgrade"];
