//! examples/systemd: every command line in the units is accepted, and systemd finds no fault with them where it is there.

use super::lines::{accept_with, words};
use super::{read, root};
use endless::plan::InheritedSocket;
use std::fs;
use std::process::Command;

const FOLDER: &str = "examples/systemd";

/// The names and texts of the units.
fn units() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join(FOLDER)).unwrap_or_else(|error| panic!("{FOLDER}: {error}")).flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let units = names.filter(|name| name.ends_with(".service") || name.ends_with(".socket"));
    units.map(|name| (name.clone(), read(&format!("{FOLDER}/{name}")))).collect()
}

fn value<'u>(unit: &'u str, key: &str) -> Option<&'u str> {
    unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

/// The words systemd would start, without the folder of endless. An instance is called `app`, its file is the example, and
/// what RuntimeDirectory= makes is there.
fn started(line: &str) -> Vec<String> {
    let line = line
        .replace("/run/activated/", "/tmp/")
        .replace("/etc/endless/%i.conf", &root().join(FOLDER).join("app.conf").display().to_string());
    let mut words = words(&line.replace("%i", "app"));
    assert_eq!(words[0], "/usr/local/bin/endless", "{line}");
    words[0] = "endless".to_owned();
    words
}

#[test]
fn what_units_start_is_accepted() {
    let mut checked = 0;
    for (name, text) in units().into_iter().filter(|(name, _)| name.ends_with(".service")) {
        let socket = units().into_iter().find(|(other, _)| *other == name.replace(".service", ".socket"));
        let named = socket.as_ref().and_then(|(_, socket)| value(socket, "FileDescriptorName")).map(str::to_owned);
        let inherited: Vec<_> = named.map(|name| InheritedSocket { fd: 3, name: Some(name) }).into_iter().collect();
        for key in ["ExecStart", "ExecReload"] {
            if let Some(line) = value(&text, key) {
                accept_with(&name, &started(line), &inherited);
                checked += 1;
            }
        }
    }
    assert!(checked >= 7, "{checked} command lines");
}

#[test]
fn units_leave_the_copies_to_endless() {
    for (name, text) in units().into_iter().filter(|(name, _)| name.ends_with(".service")) {
        assert_eq!(value(&text, "KillMode"), Some("mixed"), "{name}: systemd would signal the copies itself");
        let kind = value(&text, "Type").unwrap_or_default();
        assert!(kind == "notify-reload" || kind == "notify" && text.contains("ExecReload="), "{name}: Type={kind}");
    }
}

/// The version of systemd; None where there is none.
fn version() -> Option<u32> {
    let answer = Command::new("systemd-analyze").arg("--version").output().ok()?;
    String::from_utf8(answer.stdout).ok()?.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let Some(version) = version() else { return eprintln!("systemd-analyze is not here: left out") };
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    for (name, text) in units() {
        // It looks for the programs, too.
        let text = text.replace("/usr/local/bin/endless", "/bin/true").replace("/usr/local/bin/app", "/bin/true");
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    for (name, text) in units() {
        if text.contains("notify-reload") && version < 253 {
            eprintln!("{name} needs systemd 253, here is {version}: left out");
            continue;
        }
        let answer = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(folder.path().join(&name))
            .output()
            .unwrap_or_else(|error| panic!("{error}"));
        let said = String::from_utf8_lossy(&answer.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| units().iter().any(|(name, _)| line.contains(name))).collect();
        assert!(ours.is_empty(), "{name}: {ours:#?}");
    }
}
