//! What each signal to endless does (`--on`), and the hooks around it (`--hook`, `--check`).

use super::error::{Error, Fault};
use super::value::{self, command};
use crate::cli::{HookArg, SignalArgs};
use crate::words::{HookPoint, Sig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// `--on SIGNAL=ACTION` on top of the defaults. A signal that is not in it keeps the system's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalTable(pub BTreeMap<Sig, SignalAction>);

/// What endless can be asked for, by a signal or by a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalAction {
    /// Start a fresh copy and retire the old one.
    Restart,
    /// Retire everything, then exit. A second one hammers.
    Stop,
    /// Hammer what is retiring.
    Hammer,
    /// Send a signal to the main process of the active generation.
    Forward(Sig),
    /// Job control: stop all copies with their whole trees, then endless, until somebody continues it.
    Suspend,
    /// Replace endless itself by the program at its path.
    Upgrade,
    /// Open the log file, the events and the output again.
    Reopen,
    /// Nothing of endless' own; hooks run.
    #[serde(alias = "Nothing")]
    Ignore,
}

impl SignalAction {
    /// The word for it in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SignalAction::Restart => "restart",
            SignalAction::Stop => "stop",
            SignalAction::Hammer => "hammer",
            SignalAction::Forward(_) => "forward",
            SignalAction::Reopen => "reopen",
            SignalAction::Upgrade => "upgrade",
            SignalAction::Suspend => "suspend",
            SignalAction::Ignore => "hooks",
        }
    }
}

/// The commands of `--hook` and `--check`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// In the order given.
    pub list: Vec<Hook>,
    /// `--hook-timeout`: a hook that runs longer is killed and has failed. None: no limit.
    pub timeout: Option<Duration>,
}

/// One `--hook WHEN=COMMAND`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When it runs.
    pub point: HookPoint,
    /// What `sh -c` runs.
    pub command: String,
}

/// The actions there are, for hints.
const ACTIONS: &str = "restart, stop, hammer, forward[=SIG], reopen, upgrade, suspend or ignore";

impl Default for SignalTable {
    /// What signals do without `--on`.
    fn default() -> SignalTable {
        SignalTable(BTreeMap::from([
            (Sig::HUP, SignalAction::Restart),
            (Sig::TERM, SignalAction::Stop),
            (Sig::INT, SignalAction::Stop),
            (Sig::QUIT, SignalAction::Stop),
            (Sig::USR2, SignalAction::Hammer),
            (Sig::USR1, SignalAction::Ignore),
            (Sig::TSTP, SignalAction::Ignore),
        ]))
    }
}

impl SignalTable {
    /// The first signal that asks for this.
    #[must_use]
    pub fn signal_for(&self, action: SignalAction) -> Option<Sig> {
        let usual = [Sig::HUP, Sig::TERM, Sig::USR2].into_iter().find(|signal| self.0.get(signal) == Some(&action));
        usual.or_else(|| self.0.iter().find(|(_, does)| **does == action).map(|(signal, _)| *signal))
    }

    /// Reads all `--on` on top of the defaults.
    pub(super) fn read(args: &SignalArgs) -> Result<SignalTable, Error> {
        let mut table = SignalTable::default();
        let mut given = Vec::new();
        for text in &args.on {
            let (signal, action) = on(text).map_err(|fault| fault.at("--on", text))?;
            if given.contains(&signal) {
                let fault = Fault::new(format!("it is said twice what {signal} does"), "take one of them away");
                return Err(fault.at("--on", text));
            }
            given.push(signal);
            table.0.insert(signal, action);
        }
        Ok(table)
    }
}

