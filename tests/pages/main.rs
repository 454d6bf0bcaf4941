//! The pages: `--help`, the manual page, README.md and its neighbours agree with the program and with each other.
//!
//! `make pages` rewrites what can be generated. What has to be written by hand is then named by what still fails.

#![allow(clippy::disallowed_methods, reason = "mandoc and systemd-analyze are run")]

mod completions;
mod containers;
mod events;
mod files;
mod help;
mod lines;
mod manual;
mod options;
mod roff;
mod units;

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file below a folder, without those that hold tests, each with its code up to its own tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_test = path.ends_with("tests.rs") || path.ends_with("tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
                files.push(path);
            }
        }
    }
    files.into_iter().map(|path| (path.clone(), code(&path))).collect()
}

fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// Every ENDLESS_ word in a text.
fn variables(text: &str) -> std::collections::BTreeSet<String> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let starts = text.match_indices("ENDLESS_").filter(|(at, _)| !text[..*at].ends_with(part));
    starts
        .map(|(at, _)| text[at..].chars().take_while(|c| part(*c)).collect::<String>())
        .filter(|name| name != "ENDLESS_")
        .collect()
}
