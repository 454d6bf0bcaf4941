//! What clap does not keep: which values came from ENDLESS_ variables, and in which order related options were given.

use super::Args;
use super::signals::HookArg;
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// One change to the target's environment, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvArg {
    /// `--env NAME=VALUE`
    Set(OsString),
    /// `--unset NAME`
    Unset(OsString),
    /// `--env-file FILE`
    File(OsString),
    /// `--env-dir DIR`
    Dir(OsString),
}

/// The long names of the options that were typed.
pub(super) fn typed(matches: &ArgMatches) -> Vec<String> {
    from(matches, ValueSource::CommandLine)
}

fn from(matches: &ArgMatches, source: ValueSource) -> Vec<String> {
    let ids = matches.ids().map(clap::Id::as_str).filter(|id| matches.value_source(id) == Some(source));
    ids.map(|id| id.replace('_', "-")).collect()
}

/// Where the values of related options stood on the command line.
pub(super) struct Ordered {
    from_environment: Vec<String>,
    env: [Vec<usize>; 4],
    hooks: [Vec<usize>; 2],
}

impl Ordered {
    /// Looks at the matches before their values are moved out.
    pub(super) fn collect(matches: &ArgMatches) -> Ordered {
        let from_environment = from(matches, ValueSource::EnvVariable);
        let indices = |id: &str| -> Vec<usize> {
            match matches.value_source(id) {
                Some(ValueSource::CommandLine) => matches.indices_of(id).into_iter().flatten().collect(),
                _ => Vec::new(),
            }
        };
        Ordered {
            from_environment,
            env: ["env_file", "env_dir", "env", "unset"].map(indices),
            hooks: ["hook", "check"].map(indices),
        }
    }

    /// Splits what came from variables and puts related options into the order given. What came from variables comes
    /// first.
    pub(super) fn apply(self, args: &mut Args) {
        let named = |name: &str| self.from_environment.iter().any(|known| known == name);
        let words = |name: &str, list: &mut Vec<String>| {
            if named(name) {
                *list = split(list, char::is_whitespace);
            }
        };
        words("listen", &mut args.listeners.listen);
        words("on", &mut args.signals.on);
        words("rlimit", &mut args.process.rlimit);
        for (name, list) in [("hook", &mut args.signals.hook), ("check", &mut args.signals.check)] {
            if named(name) {
                *list = split(list, |c| c == '\n');
            }
        }
        let process = &mut args.process;
        let files = [&mut process.env_file, &mut process.env_dir, &mut process.env, &mut process.unset];
        for (name, list) in ["env-file", "env-dir", "env", "unset"].into_iter().zip(files) {
            if named(name) {
                *list = list.iter().flat_map(|value| split_os(value)).collect();
            }
        }
        let kinds = [EnvArg::File, EnvArg::Dir, EnvArg::Set, EnvArg::Unset];
        let lists = [&process.env_file, &process.env_dir, &process.env, &process.unset];
        process.changes = merge(&self.env, lists, kinds);
        let lists = [&args.signals.hook, &args.signals.check];
        args.signals.hooks = merge(&self.hooks, lists, [HookArg::Hook, HookArg::Check]);
        if named("watch") {
            let words = |path: PathBuf| split_os(path.as_os_str());
            args.watch.watch =
                args.watch.watch.take().map(|paths| paths.into_iter().flat_map(words).map(PathBuf::from).collect());
        }
        args.from_environment = self.from_environment;
    }
}

/// Puts the listeners that did not pass through clap in their place: they win over the variable.
pub(super) fn put_first(args: &mut Args, taken: Vec<String>) {
    if taken.is_empty() {
        return;
    }
    let known = args.from_environment.len();
    args.from_environment.retain(|name| name != "listen");
    let typed =
        if args.from_environment.len() == known { std::mem::take(&mut args.listeners.listen) } else { Vec::new() };
    args.listeners.listen = taken;
    args.listeners.listen.extend(typed);
}

/// Merges the lists by the places of their values; a value without a place comes first.
fn merge<const N: usize, T: Clone, U>(places: &[Vec<usize>; N], lists: [&Vec<T>; N], kinds: [fn(T) -> U; N]) -> Vec<U> {
    let mut all = Vec::new();
    for ((places, list), kind) in places.iter().zip(lists).zip(kinds) {
        for (position, value) in list.iter().enumerate() {
            all.push((places.get(position).copied().unwrap_or(0), kind(value.clone())));
        }
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, value)| value).collect()
}

fn split(list: &[String], at: fn(char) -> bool) -> Vec<String> {
    let parts = list.iter().flat_map(|value| value.split(at));
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn split_os(value: &OsStr) -> Vec<OsString> {
    let parts = value.as_bytes().split(u8::is_ascii_whitespace);
    parts.filter(|part| !part.is_empty()).map(|part| OsString::from_vec(part.to_vec())).collect()
}
