//! Command lines that pages show: each is one that endless accepts.

use super::{read, roff};
use clap::CommandFactory;
use endless::cli::{self, ClientArgs, Invocation};
use endless::plan::{Asking, InheritedSocket, Plan, Surroundings};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// Words as a shell splits them: blanks, both kinds of quotes, a `#` after a blank.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.retain(|word| word != "&");
    words
}

/// Parses a line and makes a plan of it. What depends on the machine may be missing: the program and the group.
pub fn accept(page: &str, words: &[String]) {
    accept_with(page, words, &[]);
}

/// The same for one that is started with sockets.
pub fn accept_with(page: &str, words: &[String], inherited: &[InheritedSocket]) {
    let line = words.join(" ");
    let args = match cli::parse(words.iter().map(OsString::from), &[]) {
        Ok(Invocation::Run(args) | Invocation::Check(args)) => args,
        Ok(Invocation::Ask(args)) => {
            return drop(Asking::new(&args).unwrap_or_else(|error| panic!("{page}: {line}\n{error}")));
        }
        Ok(Invocation::Exec(_) | Invocation::Presets | Invocation::Rehearse(_) | Invocation::Print(_)) => return,
        // The file it names is the reader's.
        Err(error) if error.to_string().starts_with("--config ") => return,
        Err(error) => panic!("{page}: {line}\n{error}"),
    };
    let environment = vec![("PATH".into(), "/bin:/usr/bin".into())];
    match Plan::new(&args, &Surroundings { inherited: inherited.to_vec(), ipv6: || true, environment }) {
        Err(error) if error.flag != "COMMAND" && !error.reason.contains("there is no group") => {
            panic!("{page}: {line}\n{error}")
        }
        _ => {}
    }
}

/// The command lines of a text: those that begin with `endless`, with or without a prompt and a path.
fn lines(text: &str) -> Vec<Vec<String>> {
    let commands = text.lines().map(|line| line.trim().trim_start_matches("$ "));
    let ours = commands.filter_map(|line| line.strip_prefix("target/release/").or(Some(line)));
    let ours = ours.filter(|line| {
        line.starts_with("endless -l")
            || line.starts_with("endless --")
            || ["check", "exec"].iter().any(|word| line.starts_with(&format!("endless {word} ")))
    });
    ours.map(words).filter(|words| !words.iter().any(|word| word == "[OPTIONS]" || word == "COMMAND")).collect()
}

fn accept_all(page: &str, text: &str, at_least: usize) {
    let lines = lines(text);
    assert!(lines.len() >= at_least, "{page} shows {} command lines", lines.len());
    lines.iter().for_each(|words| accept(page, words));
}

#[test]
fn the_readme_shows_what_is_accepted() {
    let page = read("README.md");
    accept_all("README.md", &page, 12);
    let list = |word: &str| -> Vec<String> {
        let line = page.lines().find_map(|line| line.trim().strip_prefix(word)).unwrap_or_default();
        serde_json::from_str(line.trim()).unwrap_or_else(|error| panic!("README.md: {word}: {error}"))
    };
    accept("README.md", &[list("ENTRYPOINT"), list("CMD")].concat());
}

#[test]
fn what_other_launchers_have_is_said_in_options_that_there_are() {
    let page = read("docs/coming-from.md");
    accept_all("docs/coming-from.md", &page, 3);
    let (ours, clients) = (cli::command(), ClientArgs::command());
    let all = clients.get_subcommands().flat_map(clap::Command::get_arguments).chain(ours.get_arguments());
    let known: BTreeSet<&str> = all.filter_map(clap::Arg::get_long).chain(["help", "version"]).collect();
    // The last column of each table is ours.
    let cells = page.lines().filter_map(|line| {
        line.trim().strip_suffix('|')?.replace("\\|", "/").rsplit_once('|').map(|(_, cell)| cell.to_owned())
    });
    let words = cells
        .flat_map(|cell| cell.split([' ', '`', ',', '=', ';', ':', '(', ')']).map(str::to_owned).collect::<Vec<_>>());
    let options: Vec<String> = words
        .filter_map(|word| word.strip_prefix("--").map(str::to_owned))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect();
    assert!(options.len() > 50, "{options:?}");
    for option in options {
        assert!(known.contains(&*option), "docs/coming-from.md: endless has no --{option}");
    }
}

#[test]
fn the_manual_page_shows_what_is_accepted() {
    let page = read("man/endless.1");
    let examples = page.split(".EX\n").skip(1).map(|rest| rest.split(".EE\n").next().unwrap_or_default());
    accept_all("man/endless.1", &roff::unmarked(&examples.collect::<String>()), 10);
}

#[test]
fn the_help_shows_what_is_accepted() {
    accept_all("--help", &cli::command().render_long_help().to_string(), 3);
}

#[test]
fn the_examples_show_what_is_accepted() {
    for name in ["simple_server", "multi_port", "tls_server", "notify", "bind_itself"] {
        let page = format!("examples/{name}.rs");
        let text: String =
            read(&page).lines().filter_map(|line| line.strip_prefix("//! ")).collect::<Vec<_>>().join("\n");
        accept_all(&page, &text.replace(['[', ']'], ""), 1);
    }
}
