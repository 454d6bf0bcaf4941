//! The recipes of docs/servers.md: what stands there is what is run.
//!
//! A recipe is a comment `<!-- recipe NAME: KEY=VALUE... -->` and the first indented line that begins with `endless` after it.
//! Keys: `needs=` programs, `npm=` packages, `files=` from the folder apps, `build=` of a Go program, `before=` a script of these,
//! `backend` at 127.0.0.1:8001, `asks=` where the clients do not speak HTTP, `systemd` where the server wants to see that systemd runs,
//! `stop=cuts` where the server's own stop is not graceful, `ci` where it runs in every test run.

use crate::support::load::Kind;
use crate::support::talk::Talk;
use std::path::Path;
use std::process::{Command, Stdio};

/// One server with one set-up.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    pub name: String,
    pub line: String,
    pub needs: Vec<String>,
    pub npm: Vec<String>,
    pub files: Vec<String>,
    pub build: Option<String>,
    pub before: Option<String>,
    pub asks: Asks,
    pub systemd: bool,
    pub backend: bool,
    pub cuts: bool,
    pub ci: bool,
}

/// Whom the clients ask: one kind for each column of the table, if it makes sense there.
#[derive(Debug, Clone)]
pub struct Asks {
    pub new: Vec<(Kind, usize)>,
    pub kept: Vec<(Kind, usize)>,
    pub slow: Vec<(Kind, usize)>,
}

impl Default for Asks {
    fn default() -> Asks {
        Asks { new: vec![(Kind::New, 2)], kept: vec![(Kind::Leisurely, 2)], slow: vec![(Kind::Slower, 3)] }
    }
}

impl Asks {
    fn named(name: &str) -> Asks {
        let (new, slow) = match name {
            "fastcgi" => (vec![Talk::FastCgi], Some(Talk::FastCgi)),
            // An answer takes no time, and a connection without a question is nothing to wait for.
            "dns" => (vec![Talk::DnsTcp, Talk::DnsUdp], None),
            "imap" => (vec![Talk::Imap], Some(Talk::Imap)),
            "ssh" => (vec![Talk::Ssh], Some(Talk::Ssh)),
            _ => panic!("nobody asks {name}"),
        };
        let new = new.into_iter().map(|talk| (Kind::Talk(talk), 2)).collect();
        let slow = slow.into_iter().map(|talk| (Kind::SlowTalk(talk), 3)).collect();
        Asks { new, kept: Vec::new(), slow }
    }
}

/// The page.
pub const PAGE: &str = "docs/servers.md";

/// All recipes, in the order of the page.
pub fn all() -> Vec<Recipe> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let parts = text.split("<!-- recipe ").skip(1);
    parts.map(read).collect()
}

fn read(part: &str) -> Recipe {
    let (mark, rest) = part.split_once("-->").expect("the end of a recipe's mark");
    let (name, keys) = mark.split_once(':').expect("NAME: in a recipe's mark");
    let line =
        rest.lines().find_map(|line| line.strip_prefix("    endless ")).expect("a line that begins with endless");
    let mut recipe = Recipe { name: name.trim().into(), line: format!("endless {line}"), ..Recipe::default() };
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    for key in keys.split_whitespace() {
        match key.split_once('=').unwrap_or((key, "")) {
            ("needs", value) => recipe.needs = list(value),
            ("npm", value) => recipe.npm = list(value),
            ("files", value) => recipe.files = list(value),
            ("build", value) => recipe.build = Some(value.to_owned()),
            ("before", value) => recipe.before = Some(value.to_owned()),
            ("asks", value) => recipe.asks = Asks::named(value),
            ("systemd", _) => recipe.systemd = true,
            ("backend", _) => recipe.backend = true,
            ("stop", "cuts") => recipe.cuts = true,
            ("ci", _) => recipe.ci = true,
            other => panic!("{}: no key {other:?}", recipe.name),
        }
    }
    recipe
}

impl Recipe {
    /// What is not installed, if anything.
    pub fn missing(&self) -> Option<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let find = |name: &String| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
        let python =
            self.needs.iter().filter_map(find).find_map(|file| interpreter(&file)).unwrap_or("python3".to_owned());
        let there = |name: &String| match name.strip_prefix("python:") {
            Some(module) => quiet(Command::new(&python).args(["-c", &format!("import {module}")])),
            None => find(name).is_some(),
        };
        let program = self.needs.iter().find(|name| !there(name)).cloned();
        let systemd = || (self.systemd && !looks_booted()).then(|| "systemd".to_owned());
        program
            .or_else(systemd)
            .or_else(|| self.npm.iter().find(|package| !node_module(package)).map(|name| format!("npm:{name}")))
    }
}

/// True where systemd runs (sd_booted(3)), or where it can look so to the server alone.
fn looks_booted() -> bool {
    Path::new(BOOTED).is_dir() || quiet(Command::new("unshare").args(["--mount", "true"]))
}

/// The directory that sd_booted(3) looks for.
pub const BOOTED: &str = "/run/systemd/system";

/// The Python that runs this script, by its first line: it may be another one than `python3`, with other modules.
fn interpreter(script: &Path) -> Option<String> {
    let text = std::fs::read(script).ok()?;
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let last = String::from_utf8_lossy(line).split_whitespace().last()?.to_owned();
    last.contains("python").then_some(last)
}

fn node_module(name: &str) -> bool {
    quiet(Command::new("node").args(["-e", &format!("require('{name}')")]).env("NODE_PATH", node_path()))
}

/// Where npm keeps what was installed for everybody.
pub fn node_path() -> String {
    let root = Command::new("npm").args(["root", "-g"]).output();
    root.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn quiet(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
