//! man/endless.1: its generated parts are up to date, and what is written by hand names what the program has.
//!
//! Generated parts stand between `.\" generated: NAME` and `.\" end`; UPDATE_PAGES=1 rewrites them.

use super::roff::{section, tags, unmarked};
use super::{events, options, read, root, sources, variables};
use endless::cli;
use endless::plan::SignalTable;
use endless::words::{CODE_FAILURE, CODE_HAMMERED, CODE_NOT_EXECUTABLE, CODE_NOT_FOUND, CODE_USAGE};
use std::collections::BTreeSet;
use std::process::Command;

const PAGE: &str = "man/endless.1";

const SECTIONS: [&str; 27] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "LISTENERS",
    "HAND-OFF",
    "TEMPLATES",
    "CAPTURE",
    "READINESS",
    "RESTART",
    "RETIRING",
    "RESPAWN",
    "SIGNALS",
    "HOOKS",
    "DEVELOPMENT",
    "CONTROL",
    "UPGRADING",
    "CONFIGURATION FILE",
    "SERVICE MANAGERS",
    "OPTIONS",
    "ENVIRONMENT",
    "ENVIRONMENT OF THE TARGET",
    "FILES",
    "EXIT STATUS",
    "OUTPUT",
    "EXAMPLES",
    "NOTES",
    "SEE ALSO",
];

/// The page with its generated parts made anew.
fn fresh(page: &str) -> String {
    let parts = [("options", options::render()), ("events", events::render())];
    parts.iter().fold(page.to_owned(), |page, (name, text)| {
        let mark = format!(".\\\" generated: {name}\n");
        let (before, rest) = page.split_once(&mark).unwrap_or_else(|| panic!("{PAGE} has no part {name}"));
        let (_, after) =
            rest.split_once(".\\\" end\n").unwrap_or_else(|| panic!("the part {name} of {PAGE} has no end"));
        format!("{before}{mark}{text}.\\\" end\n{after}")
    })
}

#[test]
fn the_generated_parts_are_up_to_date() {
    let page = read(PAGE);
    let fresh = fresh(&page);
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(root().join(PAGE), &fresh).expect("the page can be written");
        return;
    }
    let pairs = page.lines().zip(fresh.lines());
    let differs = pairs.enumerate().find(|(_, (old, new))| old != new);
    let differs = differs.map(|(at, (old, new))| format!("line {}:\n  is         {old}\n  should be  {new}", at + 1));
    assert!(page == fresh, "{PAGE} is out of date, make pages rewrites it; {}", differs.unwrap_or_default());
}

#[test]
fn it_is_clean() {
    match Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(root().join(PAGE)).output() {
        Ok(lint) => assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout)),
        // `make setup` installs it.
        Err(_) => eprintln!("mandoc is not here: {PAGE} is not checked"),
    }
}

#[test]
fn it_has_its_sections_in_order_and_the_version() {
    let page = read(PAGE);
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    assert_eq!(sections, SECTIONS);
    let title = page.lines().find(|line| line.starts_with(".TH ENDLESS 1 ")).unwrap_or_default();
    assert!(title.contains(concat!("\"endless ", env!("CARGO_PKG_VERSION"), "\"")), "{title}");
}

#[test]
fn the_signal_table_is_the_programs() {
    let described: BTreeSet<String> = tags(section(&read(PAGE), "SIGNALS"))
        .iter()
        .filter_map(|tag| tag.strip_suffix(')')?.split_once(" ("))
        .flat_map(|(names, action)| names.split(", ").map(|name| format!("{name} {action}")).collect::<Vec<_>>())
        .collect();
    let real: BTreeSet<String> =
        SignalTable::default().0.iter().map(|(signal, action)| format!("{} {action}", signal.name())).collect();
    assert_eq!(described, real);
}

#[test]
fn the_exit_codes_are_the_programs() {
    let codes = tags(section(&read(PAGE), "EXIT STATUS"));
    let real =
        [CODE_USAGE, CODE_FAILURE, CODE_NOT_EXECUTABLE, CODE_NOT_FOUND, CODE_HAMMERED].map(|code| code.to_string());
    let numbers: Vec<&String> = codes.iter().filter(|code| code.parse::<u8>().is_ok_and(|code| code != 0)).collect();
    assert_eq!(numbers, real.iter().collect::<Vec<_>>());
}

