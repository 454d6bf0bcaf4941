//! The arrows of ARCHITECTURE.md, read from the sources.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and what it may use besides itself, `words` and `notice`.
const ARROWS: [(&str, &[&str]); 12] = [
    ("words", &[]),
    ("notice", &[]),
    ("cli", &[]),
    ("control", &[]),
    ("plan", &["cli", "control", "sys"]),
    ("listener", &["plan", "sys"]),
    ("handoff", &["plan", "listener"]),
    ("supervisor", &["plan"]),
    ("report", &["plan", "sys"]),
    ("spawn", &["plan", "sys"]),
    ("client", &["plan", "control", "sys"]),
    ("sys", &[]),
];

const LONGEST_FILE: usize = 300;

fn sources(room: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![src.join(room)];
    let file = src.join(format!("{room}.rs"));
    if file.exists() {
        files.push(file);
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(!files.is_empty(), "no sources of {room}");
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines before the tests of a file.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"))
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

#[test]
fn rooms_use_only_what_stands_to_their_left() {
    let mut wrong = Vec::new();
    for (room, allowed) in ARROWS {
        for (path, text) in sources(room).iter().filter(|(path, _)| !is_test(path)) {
            for line in code(text).filter(|line| !line.trim_start().starts_with("//")) {
                for (at, _) in line.match_indices("crate::") {
                    let used: String =
                        line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let fine = [room, "words", "notice"].contains(&used.as_str()) || allowed.contains(&used.as_str());
                    if !fine {
                        wrong.push(format!("{}: {}", path.display(), line.trim()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "wrong arrows:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_lives_in_sys() {
    for room in ARROWS.iter().map(|(room, _)| *room).chain(["runtime"]).filter(|room| *room != "sys") {
        for (path, text) in sources(room) {
            let found = code(&text).find(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
            assert_eq!(found, None, "{}", path.display());
        }
    }
}

#[test]
fn a_file_holds_one_noun() {
    for room in ARROWS.iter().map(|(room, _)| *room).chain(["runtime"]) {
        for (path, text) in sources(room).iter().filter(|(path, _)| !is_test(path)) {
            let lines = code(text).count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines: more than one noun?", path.display());
        }
    }
}

#[test]
fn the_supervisor_is_pure() {
    for (path, text) in sources("supervisor") {
        for line in code(&text) {
            for word in ["std::fs", "std::io", "std::process", "std::net", "Instant", "SystemTime", "Pid", "RawFd"] {
                assert!(!line.contains(word), "{}: {}", path.display(), line.trim());
            }
        }
    }
}

/// They are threads of one process, and its child has the sockets and locks of all of them until it executes: each test that
/// closes something and sees that it is gone would fail now and then. Such tests are in tests/spawn and tests/grammar.rs.
#[test]
fn no_unit_test_makes_a_process() {
    let measurement = Path::new("listener/tests/draining.rs");
    for room in ARROWS.iter().map(|(room, _)| *room).chain(["runtime"]) {
        for (path, text) in sources(room).iter().filter(|(path, _)| !path.ends_with(measurement)) {
            assert!(!text.contains("Command::new"), "{}", path.display());
        }
    }
}
