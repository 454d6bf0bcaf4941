//! `-h` and `--help`: every option is in both, with its variable, and the defaults they name are those of the plan.

use super::options::{all, said};
use endless::cli::{self, Invocation};
use endless::plan::{Plan, Surroundings};
use std::ffi::OsString;

/// Options whose default is no value that could be typed.
const IN_WORDS: [&str; 4] = ["name", "group", "supplementary", "retire-signal"];

fn help(word: &str) -> String {
    match cli::parse(["endless", word].map(OsString::from), &[]) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{word}: {other:?}"),
    }
}

fn plan(options: &[String]) -> Plan {
    let line = ["endless", "-l", "localhost:4242"].map(str::to_owned).into_iter().chain(options.iter().cloned());
    let line = line.chain(["--", "/bin/sh"].map(str::to_owned)).map(OsString::from);
    let Ok(Invocation::Run(args)) = cli::parse(line, &[]) else { panic!("{options:?}") };
    let around = Surroundings { inherited: vec![], ipv6: || true, environment: vec![] };
    let mut plan = Plan::new(&args, &around).unwrap_or_else(|error| panic!("{error}"));
    plan.handoff.explicit = false;
    plan
}

#[test]
fn both_list_every_option() {
    for word in ["-h", "--help"] {
        let text = help(word);
        for arg in all() {
            let long = format!("--{}", arg.get_long().unwrap_or_default());
            let names = arg.get_short().map_or(format!("      {long}"), |short| format!("  -{short}, {long}"));
            assert!(text.lines().any(|line| line.starts_with(&names)), "{word} does not list {names}");
        }
    }
}

#[test]
fn every_option_has_the_variable_of_its_name() {
    for arg in all() {
        let long = arg.get_long().unwrap_or_default();
        let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
        let expected = format!("ENDLESS_{}", long.replace('-', "_").to_uppercase());
        match long {
            "help" | "version" => assert_eq!(variable, None, "--{long}"),
            _ => {
                assert_eq!(variable.as_ref(), Some(&expected), "--{long}");
                assert!(help("--help").contains(&format!("[env: {expected}]")), "--help does not show {expected}");
            }
        }
    }
}

#[test]
fn every_option_is_explained_in_a_summary_without_a_full_stop() {
    for arg in all() {
        let summary = said(&arg).summary;
        assert!(!summary.is_empty() && !summary.ends_with('.'), "--{}: {summary}", arg.get_long().unwrap_or_default());
    }
}

#[test]
fn the_defaults_it_names_are_those_of_the_plan() {
    let bare = plan(&[]);
    let mut checked = 0;
    for arg in all() {
        let long = arg.get_long().unwrap_or_default();
        let Some(default) = said(&arg).default else { continue };
        if !IN_WORDS.contains(&long) {
            assert_eq!(plan(&[format!("--{long}={default}")]), bare, "--{long}: the default is not {default}");
            checked += 1;
        }
    }
    assert!(checked > 15, "only {checked} defaults were found in the help");
}

#[test]
fn what_stands_behind_the_options_fits_80_columns() {
    let command = cli::command();
    for text in [command.get_after_help(), command.get_after_long_help()] {
        let text = text.map(ToString::to_string).unwrap_or_default();
        assert!(!text.is_empty());
        text.lines().for_each(|line| assert!(line.chars().count() <= 80, "{line}"));
    }
}
