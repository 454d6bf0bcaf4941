//! The short way for plain command lines: most of the time endless needs to start would be clap's.
//!
//! Options with one value each, in their plain forms, are read here. Everything else, and every fault, is left to clap:
//! the whole line then, so that there is one place that explains it.

use super::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// An option that may be given once: its names, and where its value goes.
type Once = (&'static str, &'static str, fn(&mut Args) -> &mut Option<String>);

/// An option that may be given again and again.
type Again = (&'static str, &'static str, fn(&mut Args) -> &mut Vec<String>);

pub(super) const ONCE: &[Once] = &[
    ("--pass", "-p", |args| &mut args.listeners.pass),
    ("--listen-pid", "", |args| &mut args.listeners.listen_pid),
    ("--ready", "-r", |args| &mut args.readiness.ready),
    ("--ready-timeout", "", |args| &mut args.readiness.ready_timeout),
    ("--settle", "", |args| &mut args.readiness.settle),
    ("--probation", "", |args| &mut args.readiness.probation),
    ("--max-retiring", "", |args| &mut args.readiness.max_retiring),
    ("--respawn", "", |args| &mut args.readiness.respawn),
    ("--drain", "", |args| &mut args.retirement.drain),
    ("--stop-signal", "-s", |args| &mut args.retirement.stop_signal),
    ("--retire-signal", "", |args| &mut args.retirement.retire_signal),
    ("--hammer", "", |args| &mut args.retirement.hammer),
    ("--kill-mode", "", |args| &mut args.retirement.kill_mode),
    ("--user", "-u", |args| &mut args.process.user),
    ("--group", "-g", |args| &mut args.process.group),
    ("--name", "-n", |args| &mut args.output.name),
    ("--log-format", "", |args| &mut args.output.log_format),
];

pub(super) const AGAIN: &[Again] = &[
    ("--listen", "-l", |args| &mut args.listeners.listen),
    ("--on", "", |args| &mut args.signals.on),
    ("--rlimit", "", |args| &mut args.process.rlimit),
];

/// Reads options that are plain, each its name and then its value, or `--NAME=VALUE`. None: ask clap.
pub(super) fn read(words: &[OsString]) -> Option<Args> {
    let mut args = Args::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let word = word.to_str()?;
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, value),
            _ => (word, words.next()?.to_str()?),
        };
        if value.is_empty() || value.starts_with('-') {
            return None;
        }
        let is = |long: &str, short: &str| name == long || (!short.is_empty() && name == short);
        if let Some((.., list)) = AGAIN.iter().find(|(long, short, _)| is(long, short)) {
            list(&mut args).push(value.to_owned());
        } else {
            let (.., place) = ONCE.iter().find(|(long, short, _)| is(long, short))?;
            if place(&mut args).replace(value.to_owned()).is_some() {
                return None;
            }
        }
    }
    Some(args)
}

/// The variables that are options: these, with `ENDLESS_` before them.
pub(super) const VARIABLES: &str = "\
    CAPTURE CHDIR CHECK CLEAR_ENV CONFIG CONTROL DETACH DRAIN ENV ENV_DIR ENV_FILE EVENTS FD_STORE_MAX GROUP HAMMER \
    HOOK HOOK_TIMEOUT KILL_MODE LISTEN LISTEN_PID LOG_FILE LOG_FORMAT MAX_RETIRING NAME NICE NO_EXPAND NO_NEW_PRIVS \
    ON ORPHANS OUTPUT PASS PID_FILE PRESET PROBATION QUIET READY READY_TIMEOUT RESPAWN RESPAWN_LIMIT RETIRE_SIGNAL \
    RLIMIT SETTLE STATUS_FILE STDIN STOP_SIGNAL SUPERSEDE SUPPLEMENTARY UMASK UNSET USER VERBOSE WATCH WATCHDOG \
    WATCH_EXEC";

/// Whether any of these variables is an option. Others of such a name are not: each copy has some, and a copy can be an endless.
pub(super) fn among(environment: &[(OsString, OsString)]) -> bool {
    let option = |name: &[u8]| VARIABLES.split(' ').any(|known| known.as_bytes() == name);
    environment.iter().any(|(name, _)| name.as_bytes().strip_prefix(b"ENDLESS_").is_some_and(option))
}
