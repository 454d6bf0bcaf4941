//! Which files are nobody's source: the rules of .gitignore (gitignore(5)), and what programs and editors leave everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Always ignored, unless a .gitignore says otherwise: version control, editors, Python, what programs write as they run.
const EVERYWHERE: &str =
    ".git\n.hg\n.svn\n*~\n.*.sw?\n.#*\n4913\n*.pyc\n__pycache__\n*.log\n*.pid\n*.sock\n.*.endless-*\n";

/// The rules of each directory.
#[derive(Debug)]
pub struct Rules(BTreeMap<PathBuf, Vec<Rule>>);

/// One line of a .gitignore.
#[derive(Debug)]
struct Rule {
    /// What the names on the way have to look like; `**` stands for any number of them.
    parts: Vec<Vec<u8>>,
    only_directories: bool,
    /// It brings back what an earlier line has taken away.
    negated: bool,
}

impl Rules {
    /// Those for everything.
    pub fn everywhere() -> Rules {
        Rules(BTreeMap::from([(PathBuf::from("/"), parse(EVERYWHERE.as_bytes()))]))
    }

    /// Reads the .gitignore of a directory, where there is one.
    pub fn read(&mut self, directory: &Path) {
        if let Ok(text) = fs::read(directory.join(".gitignore")) {
            self.0.entry(directory.to_owned()).or_default().extend(parse(&text));
        }
    }

    /// Reads those above a directory, up to the top of its repository; none where it is in no repository.
    pub fn read_above(&mut self, directory: &Path) {
        let depth = directory.ancestors().position(|above| above.join(".git").exists()).unwrap_or(0);
        directory.ancestors().skip(1).take(depth).for_each(|above| self.read(above));
    }

    /// Whether what has this absolute path is ignored, if the directory it is in is not.
    pub fn ignore(&self, path: &Path, is_directory: bool) -> bool {
        let verdict = |base: &Path| {
            let names: Vec<&[u8]> = path.strip_prefix(base).ok()?.components().filter_map(name).collect();
            let fits = |rule: &&Rule| (is_directory || !rule.only_directories) && fits(&rule.parts, &names);
            self.0.get(base)?.iter().rev().find(fits).map(|rule| !rule.negated)
        };
        path.ancestors().skip(1).find_map(verdict).unwrap_or(false)
    }
}

fn name(component: Component<'_>) -> Option<&[u8]> {
    if let Component::Normal(name) = component { Some(name.as_bytes()) } else { None }
}

fn parse(text: &[u8]) -> Vec<Rule> {
    text.split(|byte| *byte == b'\n').filter_map(rule).collect()
}

fn rule(line: &[u8]) -> Option<Rule> {
    let mut line = line.strip_suffix(b"\r").unwrap_or(line);
    while line.ends_with(b" ") && !line.ends_with(b"\\ ") {
        line = &line[..line.len() - 1];
    }
    if line.starts_with(b"#") {
        return None;
    }
    let (line, negated) = line.strip_prefix(b"!").map_or((line, false), |rest| (rest, true));
    let (line, only_directories) = line.strip_suffix(b"/").map_or((line, false), |rest| (rest, true));
    if line.is_empty() {
        return None;
    }
    // A name alone counts at any depth.
    let anywhere = (!line.contains(&b'/')).then(|| b"**".to_vec());
    let line = line.strip_prefix(b"/").unwrap_or(line);
    let parts = anywhere.into_iter().chain(line.split(|byte| *byte == b'/').map(<[u8]>::to_vec)).collect();
    Some(Rule { parts, only_directories, negated })
}

fn fits(parts: &[Vec<u8>], names: &[&[u8]]) -> bool {
    match parts.split_first() {
        None => names.is_empty(),
        Some((any, [])) if any == b"**" => !names.is_empty(),
        Some((any, rest)) if any == b"**" => (0..=names.len()).any(|skipped| fits(rest, &names[skipped..])),
        Some((pattern, rest)) => {
            names.split_first().is_some_and(|(name, names)| looks_like(name, pattern) && fits(rest, names))
        }
    }
}

/// Whether a name looks like a pattern with `*`, `?`, `[a-z]` and `\`, byte by byte as git does it.
fn looks_like(name: &[u8], pattern: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    if *first == b'*' {
        return (0..=name.len()).any(|taken| looks_like(&name[taken..], rest));
    }
    let Some((byte, name)) = name.split_first() else { return false };
    match (first, rest) {
        (b'?', _) => looks_like(name, rest),
        (b'[', _) => in_set(*byte, rest).is_some_and(|(is_in, rest)| is_in && looks_like(name, rest)),
        (b'\\', [escaped, rest @ ..]) => escaped == byte && looks_like(name, rest),
        _ => first == byte && looks_like(name, rest),
    }
}

/// Whether a byte is in the set whose text begins here, and what stands behind the set. None where it has no end.
fn in_set(byte: u8, text: &[u8]) -> Option<(bool, &[u8])> {
    let not = text.strip_prefix(b"!").or(text.strip_prefix(b"^"));
    let mut rest = not.unwrap_or(text);
    let mut found = false;
    let mut first = true;
    loop {
        let low = match rest {
            [b']', rest @ ..] if !first => return Some((found != not.is_some(), rest)),
            [b'\\', escaped, ..] => {
                rest = &rest[1..];
                *escaped
            }
            [one, ..] => *one,
            [] => return None,
        };
        rest = &rest[1..];
        let high = match rest {
            [b'-', high, ..] if *high != b']' => {
                let high = *high;
                rest = &rest[2..];
                high
            }
            _ => low,
        };
        found |= (low..=high).contains(&byte);
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_everywhere_is_ignored_unless_a_rule_brings_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        let mut rules = Rules::everywhere();
        let file = |name: &str| top.join(name);
        for name in [".git", "x/main.rs~", ".main.rs.swp", "app.log", "__pycache__", ".app.sock.endless-7-1"] {
            assert!(rules.ignore(&file(name), false), "{name}");
        }
        assert!(!rules.ignore(&file("src"), true));
        fs::write(file(".gitignore"), "!*.log\n").unwrap();
        rules.read(top);
        assert!(!rules.ignore(&file("app.log"), false));
    }

    #[test]
    fn the_rules_above_count_within_a_repository_only() {
        let dir = tempfile::tempdir().unwrap();
        let (top, inside) = (dir.path(), dir.path().join("a/b"));
        fs::create_dir_all(&inside).unwrap();
        fs::write(top.join(".gitignore"), "out\n").unwrap();
        let mut rules = Rules::everywhere();
        rules.read_above(&inside);
        assert!(!rules.ignore(&inside.join("out"), true));
        fs::create_dir(top.join(".git")).unwrap();
        rules.read_above(&inside);
        assert!(rules.ignore(&inside.join("out"), true));
    }
}