#[test]
fn it_names_the_variables_of_the_program_and_no_others() {
    let page = read(PAGE);
    let mut known: BTreeSet<String> = cli::command()
        .get_arguments()
        .filter_map(|arg| arg.get_env().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    for folder in ["src/handoff", "src/runtime"] {
        for (_, code) in sources(folder) {
            let words = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            known.extend(variables(&words.collect::<Vec<_>>().join("\n")));
        }
    }
    let named = variables(&unmarked(&page));
    let differ: Vec<&String> = named.symmetric_difference(&known).collect();
    assert!(differ.is_empty(), "in {PAGE} or in the program, and not in both: {differ:?}");
}

#[test]
fn every_option_of_a_listener_is_described() {
    let described: BTreeSet<String> = tags(section(&read(PAGE), "LISTENERS"))
        .iter()
        .flat_map(|tag| {
            tag.split(", ").map(|word| word.split('=').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let names = quoted("src/plan/listener/options.rs", "const NAMES");
    assert!(names.len() >= 16, "the options of listeners are not read as they should be: {names:?}");
    for name in names {
        assert!(described.contains(&name), "LISTENERS of {PAGE} does not describe the option {name}");
    }
}

#[test]
fn the_status_it_shows_is_what_the_program_prints() {
    let page = read(PAGE);
    let (_, part) = page.split_once(".SS What it prints as JSON").expect("it has that part");
    let (text, _) = part.split_once(".nf\n").and_then(|(_, rest)| rest.split_once(".fi")).expect("with an example");
    let shown: serde_json::Value = serde_json::from_str(text).expect("which is JSON");
    let status: endless::control::Status = serde_json::from_value(shown.clone()).expect("of a status");
    assert_eq!(serde_json::to_value(&status).expect("a status is JSON"), shown, "no more and no fewer fields");
    let source = read("src/runtime/status.rs");
    for function in ["fn state(", "fn name("] {
        let body =
            source.split_once(function).and_then(|(_, rest)| rest.split_once("\n    }\n")).expect("it is there").0;
        for state in body.split('"').skip(1).step_by(2) {
            assert!(part.contains(state), "{PAGE} does not say that a state can be {state}");
        }
    }
}

#[test]
fn every_hook_is_described() {
    let described = tags(section(&read(PAGE), "HOOKS"));
    for point in ["pre:SIGNAL", "post:SIGNAL", "begin", "ready", "retired", "failed", "exit"] {
        assert!(described.iter().any(|tag| tag == point), "HOOKS of {PAGE} does not describe {point}");
    }
}

/// The words in quotes behind a constant of a source file.
fn quoted(path: &str, constant: &str) -> Vec<String> {
    let source = read(path);
    let (_, list) = source.split_once(constant).unwrap_or_else(|| panic!("{path} has no {constant}"));
    let (list, _) = list.split_once("];").unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_protocol_and_every_sign_of_readiness_is_described() {
    let protocols = quoted("src/plan/protocol.rs", "const NAMES");
    let args = options::all();
    let ready = args.iter().find(|arg| arg.get_long() == Some("ready")).map(|arg| options::said(arg).summary);
    let ready = ready.as_deref().and_then(|text| text.rsplit_once(": ")).map(|(_, values)| values.to_owned());
    let signs = ready.unwrap_or_default().split(", ").map(str::to_owned).collect();
    for (values, name) in [(protocols, "HAND-OFF"), (signs, "READINESS")] {
        let tags = tags(section(&read(PAGE), name));
        assert!(values.len() > 3, "they are not read as they should be: {values:?}");
        for value in values {
            let word = value.split('=').next().unwrap_or_default();
            let found = tags.iter().any(|tag| tag.split([',', ' ', '=', '"']).any(|part| part == word));
            assert!(found, "{name} of {PAGE} does not describe {word}");
        }
    }
}

#[test]
fn the_readme_has_the_same_signals() {
    let page = read("README.md");
    let rows: Vec<(&str, &str)> =
        page.lines().filter_map(|line| line.trim_matches(['|', ' ']).split_once(" | ")).collect();
    for (signal, action) in SignalTable::default().0 {
        let row = rows.iter().find(|(names, _)| names.split(", ").any(|name| name == signal.name()));
        let (_, does) = row.unwrap_or_else(|| panic!("README.md does not say what {signal} does"));
        let word = action.to_string().replace("ignore", "nothing");
        assert!(does.starts_with(&word), "README.md: {signal}: {does}");
    }
}
