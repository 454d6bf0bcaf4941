//! endless replaced by another endless, in the same process, while everything goes on.

use crate::listeners::listening;
use crate::support::client::get;
use crate::support::load::{Kind, Load};
use crate::support::{ENDLESS, Endless, Setup, example, free_port, processes, until, write_program};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::fs;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// What the other build says that it is.
const OTHER_VERSION: &str = "9.1.0";

/// Two builds side by side, `a` and `b`: the second is a copy whose version is another one. The path leads to `a`.
pub fn two_builds(path: &Path) {
    static OTHER: OnceLock<PathBuf> = OnceLock::new();
    let other = OTHER.get_or_init(|| {
        let other = Path::new(ENDLESS).with_file_name("endless-of-another-version");
        let fresh = other.with_extension(std::process::id().to_string());
        write_program(&fresh, of_another_version(&fs::read(ENDLESS).unwrap()), 0o755);
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
fn install_script(endless: &Endless, text: &str, mode: u32) {
    let script = endless.file("script");
    let _ = fs::remove_file(&script);
    write_program(&script, text, mode);
    install(endless, "script");
}

#[track_caller]
pub fn upgrade(endless: &Endless) {
    let said = endless.order("upgrade target");
    assert_eq!(said.code, 0, "{said:?}; {:#?}", endless.said());
}

#[track_caller]
fn no_zombies(endless: &Endless) {
    until("every child was waited for", || processes::zombies_of(endless.pid()).is_empty().then_some(()));
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
    no_zombies(&endless);
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

/// So many upgrades; `ENDLESS_UPGRADES=50` for more.
fn many() -> u32 {
    std::env::var("ENDLESS_UPGRADES").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn upgrades_with_restarts_in_between_and_in_flight_lose_nothing_and_leak_nothing() {
    // Clients that ask without a pause would keep each copy for as long as --drain allows.
    let options =
        "-l 127.0.0.1:0 -l {dir}/app.sock --probation 0 --drain queue --pid-file {dir}/pid --events {dir}/events";
    let mut endless = Setup::own(two_builds, options).start(&["notify"]);
    endless.ready(1);
    let second = endless.restart(2);
    endless.gone(1);
    endless.wait_for_only(&[second]);
    let before = endless.descriptors();
    let loads = [
        Load::start(endless.address(0), &[(Kind::New, 3), (Kind::KeepAlive, 2)]),
        Load::start(endless.file("app.sock").as_path(), &[(Kind::New, 1)]),
    ];
    for time in 1..=many() {
        install(&endless, ["a", "b"][time as usize % 2]);
        if time % 3 == 0 {
            endless.signal(Signal::SIGHUP);
        }
        upgrade(&endless);
        if time % 3 == 1 {
            let said = endless.order("restart --drained");
            assert_eq!(said.code, 0, "{said:?}; {:#?}", endless.said());
        }
        loads.iter().for_each(|load| load.wait_for_more(10));
    }
    assert_eq!(endless.order("restart --drained").code, 0);
    for load in loads {
        let count = load.finish();
        assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    }
    endless.wait_count("has taken over", many() as usize);
    assert_eq!(endless.count("has taken over"), many() as usize);
    endless.wait_for_only(&[endless.ask().1]);
    no_zombies(&endless);
    endless.wait_for_descriptors(before);
    assert_eq!(fs::read_to_string(endless.file("pid")).unwrap(), format!("{}\n", endless.pid()));
    let events = fs::read_to_string(endless.file("events")).unwrap();
    assert_eq!(events.matches("\"event\":\"upgraded\"").count(), many() as usize);
    assert_eq!(endless.stop(), 0);
    let left = endless.left();
    assert!(!left.iter().any(|name| name == "pid" || name.contains(".sock") || name.contains("endless-1")), "{left:?}");
}

#[test]
fn a_captured_copy_is_still_captured() {
    let port = free_port();
    let bind_itself = example("bind_itself").display().to_string();
    let mut endless = Setup::own(two_builds, "--name target --probation 1")
        .start_command(&[&bind_itself, &format!("127.0.0.1:{port}")]);
    endless.wait_with(&["generation 1", "is ready"]);
    install(&endless, "b");
    upgrade(&endless);
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    for generation in 2..=4 {
        load.wait_for_more(50);
        endless.restart(generation);
        endless.wait(&format!("generation {} is gone", generation - 1));
        upgrade(&endless);
    }
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn whoever_waits_for_a_restart_is_answered_by_the_new_endless_and_the_hammer_falls() {
    let options = "-l 127.0.0.1:0 --probation 0 --drain off --hammer 9s";
    let mut endless = Setup::own(two_builds, options).start(&["1:ignore=TERM"]);
    let first = endless.ready(1);
    let mut waiting = endless.client("restart --drained");
    endless.wait_with(&["target 1 ", "got SIGTERM"]);
    let mut other = endless.control();
    other.say("{\"version\":1,\"id\":\"x\",\"request\":\"restart\",\"until\":\"drained\"}\n{\"version\":1,\"req");
    endless.ready(3);
    install(&endless, "b");
    upgrade(&endless);
    assert!(waiting.waits() && processes::alive(first), "{:#?}", endless.said());
    let status = endless.status();
    let hammer = status["generations"].as_array().unwrap().iter().find(|one| one["generation"] == 1).unwrap();
    assert!(hammer["hammer_ms"].as_u64().unwrap() < 9000, "{status}");
    endless.wait(&format!("[STOP - Hammer Time] Forcefully shutting down generation 1 (pid {first})"));
    let said = waiting.end();
    assert_eq!((said.code, said.out.as_str()), (0, "target: generation 2 serves\n"), "{said:?}");
    let answer = other.hear().unwrap();
    assert!(answer["ok"] == true && answer["id"] == "x" && answer["generation"] == 3, "{answer}");
    other.say("uest\":\"status\"}\n");
    assert_eq!(other.hear().unwrap()["status"]["endless"], OTHER_VERSION);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn signals_during_an_upgrade_are_not_lost() {
    let mut endless = Setup::own(two_builds, "-l 127.0.0.1:0 --probation 0").start(&["notify"]);
    endless.ready(1);
    for time in 0..5 {
        install(&endless, ["b", "a"][time % 2]);
        let mut upgrading = endless.client("upgrade");
        let mut last = 0;
        // Room for a calm moment now and then, and for a longer one where the machine is slow.
        let mut pause = Duration::from_millis(20);
        while upgrading.waits() {
            last = processes::now();
            endless.signal(Signal::SIGHUP);
            thread::sleep(pause);
            pause = (pause * 11 / 10).min(Duration::from_secs(1));
        }
        endless.wait_count("has taken over", time + 1);
        last = last.max(processes::now());
        endless.signal(Signal::SIGHUP);
        let said = upgrading.end();
        assert_eq!(said.code, 0, "{said:?}; {:#?}", endless.said());
        let left = until("one copy is left, started after the last signal", || match endless.others()[..] {
            [only] if processes::started(only).is_some_and(|at| at >= last) => Some(only),
            _ => None,
        });
        assert_eq!(endless.ask().1, left);
    }
    assert_eq!(endless.stop(), 0);
}

/// What is at the path cannot take over: the client is told why, and nothing has changed.
#[track_caller]
fn refused(endless: &Endless, reason: &str) {
    let (generation, pid) = endless.ask();
    let said = endless.order("upgrade");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("upgrade of target failed: ") && said.err.contains(reason), "{said:?}");
    endless.wait_with(&["upgrade", reason]);
    assert_eq!(endless.ask(), (generation, pid));
    assert!(endless.file("pid").exists() && endless.file("status").exists());
}

#[test]
fn a_program_that_cannot_take_over_changes_nothing() {
    let options = "-l 127.0.0.1:0 --probation 0 --pid-file {dir}/pid --status-file {dir}/status --env-file {dir}/env";
    let setup = Setup::own(two_builds, options);
    fs::write(setup.dir().join("env"), "").unwrap();
    let mut endless = setup.start(&["notify"]);
    endless.ready(1);
    let second = endless.restart(2);
    endless.gone(1);
    endless.wait_for_only(&[second]);
    let before = endless.descriptors();
    for (mode, script, reason) in [
        (0o644, "#!/bin/sh\nexit 0\n", "Permission denied"),
        (0o755, "nothing at all\n", "Exec format error"),
        (0o755, "#!/bin/sh\nexit 0\n", "did not say that it can take over (exit status 0)"),
        (0o755, "#!/bin/sh\necho broken library >&2; exit 1\n", "(exit status 1): broken library"),
        (0o755, "#!/bin/sh\necho 'takes over: no: it reads states of format 2'\n", "it reads states of format 2"),
        (0o755, "#!/bin/sh\necho 'takes over: yes'; exit 1\n", "did not say"),
        // These change between the question and the execution.
        (0o755, "#!/bin/sh\necho 'takes over: yes'; echo '#' >> \"$0\"\n", "was changed meanwhile"),
        (0o755, "#!/bin/sh\necho 'takes over: yes'; chmod -x \"$0\"\n", "cannot execute"),
    ] {
        install_script(&endless, script, mode);
        refused(&endless, reason);
    }
    fs::remove_file(endless.file("endless-here")).unwrap();
    refused(&endless, "No such file or directory");
    install(&endless, "b");
    fs::rename(endless.file("env"), endless.file("elsewhere")).unwrap();
    refused(&endless, "--env-file");
    fs::rename(endless.file("elsewhere"), endless.file("env")).unwrap();
    endless.wait_for_descriptors(before);
    endless.restart(3);
    upgrade(&endless);
    endless.restart(4);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_program_that_hangs_is_given_up_and_everything_goes_on_meanwhile() {
    let mut endless = Setup::own(two_builds, "-l 127.0.0.1:0 --probation 0").start(&["notify"]);
    endless.ready(1);
    install_script(&endless, "#!/bin/sh\nexec sleep 1000\n", 0o755);
    let upgrading = endless.client("upgrade");
    until("it is asked", || {
        endless
            .others()
            .iter()
            .any(|pid| processes::arguments(*pid).first().is_some_and(|name| name == "sleep"))
            .then_some(())
    });
    endless.restart(2);
    let said = upgrading.end();
    assert!(said.code == 1 && said.err.contains("did not answer within 5s"), "{said:?}");
    let serving = endless.ask().1;
    endless.wait_for_only(&[serving]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_upgrade_waits_until_a_start_is_over_and_a_stop_ends_it() {
    let mut endless =
        Setup::own(two_builds, "-l 127.0.0.1:0 --probation 0").start(&["2:wait={dir}/go", "3:wait={dir}/never"]);
    endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("starting generation 2");
    let upgrading = endless.client("upgrade");
    endless.wait("the upgrade waits until what is under way is over");
    let second = endless.client("upgrade");
    endless.touch("go");
    assert_eq!((upgrading.end().code, second.end().code), (0, 0));
    assert_eq!(endless.ask().0, 2);
    endless.signal(Signal::SIGHUP);
    endless.wait("starting generation 3");
    let upgrading = endless.client("upgrade");
    endless.wait_count("the upgrade waits until what is under way is over", 2);
    assert_eq!(endless.stop(), 0);
    let said = upgrading.end();
    assert!(said.code == 1 && said.err.contains("endless is stopping"), "{said:?}");
}

#[test]
fn paths_that_are_no_text_are_kept_too() {
    let shell = "odd=$(printf '%s/\\377' \"$PWD\") && mkdir \"$odd\" && first=$1 && shift && export XDG_RUNTIME_DIR=\"$odd\" && \
                 exec \"$first\" --pid-file \"$odd/pid\" --status-file \"$odd/status\" --output \"$odd/output\" \
                 --events \"$odd/events\" \"$@\"";
    let options = "-l 127.0.0.1:0 --probation 0 --on USR1=upgrade";
    let mut endless = Setup::behind(&["sh", "-c", shell, "sh"], options).start(&["notify"]);
    endless.ready(1);
    endless.signal(Signal::SIGUSR1);
    endless.wait("has taken over from");
    let second = endless.restart(2);
    let odd = endless.dir().join(OsStr::from_bytes(b"\xff"));
    until("it is listed", || {
        fs::read_to_string(odd.join("status")).ok().filter(|text| text.contains(&second.to_string()))
    });
    for file in ["output", "events"] {
        assert!(fs::read_to_string(odd.join(file)).unwrap().contains(&second.to_string()), "{file}");
    }
    assert!(odd.join("endless/target.sock").exists());
    assert_eq!(endless.stop(), 0);
    let left = fs::read_dir(&odd).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert!(left.iter().all(|name| name == "output" || name == "events" || name == "endless"), "{left:?}");
}

#[test]
fn a_descriptor_it_was_started_with_is_kept_for_as_long_as_a_generation_has_it() {
    let (socket, at) = listening();
    let setup = Setup::own(two_builds, "--config {dir}/config --probation 0 --hammer never --drain off");
    fs::write(setup.dir().join("config"), "-l fd:200").unwrap();
    // SAFETY: only fcntl(2) is called between fork and exec.
    let setup = unsafe { setup.pre_exec(move || Ok(fcntl(&socket, FcntlArg::F_DUPFD(200)).map(drop)?)) };
    let mut endless = setup.start(&["notify", "1:ignore=TERM"]);
    endless.ready(1);
    upgrade(&endless);
    assert!(get(at, "/").unwrap().contains("Hello, world 1"));
    fs::write(endless.file("config"), "-l 127.0.0.1:0").unwrap();
    endless.restart(2);
    endless.wait("got SIGTERM");
    upgrade(&endless);
    upgrade(&endless);
    // The first generation still has the old plan, to which everything would go back.
    endless.restart(3);
    upgrade(&endless);
    assert_eq!(endless.order("hammer target").code, 0);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_upgrade_asks_for_the_plans_of_those_on_their_way_out_too() {
    let setup = Setup::own(two_builds, "-l 127.0.0.1:0 --probation 0 --hammer never --config {dir}/config");
    let home = setup.dir().to_owned();
    let change = |to: &str| {
        fs::create_dir_all(home.join(to)).unwrap();
        fs::write(home.join("config"), format!("--chdir {}", home.join(to).display())).unwrap();
    };
    change("r1");
    let mut endless = setup.start(&["1:ignore=TERM"]);
    let first = endless.ready(1);
    change("r2");
    endless.restart(2);
    endless.wait("sending SIGTERM to generation 1");
    fs::remove_dir(home.join("r1")).unwrap();
    let said = endless.order("upgrade target");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("--chdir"), "{said:?}");
    assert_eq!(endless.ask().0, 2);
    fs::create_dir(home.join("r1")).unwrap();
    upgrade(&endless);
    nix::sys::signal::kill(first, Signal::SIGKILL).unwrap();
    endless.gone(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_program_is_asked_again_when_a_restart_came_between_its_answer_and_its_turn() {
    let setup = Setup::own(two_builds, "-l 127.0.0.1:0 --probation 0 --env-file the.env");
    fs::write(setup.dir().join("the.env"), "A=1\n").unwrap();
    let mut endless = setup.start(&["2:wait={dir}/go"]);
    endless.ready(1);
    let script = "#!/bin/sh\ntouch asked; until test -e answer; do sleep 0.05; done; exec ./a \"$@\"\n";
    install_script(&endless, script, 0o755);
    let upgrading = endless.client("upgrade");
    until("it is asked", || endless.file("asked").exists().then_some(()));
    endless.signal(Signal::SIGHUP);
    endless.wait("starting generation 2");
    endless.touch("answer");
    let is_copy = |pid: &nix::unistd::Pid| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| String::from_utf8_lossy(&words).contains("target"))
    };
    until("it has answered", || endless.others().iter().all(is_copy).then_some(()));
    fs::remove_file(endless.file("the.env")).unwrap();
    endless.touch("go");
    let second = endless.ready(2);
    let said = upgrading.end();
    assert!(said.code == 1 && said.err.contains("--env-file the.env: it cannot be read"), "{said:?}");
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
}
