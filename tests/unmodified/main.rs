//! Real servers that know nothing of endless: `endless -- COMMAND`, restarted under clients that make a new connection for each
//! request. Nothing may be lost, though most of them die at SIGTERM wherever they are.
//!
//! A plain test run takes the rows marked `ci` whose programs are installed, with three restarts each. `make unmodified` takes all
//! of them with twenty and writes the table into docs/unmodified.md:
//!
//! | variable | |
//! |---|---|
//! | `ENDLESS_UNMODIFIED=all` or a name | all rows, or that one |
//! | `ENDLESS_UNMODIFIED_RESTARTS=N` | restarts of each |
//! | `ENDLESS_UNMODIFIED_AT_LEAST=N` | fails when fewer could be run: CI has installed that many |
//! | `ENDLESS_UNMODIFIED_TABLE=1` | writes the table into the page |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops when it is surprised"
)]

mod measures;
mod row;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod trial;
mod wrk;

use row::{ROWS, Row};
use std::env;

fn number(name: &str, default: u32) -> u32 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn wanted(row: &Row) -> bool {
    match env::var("ENDLESS_UNMODIFIED").as_deref() {
        Ok("all") => true,
        Ok(name) => row.name == name,
        Err(_) => row.ci,
    }
}

#[test]
fn programs_that_know_nothing_of_endless_lose_nothing() {
    let restarts = number("ENDLESS_UNMODIFIED_RESTARTS", 3);
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for row in ROWS.iter().filter(|row| wanted(row)) {
        if !row.installed() {
            println!("{}: left out, {} is not installed", row.name, row.needs);
            continue;
        }
        let result = trial::run(row, restarts);
        let line = table::line(row, &result);
        println!("{line}");
        if !result.count.lost.is_empty() {
            failed.push(format!("{}: {:?}", row.name, result.count.lost));
        }
        lines.push(line);
    }
    if env::var_os("ENDLESS_UNMODIFIED_TABLE").is_some() {
        table::write(&lines, restarts);
    }
    assert!(failed.is_empty(), "lost requests:\n{}", failed.join("\n"));
    let least = number("ENDLESS_UNMODIFIED_AT_LEAST", 0) as usize;
    assert!(lines.len() >= least, "only {} programs could be run, of {least}", lines.len());
}
