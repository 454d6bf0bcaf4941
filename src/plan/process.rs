//! The process the target is started as: its directory, environment, identity and limits.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the child becomes before it executes the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessSpec {
    /// `--chdir`, looked up again at every start.
    pub chdir: Option<PathBuf>,
    /// `--clear-env`: begin with an empty environment.
    pub clear_env: bool,
    /// `--env`, `--unset`, `--env-file`, `--env-dir`, in the order given; files are read again at every start.
    pub env: Vec<EnvChange>,
    /// `--user`, `--group`, `--supplementary`.
    pub identity: Option<Identity>,
    /// `--umask`.
    pub umask: Option<u32>,
    /// `--nice`: added to the niceness (nice(2)).
    pub nice: Option<i32>,
    /// `--rlimit NAME=SOFT[:HARD]`.
    pub rlimits: Vec<Rlimit>,
    /// `--no-new-privs` (prctl(2)).
    pub no_new_privs: bool,
    /// `--stdin`.
    pub stdin: StdinFrom,
    /// `--orphans`.
    pub orphans: Orphans,
}

/// One change to the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvChange {
    /// `--env K=V`; templates in the value are replaced.
    Set(OsString, OsString),
    /// `--unset K`.
    Unset(OsString),
    /// `--env-file FILE`: dotenv.
    File(PathBuf),
    /// `--env-dir DIR`: envdir, first line of each file.
    Dir(PathBuf),
}

/// Who the target runs as, resolved to numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The supplementary groups: those of the user, or `--supplementary`.
    pub groups: Vec<u32>,
    /// The user's name, home and shell for USER, LOGNAME, HOME and SHELL, where the user has an entry.
    pub account: Option<Account>,
}

/// A user's entry in passwd(5), as far as the environment shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: PathBuf,
    /// Login shell.
    pub shell: PathBuf,
}

/// One limit (getrlimit(2)); None is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// RLIMIT_* number.
    pub resource: u32,
    /// The soft limit.
    pub soft: Option<u64>,
    /// The hard limit.
    pub hard: Option<u64>,
}

/// Where the target's descriptor 0 comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StdinFrom {
    /// As endless has it.
    #[default]
    Inherited,
    /// /dev/null.
    Null,
}

/// What becomes of the copies when endless itself is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orphans {
    /// They get the stop signal (PR_SET_PDEATHSIG, prctl(2)).
    #[default]
    Stop,
    /// They go on.
    Keep,
}
