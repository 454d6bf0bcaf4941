//! `--preset NAME`: the options one kind of server needs. They are data, in `presets.conf`.

use super::error::{Error, Fault};
use super::{ListenerSpec, listener};
use crate::cli::{Args, EnvArg};
use std::ffi::OsString;
use std::fmt::Write;
use std::rc::Rc;

const FLAG: &str = "--preset";
const TEXT: &str = include_str!("presets.conf");

/// A named set of defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Its reason, in one line.
    pub why: &'static str,
    /// Options without their `--` and their values, in the order of the file.
    pub options: Vec<(&'static str, &'static str)>,
    /// O_NONBLOCK on the listeners.
    pub nonblock: bool,
    /// What keeps such a server in the foreground.
    pub foreground: Option<&'static str>,
}

/// The preset of a plan, and what of it the command line has left in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Which.
    pub preset: Preset,
    /// Long names of the options it has set.
    pub set: Vec<&'static str>,
}

/// All presets, in the order of the file.
#[must_use]
pub fn all() -> Vec<Preset> {
    let mut presets: Vec<Preset> = Vec::new();
    for line in TEXT.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            presets.push(Preset { name, why: "", options: Vec::new(), nonblock: false, foreground: None });
        } else if let (Some(preset), Some((key, value))) = (presets.last_mut(), line.split_once(" = ")) {
            match key {
                "why" => preset.why = value,
                "nonblock" => preset.nonblock = value == "yes",
                "foreground" => preset.foreground = Some(value),
                option => preset.options.push((option, value)),
            }
        }
    }
    presets
}

/// What keeps this program in the foreground: `-F` of `php-fpm8.2`.
#[must_use]
pub fn foreground(program: &str) -> Option<&'static str> {
    all().iter().find(|preset| program.starts_with(preset.name)).and_then(|preset| preset.foreground)
}

/// What `endless presets` prints: name, what it sets, why.
#[must_use]
pub fn table() -> String {
    let presets = all();
    let sets: Vec<String> = presets.iter().map(Preset::to_string).collect();
    let names = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let width = sets.iter().map(String::len).max().unwrap_or(0);
    presets.iter().zip(&sets).fold(String::new(), |mut text, (preset, sets)| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:names$}  {sets:width$}  {}", preset.name, preset.why);
        text
    })
}

/// As it would be typed.
impl std::fmt::Display for Preset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words: Vec<String> = self.options.iter().map(|(option, value)| format!("--{option} {value}")).collect();
        words.extend(self.nonblock.then(|| "-l ADDRESS,nonblock=yes".to_owned()));
        f.write_str(&words.join(" "))
    }
}

/// Fills in what the preset says and nobody else does. None without `--preset`.
pub(super) fn apply(args: &Args) -> Result<Option<(Args, Applied)>, Error> {
    let Some(name) = args.listeners.preset.as_deref() else { return Ok(None) };
    let presets = all();
    let Some(preset) = presets.iter().find(|preset| preset.name == name) else {
        let known: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
        let fault = Fault::new(
            format!("there is no preset `{name}`"),
            format!("one of: {}; endless presets says what they set", known.join(", ")),
        );
        return Err(fault.at(FLAG, name));
    };
    let mut filled = args.clone();
    let mut set = Vec::new();
    for (option, value) in &preset.options {
        if fill(&mut filled, option, value) {
            set.push(*option);
        }
    }
    filled.from_preset = set.iter().map(|option| (*option).to_owned()).collect();
    Ok(Some((filled, Applied { preset: preset.clone(), set })))
}

/// True when the option was free.
fn fill(args: &mut Args, option: &str, value: &str) -> bool {
    let place = match option {
        "pass" => &mut args.listeners.pass,
        "listen-pid" => &mut args.listeners.listen_pid,
        "ready" => &mut args.readiness.ready,
        "stop-signal" => &mut args.retirement.stop_signal,
        "retire-signal" => &mut args.retirement.retire_signal,
        "kill-mode" => &mut args.retirement.kill_mode,
        "hammer" => &mut args.retirement.hammer,
        "env" => {
            // First, so that --env and --unset of the command line come after it.
            args.process.changes.insert(0, EnvArg::Set(OsString::from(value)));
            return true;
        }
        _ => return false,
    };
    let free = place.is_none();
    if free {
        *place = Some(value.to_owned());
    }
    free
}

/// Gives the listeners O_NONBLOCK where the preset asks for it and their own flag says nothing.
pub(super) fn apply_to_listeners(applied: Option<&Applied>, listeners: &mut [ListenerSpec]) {
    if !applied.is_some_and(|applied| applied.preset.nonblock) {
        return;
    }
    let silent = |spec: &&mut ListenerSpec| spec.options.nonblock.is_none();
    let bound = |spec: &&mut ListenerSpec| !matches!(spec.address, listener::Address::Inherited(_));
    let asked = listeners.iter_mut().filter(silent).filter(bound);
    asked.for_each(|spec| Rc::make_mut(&mut spec.options).nonblock = Some(true));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Surroundings};

    fn plan(words: &[&str]) -> Plan {
        let line = ["endless", "-l", "127.0.0.1:80"].iter().chain(words).chain(&["--", "sh"]).map(OsString::from);
        let Ok(crate::cli::Invocation::Run(args)) = crate::cli::parse(line, &[]) else { panic!("{words:?}") };
        let around =
            Surroundings { inherited: vec![], ipv6: || true, environment: vec![("PATH".into(), "/bin".into())] };
        Plan::new(&args, &around).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    #[test]
    fn every_preset_makes_a_plan_has_a_reason_and_sets_what_it_says() {
        let presets = all();
        assert_eq!(presets.len(), 30);
        for preset in presets {
            let plan = plan(&["--preset", preset.name]);
            assert!(!preset.why.is_empty() && !preset.why.ends_with('.'), "{}", preset.name);
            let Some(applied) = plan.preset else { panic!("{}", preset.name) };
            let all: Vec<&str> = preset.options.iter().map(|(option, _)| *option).collect();
            assert_eq!(applied.set, all, "{}", preset.name);
            assert_eq!(plan.listeners[0].options.nonblocking(), preset.nonblock);
        }
    }

    #[test]
    fn every_value_gives_way_to_its_flag() {
        let changed = plan(&["--preset", "nginx", "--stop-signal", "TERM", "-l", "127.0.0.1:81,nonblock=no"]);
        assert_eq!(changed.retirement.stop_signal, crate::words::Sig::TERM);
        let nonblock: Vec<bool> = changed.listeners.iter().map(|spec| spec.options.nonblocking()).collect();
        assert_eq!(nonblock, [true, false]);
        assert_eq!(changed.preset.map(|applied| applied.set), Some(vec!["pass"]));
    }

    #[test]
    fn the_program_tells_what_keeps_it_in_the_foreground() {
        assert_eq!(foreground("php-fpm8.2"), Some("-F"));
        assert_eq!(foreground("cat"), None);
    }
}
