//! Signals and hooks.

use clap::Args;

/// What signals do, and what runs around it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Signals and hooks")]
pub struct SignalArgs {
    /// What a signal to endless does: restart, stop, hammer, forward[=SIG], reopen, upgrade, suspend, ignore
    ///
    /// Repeatable. Without it: HUP restarts; TERM, INT and QUIT stop, and a second one hammers; USR2 hammers what is
    /// retiring; USR1 and TSTP only run their hooks. `forward` sends the signal, or SIG, to the target's main process.
    /// `reopen` opens the files of --log-file, --output and --events again, for logrotate. `upgrade` replaces endless itself
    /// by the program that is at its path now.
    #[arg(long, value_name = "SIGNAL=ACTION", env = "ENDLESS_ON", hide_env_values = true)]
    pub on: Vec<String>,

    /// Run COMMAND at: pre:SIGNAL, post:SIGNAL, begin, ready, retired, failed, exit
    ///
    /// Repeatable, run by `sh -c` in the order given. A `pre:` or `begin` hook that fails prevents what it precedes. In
    /// ENDLESS_HOOK each line is one hook.
    #[arg(long, value_name = "WHEN=COMMAND", env = "ENDLESS_HOOK", hide_env_values = true)]
    pub hook: Vec<String>,

    /// Run COMMAND before every restart by HUP; if it fails nothing is restarted
    ///
    /// Short for `--hook pre:HUP=COMMAND`, as in `--check 'nginx -t'`. In ENDLESS_CHECK each line is one command.
    #[arg(long, value_name = "COMMAND", env = "ENDLESS_CHECK", hide_env_values = true)]
    pub check: Vec<String>,

    /// A hook that runs longer than this is killed and has failed; never: no limit [default: 30s]
    #[arg(
        long,
        value_name = "DUR",
        env = "ENDLESS_HOOK_TIMEOUT",
        hide_env_values = true,
        allow_negative_numbers = true
    )]
    pub hook_timeout: Option<String>,

    /// `--hook` and `--check` in the order they were given.
    #[arg(skip)]
    pub hooks: Vec<HookArg>,
}

/// One `--hook` or `--check`, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookArg {
    /// `--hook WHEN=COMMAND`
    Hook(String),
    /// `--check COMMAND`
    Check(String),
}
