//! What pages say about the repository: files, folders, links and commands that are there.

use super::{read, root};
use std::collections::BTreeSet;
use std::fs;

const PAGES: [&str; 5] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md"];
/// Endings of names that are meant as files of the repository.
const ENDINGS: [&str; 6] = [".rs", ".md", ".toml", ".sh", ".c", "endless.1"];

#[test]
fn links_lead_to_files() {
    for page in PAGES {
        let text = read(page);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let file = root().join(page).with_file_name(target.split('#').next().unwrap_or_default());
            assert!(target.contains("://") || file.exists(), "{page} links to {target}");
        }
    }
}

/// Words that look like a file of the repository.
fn files(text: &str) -> BTreeSet<&str> {
    let part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let words = text.split(|c: char| !part(c)).map(|word| word.trim_end_matches('.').trim_start_matches("./"));
    let named = words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.'));
    named.filter(|word| ENDINGS.iter().any(|ending| word.len() > ending.len() && word.ends_with(ending))).collect()
}

#[test]
fn files_that_are_named_are_there() {
    for page in PAGES {
        for file in files(&read(page)) {
            let places = ["", "src", "tests", "bench"].map(|folder| root().join(folder).join(file));
            // rustup.rs and the like: a name with a domain's ending.
            let site = ["rustup.rs"].contains(&file);
            assert!(site || places.iter().any(|place| place.exists()), "{page} names {file}, which is not there");
        }
    }
}

#[test]
fn commands_of_make_are_there() {
    let makefile = read("Makefile");
    for page in ["README.md", "CONTRIBUTING.md"] {
        let text = read(page);
        for (at, _) in text.match_indices("make ") {
            let preceded = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '-');
            let rule: String = text[at + 5..].chars().take_while(|c| c.is_ascii_lowercase()).collect();
            let code = text[..at].ends_with(['`', ' ']) && (text[..at].ends_with('`') || text[..at].ends_with("    "));
            if code && !preceded {
                assert!(makefile.lines().any(|line| line.starts_with(&format!("{rule}:"))), "{page}: make {rule}");
            }
        }
    }
    for rule in ["demo", "setup test"] {
        assert!(read("README.md").contains(&format!("    make {rule} ")), "README.md leads with make {rule}");
    }
}

#[test]
fn every_room_is_in_the_table_of_architecture() {
    let page = read("ARCHITECTURE.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split_once(" | "));
    let listed: BTreeSet<String> =
        rows.flat_map(|(names, _)| names.split(", ").map(|name| name.replace('`', "")).collect::<Vec<_>>()).collect();
    let folders = fs::read_dir(root().join("src")).into_iter().flatten().flatten();
    let names = folders.map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned());
    let rooms: BTreeSet<String> = names.filter(|name| !["main", "lib"].contains(&name.as_str())).collect();
    assert_eq!(listed, rooms);
}

#[test]
fn every_example_is_in_the_readme() {
    let page = read("README.md");
    for entry in fs::read_dir(root().join("examples")).into_iter().flatten().flatten() {
        let name = format!("examples/{}", entry.file_name().to_string_lossy());
        assert!(name.ends_with("demo.sh") || page.contains(&name), "README.md does not name {name}");
    }
}
