//! endless replaced by another endless, in the same process, while everything goes on.

use crate::support::load::{Kind, Load};
use crate::support::{ENDLESS, Endless, Setup, processes, until};
use nix::sys::signal::Signal;
use std::fs;
use std::io::BufRead;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What the other build says that it is.
const OTHER_VERSION: &str = "9.1.0";

/// Two builds side by side, `a` and `b`: the second is a copy whose version is another one. The path leads to `a`.
fn two_builds(path: &Path) {
    static OTHER: OnceLock<PathBuf> = OnceLock::new();
    let other = OTHER.get_or_init(|| {
        let other = Path::new(ENDLESS).with_file_name("endless-of-another-version");
        let fresh = other.with_extension(std::process::id().to_string());
        fs::write(&fresh, of_another_version(&fs::read(ENDLESS).unwrap())).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&fresh, &other).unwrap();
        other
    });
    symlink(ENDLESS, path.with_file_name("a")).unwrap();
    symlink(other, path.with_file_name("b")).unwrap();
    symlink("a", path).unwrap();
}

/// A program with another version in it, of the same length. Searched by read_until, which is fast in a debug build, too.
fn of_another_version(program: &[u8]) -> Vec<u8> {
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(own.len(), OTHER_VERSION.len());
    let last = own.as_bytes()[own.len() - 1];
    let (mut rest, mut other) = (program, Vec::with_capacity(program.len()));
    while rest.read_until(last, &mut other).unwrap() > 0 {
        if other.ends_with(own.as_bytes()) {
            let start = other.len() - own.len();
            other[start..].copy_from_slice(OTHER_VERSION.as_bytes());
        }
    }
    other
}

/// From now on the path leads to this build.
fn install(endless: &Endless, build: &str) {
    let fresh = endless.file("fresh");
    symlink(build, &fresh).unwrap();
    fs::rename(&fresh, endless.file("endless-here")).unwrap();
}

/// A program at the path that is none of endless.
#[allow(dead_code)]
fn install_script(endless: &Endless, text: &str, mode: u32) {
    let script = endless.file("script");
    let _ = fs::remove_file(&script);
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
    install(endless, "script");
}

#[track_caller]
fn upgrade(endless: &Endless) {
    let said = endless.order("upgrade target");
    assert_eq!(said.code, 0, "{said:?}; {:#?}", endless.said());
}

#[test]
fn restarts_go_on_before_and_after_an_upgrade_and_nothing_is_lost() {
    let mut endless = Setup::own(two_builds, "-l 127.0.0.1:0 --probation 0").start(&["notify"]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4), (Kind::KeepAlive, 2)]);
    load.wait_for_more(50);
    let second = endless.restart(2);
    upgrade(&endless);
    install(&endless, "b");
    let said = endless.order("upgrade target");
    assert_eq!((said.code, said.out.as_str()), (0, "target: endless 9.1.0 runs\n"), "{said:?}; {:#?}", endless.said());
    endless.wait(&format!("endless {OTHER_VERSION} has taken over from endless {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(endless.status()["endless"], OTHER_VERSION);
    load.wait_for_more(50);
    assert_eq!(endless.ask().1, second);
    let third = endless.restart(3);
    endless.gone(2);
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    endless.wait_for_only(&[third]);
    assert!(processes::zombies_of(endless.pid()).is_empty());
    assert_eq!(endless.stop(), 0);
    assert!(until("it is looked at", || Some(!endless.left().iter().any(|name| name.ends_with(".sock")))));
}

#[test]
fn a_signal_upgrades_too() {
    let mut endless = Setup::own(two_builds, "-l 127.0.0.1:0 --on USR1=upgrade").start(&["notify"]);
    let first = endless.ready(1);
    install(&endless, "b");
    endless.signal(Signal::SIGUSR1);
    endless.wait("has taken over");
    assert_eq!(endless.ask().1, first);
    assert_eq!(endless.stop(), 0);
}
