//! How a copy is told about its listeners: which descriptor has which number, and which variables say so. Pure.
//!
//! Descriptors sit at 3, 4, 5… in `-l` order. `fd=N` puts one elsewhere; the others then take the lowest numbers from 3 on
//! that are free. With `--pass stdin` the one listener is descriptor 0, which is all there is to that protocol
//! ([`HandoffPlan::numbers`]).

pub mod einhorn;
mod endless;
mod endless_json;
mod goagain;
mod grace;
mod gunicorn;
mod nginx;
mod overseer;
mod php_fpm;
mod puma;
mod server_starter;
mod systemd;
pub mod tableflip;
mod template;
#[cfg(test)]
mod tests;
mod unicorn;

pub use template::Template;

use crate::listener::Bound;
use crate::notice::{Level, Notice};
use crate::plan::{Error, Fault, HandoffPlan, ListenerSpec, Protocol};
use crate::words::GenerationId;
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The longest string execve(2) takes, with its name, `=` and NUL: MAX_ARG_STRLEN, 32 pages of 4 KiB.
pub const LONGEST_STRING: usize = 131_072;

/// What one copy is handed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handed {
    /// For each listener, in `-l` order, the number of its descriptor in the target.
    pub numbers: Vec<i32>,
    /// The numbers of the descriptors that copies have left.
    pub stored: Vec<i32>,
    /// Whether LISTEN_PID is to be set, to the pid of the process that executes the target.
    pub listen_pid: bool,
    /// What was left out, and why.
    pub notices: Vec<Notice>,
}

/// Numbers the descriptors of one copy and adds the variables that tell about them to its environment.
///
/// `held` describes the listeners as they are really bound, in the order of `specs`. What is in `env` under the same names
/// is replaced. `stored`: the names of descriptors that copies have left with endless.
///
/// # Errors
/// A variable that cannot be made, when `--pass` asked for it; one of the default protocols is left out instead.
pub fn prepare(
    plan: &HandoffPlan,
    specs: &[ListenerSpec],
    held: &[Bound],
    generation: GenerationId,
    stored: &[&str],
    env: &mut Vec<(OsString, OsString)>,
) -> Result<Handed, Error> {
    let mut handed = Handed { numbers: plan.numbers(specs), ..Handed::default() };
    handed.stored = plan.stored_numbers(&handed.numbers, stored.len());
    let stored = &stored[..handed.stored.len()];
    let facts = Facts { specs, held, numbers: &handed.numbers, generation, stored, endless: std::process::id() };
    if plan.explicit || !specs.is_empty() || !stored.is_empty() {
        handed.listen_pid = plan.listen_pid && plan.speaks(Protocol::Systemd);
        for protocol in &plan.protocols {
            for variable in variables(*protocol, &facts) {
                offer(plan, env, &mut handed.notices, variable)?;
            }
        }
    }
    set(env, "ENDLESS_PID", std::process::id().to_string().into());
    set(env, "ENDLESS_GENERATION", generation.to_string().into());
    set(env, "ENDLESS_WORKER", "0".into());
    Ok(handed)
}

/// What the protocols are made from.
struct Facts<'a> {
    specs: &'a [ListenerSpec],
    held: &'a [Bound],
    numbers: &'a [i32],
    generation: GenerationId,
    /// The names of descriptors that copies have left.
    stored: &'a [&'a str],
    /// The pid of endless.
    endless: u32,
}

impl Facts<'_> {
    /// The numbers with this between them.
    fn joined(&self, between: &str) -> OsString {
        self.numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(between).into()
    }

    /// Every listener as its program knows it.
    fn written(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.held.iter().map(Bound::written)
    }
}

/// A variable, or why it cannot be made.
type Variable = (Cow<'static, str>, Result<OsString, String>);

/// A variable that can always be made.
fn plain(name: &'static str, value: impl Into<OsString>) -> Variable {
    (Cow::Borrowed(name), Ok(value.into()))
}

fn variables(protocol: Protocol, facts: &Facts<'_>) -> Vec<Variable> {
    match protocol {
        Protocol::Systemd => systemd::variables(facts).into(),
        Protocol::ServerStarter => server_starter::variables(facts).into(),
        Protocol::Einhorn => einhorn::variables(facts),
        Protocol::Endless => endless::variables(facts).into(),
        Protocol::EndlessJson => endless_json::variables(facts).into(),
        Protocol::Goagain => goagain::variables(facts),
        Protocol::Grace => grace::variables(facts).into(),
        Protocol::Tableflip => tableflip::variables().into(),
        Protocol::Overseer => overseer::variables(facts).into(),
        Protocol::Nginx => nginx::variables(facts).into(),
        Protocol::Unicorn => unicorn::variables(facts).into(),
        Protocol::Puma => puma::variables(facts),
        Protocol::PhpFpm => php_fpm::variables(facts).into(),
        Protocol::Gunicorn => gunicorn::variables(facts).into(),
        Protocol::Stdin => Vec::new(),
    }
}

/// Sets the variable; if it cannot be, that is an error for a protocol that was asked for, else a notice.
fn offer(
    plan: &HandoffPlan,
    env: &mut Vec<(OsString, OsString)>,
    notices: &mut Vec<Notice>,
    (variable, value): Variable,
) -> Result<(), Error> {
    let value = value.and_then(|value| match variable.len() + value.len() + 2 {
        length if length > LONGEST_STRING => {
            Err(format!("it would have {length} bytes, and the kernel takes {LONGEST_STRING} (execve(2))"))
        }
        _ if value.as_bytes().contains(&0) => {
            Err("a listener's name has a NUL byte, which no variable can have".to_owned())
        }
        _ => Ok(value),
    });
    match value {
        Ok(value) => set(env, &variable, value),
        Err(reason) if plan.explicit => {
            let hint = "another protocol with --pass, or none and templates such as {fd:NAME} in the arguments";
            return Err(Fault::new(format!("{variable} cannot be set: {reason}"), hint).at_switch("--pass"));
        }
        Err(reason) => {
            env.retain(|(name, _)| name != &*variable);
            notices.push(Notice::Note { level: Level::Normal, text: format!("{variable} is left out: {reason}") });
        }
    }
    Ok(())
}

fn set(env: &mut Vec<(OsString, OsString)>, name: &str, value: OsString) {
    match env.iter_mut().find(|(known, _)| known == OsStr::new(name)) {
        Some((_, old)) => *old = value,
        None => env.push((name.into(), value)),
    }
}
