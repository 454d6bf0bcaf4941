//! Real programs, one after the other: which of them a test run takes, how often each is restarted, and the table on a page.
//!
//! With the prefix `ENDLESS_SERVERS`, and others likewise:
//!
//! | variable | |
//! |---|---|
//! | `ENDLESS_SERVERS=all` or a name | all of them, or that one; without it those that are quick |
//! | `ENDLESS_SERVERS_RESTARTS=N` | restarts of each |
//! | `ENDLESS_SERVERS_AT_LEAST=N` | fails when fewer could be run: CI has installed that many |
//! | `ENDLESS_SERVERS_TABLE=1` | writes the table into the page |

use super::client::Loss;
use super::load::Kind;
use std::path::Path;
use std::{env, fs};

const BEGIN: &str = "<!-- table -->";
const END: &str = "<!-- end -->";

/// One program with one set-up.
pub trait Entry {
    fn name(&self) -> &str;
    /// Whether it runs in every test run.
    fn quick(&self) -> bool;
    /// What it needs and is not installed.
    fn missing(&self) -> Option<String>;
    /// Runs it: its line of the table, and what was lost that must not be.
    fn run(&self, restarts: u32) -> (String, Vec<(Kind, Loss)>);
}

/// All of it.
pub struct Matrix {
    pub prefix: &'static str,
    /// Of each, in a plain test run.
    pub restarts: u32,
    /// From the top of the project.
    pub page: &'static str,
    /// The two lines the table begins with.
    pub head: &'static str,
}

impl Matrix {
    /// Runs those that are wanted.
    pub fn run(&self, entries: &[impl Entry]) {
        if let Ok(name) = env::var(self.prefix) {
            assert!(name == "all" || entries.iter().any(|one| one.name() == name), "{}: no {name:?}", self.prefix);
        }
        let restarts = self.number("RESTARTS").unwrap_or(self.restarts);
        let mut lines = Vec::new();
        let mut failed = Vec::new();
        for entry in entries.iter().filter(|entry| self.wants(*entry)) {
            if let Some(missing) = entry.missing() {
                println!("{}: left out, {missing} is not installed", entry.name());
                continue;
            }
            let (line, lost) = entry.run(restarts);
            println!("{line}");
            if !lost.is_empty() {
                failed.push(format!("{}: {lost:?}", entry.name()));
            }
            lines.push(line);
        }
        if self.variable("TABLE").is_some() {
            self.write(&lines, restarts);
        }
        assert!(failed.is_empty(), "lost requests:\n{}", failed.join("\n"));
        let least = self.number("AT_LEAST").unwrap_or(0) as usize;
        assert!(lines.len() >= least, "only {} could be run, of {least}", lines.len());
    }

    fn variable(&self, name: &str) -> Option<String> {
        env::var(format!("{}_{name}", self.prefix)).ok()
    }

    fn number(&self, name: &str) -> Option<u32> {
        let text = self.variable(name)?;
        Some(text.parse().unwrap_or_else(|_| panic!("{}_{name}: {text:?} is no number", self.prefix)))
    }

    fn wants(&self, entry: &impl Entry) -> bool {
        match env::var(self.prefix).as_deref() {
            Ok("all") => true,
            Ok(name) => entry.name() == name,
            Err(_) => entry.quick(),
        }
    }

    /// Puts the lines between the marks of the page.
    fn write(&self, lines: &[String], restarts: u32) {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.page);
        let text = fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let head = format!("{restarts} restarts each; lost of all requests.\n\n{}", self.head);
        fs::write(page, format!("{before}{BEGIN}\n{head}\n{}\n{END}{after}", lines.join("\n"))).unwrap();
    }
}
