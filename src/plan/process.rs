//! The process the target is started as: its directory, environment, identity and limits.

use super::error::{Error, Fault};
use super::{identity, value};
use crate::cli::{EnvArg, ProcessArgs};
use nix::sys::resource::Resource;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Limits by the names setrlimit(2) gives them, without `RLIMIT_`.
const LIMITS: [(&str, Resource); 16] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// The name of a limit, by its number. It allocates nothing: a forked child asks for it, too.
#[must_use]
pub fn limit_name(resource: u32) -> &'static str {
    LIMITS.iter().find(|(_, known)| *known as u32 == resource).map_or("an unknown resource", |(name, _)| name)
}

/// Reads what the options under "Process" say, and `--orphans`.
pub(super) fn read(args: &ProcessArgs, orphans: Option<&str>) -> Result<ProcessSpec, Error> {
    if let Some(dir) = &args.chdir {
        check_directory(dir).map_err(|fault| fault.at("--chdir", dir.to_string_lossy()))?;
    }
    let stdin = [("inherit", StdinFrom::Inherited), ("null", StdinFrom::Null)];
    let keep = [("stop", Orphans::Stop), ("keep", Orphans::Keep)];
    Ok(ProcessSpec {
        chdir: args.chdir.clone(),
        clear_env: args.clear_env,
        env: args.changes.iter().map(env_change).collect::<Result<_, _>>()?,
        identity: identity::read(args)?,
        umask: value::or("--umask", args.umask.as_deref(), None, |text| value::octal(text, "0027").map(Some))?,
        nice: value::or("--nice", args.nice.as_deref(), None, |text| value::number(text, -20, 19).map(Some))?,
        rlimits: rlimits(&args.rlimit)?,
        no_new_privs: args.no_new_privs,
        stdin: value::or("--stdin", args.stdin.as_deref(), StdinFrom::Inherited, |text| value::one_of(text, &stdin))?,
        orphans: value::or("--orphans", orphans, Orphans::Stop, |text| value::one_of(text, &keep))?,
    })
}

fn check_directory(dir: &Path) -> Result<(), Fault> {
    let hint = "an existing directory";
    match dir.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Fault::new("it is not a directory", hint)),
        Err(error) => Err(Fault::new(format!("it cannot be used: {error}"), hint)),
    }
}

fn env_change(arg: &EnvArg) -> Result<EnvChange, Error> {
    match arg {
        EnvArg::Set(text) => set(text).map_err(|fault| fault.at("--env", text.to_string_lossy())),
        EnvArg::Unset(name) if name.is_empty() || name.as_bytes().contains(&b'=') => {
            let fault =
                Fault::new("this cannot be the name of a variable", "a NAME without `=`; --env NAME=VALUE sets one");
            Err(fault.at("--unset", name.to_string_lossy()))
        }
        EnvArg::Unset(name) => Ok(EnvChange::Unset(name.clone())),
        EnvArg::File(path) => Ok(EnvChange::File(path.into())),
        EnvArg::Dir(path) => Ok(EnvChange::Dir(path.into())),
    }
}

fn set(text: &OsStr) -> Result<EnvChange, Fault> {
    let bytes = text.as_bytes();
    let hint = "NAME=VALUE; to take a variable away: --unset NAME";
    match bytes.iter().position(|byte| *byte == b'=') {
        None => Err(Fault::new("there is no `=` in it", hint)),
        Some(0) => Err(Fault::new("there is no name before the `=`", hint)),
        Some(at) => {
            let part = |part: &[u8]| OsStr::from_bytes(part).to_owned();
            Ok(EnvChange::Set(part(&bytes[..at]), part(&bytes[at + 1..])))
        }
    }
}

fn rlimits(flags: &[String]) -> Result<Vec<Rlimit>, Error> {
    let mut list: Vec<Rlimit> = Vec::new();
    for flag in flags {
        let limit = rlimit(flag).and_then(|limit| match list.iter().any(|other| other.resource == limit.resource) {
            true => Err(Fault::new("this limit is given twice", "once; SOFT:HARD sets both its values")),
            false => Ok(limit),
        });
        list.push(limit.map_err(|fault| fault.at("--rlimit", flag))?);
    }
    Ok(list)
}

fn rlimit(text: &str) -> Result<Rlimit, Fault> {
    let (name, given) = text
        .split_once('=')
        .ok_or_else(|| Fault::new("there is no `=` in it", "NAME=SOFT[:HARD], such as nofile=65536"))?;
    let resource = value::one_of(name, &LIMITS)? as u32;
    let (soft, hard) = given.split_once(':').unwrap_or((given, given));
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(Fault::new("the soft limit is above the hard one", "SOFT:HARD, the smaller one first"));
    }
    Ok(Rlimit { resource, soft, hard })
}

fn limit(text: &str) -> Result<Option<u64>, Fault> {
    match text {
        "unlimited" | "infinity" | "-1" => Ok(None),
        _ => value::size(text)
            .map(Some)
            .map_err(|fault| Fault { hint: format!("{}, or unlimited", fault.hint), ..fault }),
    }
}
