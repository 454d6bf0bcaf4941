//! The process the target is started as.

use super::environment::EnvArg;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::ffi::OsString;
use std::path::PathBuf;

/// Directory, environment, identity and limits of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Start the target in this directory; looked up again at every start
    #[arg(short = 'C', long, value_name = "DIR", env = "ENDLESS_CHDIR", hide_env_values = true)]
    pub chdir: Option<PathBuf>,

    /// Set a variable for the target; {fd} and the like in VALUE are replaced
    ///
    /// Repeatable. --env, --unset, --env-file and --env-dir are applied in the order given.
    #[arg(short, long, value_name = "NAME=VALUE", env = "ENDLESS_ENV", hide_env_values = true)]
    pub env: Vec<OsString>,

    /// Take a variable away from the target
    #[arg(long, value_name = "NAME", env = "ENDLESS_UNSET", hide_env_values = true)]
    pub unset: Vec<OsString>,

    /// Read variables from a file of NAME=VALUE lines (dotenv), again at every start
    #[arg(long, value_name = "FILE", env = "ENDLESS_ENV_FILE", hide_env_values = true)]
    pub env_file: Vec<OsString>,

    /// Read variables from a directory with one file each (envdir), again at every start
    ///
    /// The first line of the file is the value; an empty file takes the variable away; files that start with a dot are
    /// skipped.
    #[arg(long, value_name = "DIR", env = "ENDLESS_ENV_DIR", hide_env_values = true)]
    pub env_dir: Vec<OsString>,

    /// Begin with an empty environment
    #[arg(long, env = "ENDLESS_CLEAR_ENV", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub clear_env: bool,

    /// Run the target as this user, by name or number
    #[arg(short, long, value_name = "USER", env = "ENDLESS_USER", hide_env_values = true)]
    pub user: Option<String>,

    /// Run the target with this group, by name or number [default: the user's]
    #[arg(short, long, value_name = "GROUP", env = "ENDLESS_GROUP", hide_env_values = true)]
    pub group: Option<String>,

    /// The target's supplementary groups; none: no others [default: the user's]
    #[arg(long, value_name = "GROUP,...", env = "ENDLESS_SUPPLEMENTARY", hide_env_values = true)]
    pub supplementary: Option<String>,

    /// The target's file mode creation mask, octal
    #[arg(long, value_name = "MODE", env = "ENDLESS_UMASK", hide_env_values = true, allow_negative_numbers = true)]
    pub umask: Option<String>,

    /// Add this to the target's niceness
    #[arg(long, value_name = "N", env = "ENDLESS_NICE", hide_env_values = true, allow_negative_numbers = true)]
    pub nice: Option<String>,

    /// Limit a resource: nofile=65536, core=unlimited, stack=8M:64M
    ///
    /// Repeatable. One value sets the soft and the hard limit. K, M and G are powers of 1024.
    #[arg(long, value_name = "NAME=SOFT[:HARD]", env = "ENDLESS_RLIMIT", hide_env_values = true)]
    pub rlimit: Vec<String>,

    /// The target and what it starts can gain no privileges by executing files
    #[arg(long, env = "ENDLESS_NO_NEW_PRIVS", hide_env_values = true, value_parser = BoolishValueParser::new())]
    pub no_new_privs: bool,

    /// The target's standard input: inherit, null [default: inherit]
    #[arg(long, value_name = "FROM", env = "ENDLESS_STDIN", hide_env_values = true)]
    pub stdin: Option<String>,

    /// `--env`, `--unset`, `--env-file` and `--env-dir` in the order they were given.
    #[arg(skip)]
    pub changes: Vec<EnvArg>,
}