fn on(text: &str) -> Result<(Sig, SignalAction), Fault> {
    let (signal, action) = text
        .split_once('=')
        .ok_or_else(|| Fault::new("there is no `=` in it", format!("SIGNAL=ACTION; actions: {ACTIONS}")))?;
    let signal = catchable(signal)?;
    let action = match action {
        "restart" => SignalAction::Restart,
        "stop" => SignalAction::Stop,
        "hammer" => SignalAction::Hammer,
        "suspend" => SignalAction::Suspend,
        "ignore" => SignalAction::Ignore,
        "forward" => SignalAction::Forward(signal),
        "reopen" => SignalAction::Reopen,
        "upgrade" => SignalAction::Upgrade,
        _ => match action.strip_prefix("forward=") {
            Some(other) => SignalAction::Forward(value::signal(other)?),
            None => return Err(Fault::new(format!("there is no action `{action}`"), ACTIONS)),
        },
    };
    Ok((signal, action))
}

/// A signal endless can be sent: not one that cannot be caught, that means a crash, or that endless needs itself.
pub(super) fn catchable(text: &str) -> Result<Sig, Fault> {
    let signal = value::signal(text)?;
    let why = match signal.name().as_str() {
        "KILL" | "STOP" => "cannot be caught (signal(7))",
        "ILL" | "FPE" | "SEGV" | "BUS" => "means that endless itself has crashed",
        "CHLD" | "CONT" => "is one endless needs for itself",
        _ => return Ok(signal),
    };
    Err(Fault::new(format!("{signal} {why}"), "another signal, such as HUP, USR1 or RTMIN+1"))
}

impl Hooks {
    /// Reads all `--hook` and `--check`, in the order given, and `--hook-timeout`.
    pub(super) fn read(args: &SignalArgs, table: &SignalTable) -> Result<Hooks, Error> {
        let default = Some(Duration::from_secs(30));
        let timeout = value::or("--hook-timeout", args.hook_timeout.as_deref(), default, value::duration_or_never)?;
        let one = |arg: &HookArg| match arg {
            HookArg::Hook(text) => hook(text, table).map_err(|fault| fault.at("--hook", text)),
            HookArg::Check(text) => check(text).map_err(|fault| fault.at("--check", text)),
        };
        Ok(Hooks { list: args.hooks.iter().map(one).collect::<Result<_, _>>()?, timeout })
    }
}

fn check(text: &str) -> Result<Hook, Fault> {
    Ok(Hook { point: HookPoint::Pre(Sig::HUP), command: command(text)? })
}

fn hook(text: &str, table: &SignalTable) -> Result<Hook, Fault> {
    let (when, rest) = text
        .split_once('=')
        .ok_or_else(|| Fault::new("there is no `=` in it", format!("WHEN=COMMAND; WHEN is one of: {POINTS}")))?;
    Ok(Hook { point: point(when, table)?, command: command(rest)? })
}

/// The hook points there are, for hints.
const POINTS: &str = "pre:SIGNAL, post:SIGNAL, begin, ready, retired, failed, exit";

fn point(when: &str, table: &SignalTable) -> Result<HookPoint, Fault> {
    match when.split_once(':') {
        None => match when {
            "begin" => Ok(HookPoint::Begin),
            "ready" => Ok(HookPoint::Ready),
            "retired" => Ok(HookPoint::Retired),
            "failed" => Ok(HookPoint::Failed),
            "exit" => Ok(HookPoint::Exit),
            _ => Err(Fault::new(format!("there is no hook point `{when}`"), format!("one of: {POINTS}"))),
        },
        Some(("pre", signal)) => in_table(signal, table).map(HookPoint::Pre),
        Some(("post", signal)) => in_table(signal, table).map(HookPoint::Post),
        Some(_) => Err(Fault::new(format!("there is no hook point `{when}`"), format!("one of: {POINTS}"))),
    }
}

fn in_table(text: &str, table: &SignalTable) -> Result<Sig, Fault> {
    let signal = catchable(text)?;
    if table.0.contains_key(&signal) {
        return Ok(signal);
    }
    Err(Fault::new(
        format!("endless does nothing on {signal}, so nothing runs before or after it"),
        format!("say what it does: --on {}=ignore runs its hooks only", signal.name()),
    ))
}

/// The action as it is typed.
impl std::fmt::Display for SignalAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SignalAction::Forward(signal) => write!(f, "forward={}", signal.name()),
            SignalAction::Ignore => f.write_str("ignore"),
            other => f.write_str(other.name()),
        }
    }
}
