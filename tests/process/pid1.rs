//! The first process of a pid namespace, and the subreaper that endless is everywhere else.

use crate::support::client::{get, greeting};
use crate::support::{Endless, Setup, endless, example, free_address, processes, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// endless as PID 1 behind `unshare`, which needs root. The pids it prints are those of its namespace.
fn contained(options: &str) -> Option<Setup> {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    geteuid().is_root().then(|| Setup::behind(&unshare, options))
}

/// The pid of endless outside of its namespace: the only child of `unshare`.
fn outside(endless: &Endless) -> Pid {
    let parent = endless.pid().to_string();
    until("endless is there", || {
        endless.others().into_iter().find(|pid| processes::status(*pid, "PPid").as_ref() == Some(&parent))
    })
}

#[test]
fn it_starts_restarts_and_stops() {
    let Some(setup) = contained("-l 127.0.0.1:0 --probation 0") else { return };
    let mut endless = setup.start(&[]);
    endless.wait("endless[1]: ");
    endless.ready(1);
    let pid = outside(&endless);
    assert_eq!(endless.ask().0, 1);
    kill(pid, Signal::SIGHUP).unwrap();
    endless.ready(2);
    endless.wait("generation 1 is gone");
    assert_eq!(endless.ask().0, 2);
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(endless.ended_clean(), 0);
    assert!(endless.everything().join("\n").contains("target 2 "), "the copy ended by its stop signal");
}

#[test]
fn what_others_leave_behind_is_reaped() {
    let Some(setup) = contained("-l 127.0.0.1:0") else { return };
    let mut endless = setup.start(&["orphan", "orphan", "orphan"]);
    endless.ready(1);
    let pid = outside(&endless);
    endless.wait_count("left an orphan", 3);
    until("no zombie is left", || processes::zombies_of(pid).is_empty().then_some(()));
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(endless.ended_clean(), 0);
}

/// Whoever starts in a root directory or a namespace of his own may have forgotten it.
const WITHOUT_PROC: [&str; 6] =
    ["unshare", "--mount", "sh", "-c", "mount --make-rprivate / && umount -l /proc && exec \"$@\"", "sh"];

#[test]
fn where_proc_is_not_mounted_or_another_namespaces_it_restarts_and_says_so() {
    if !geteuid().is_root() {
        return;
    }
    let ways: [(&[&str], &str); 2] = [
        (&WITHOUT_PROC, "/proc is not mounted"),
        (&["unshare", "--pid", "--fork", "--kill-child"], "/proc is another pid namespace's"),
    ];
    for (before, said) in ways {
        let mut endless = Setup::behind(before, "-l 127.0.0.1:0 --probation 0").start(&[]);
        endless.ready(1);
        endless.wait(said);
        let pid = if before.contains(&"--pid") { outside(&endless) } else { endless.pid() };
        kill(pid, Signal::SIGHUP).unwrap();
        endless.ready(2);
        endless.wait("generation 1 is gone");
        kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(endless.ended_clean(), 0);
    }
}

#[test]
fn where_proc_is_not_mounted_a_server_that_binds_by_itself_serves() {
    if !geteuid().is_root() {
        return;
    }
    let at = free_address();
    let bind_itself = example("bind_itself").display().to_string();
    let mut endless = Setup::behind(&WITHOUT_PROC, "").start_command(&[&bind_itself, &at.to_string()]);
    endless.ready(1);
    // Nothing tells endless when it listens: it is ready after a while.
    let answer = until("it serves", || get(at, "/").ok());
    assert_eq!(greeting(&answer).0, 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_exit_code_is_the_target_s() {
    let Some(setup) = contained("-l 127.0.0.1:0 --respawn never") else { return };
    let mut endless = setup.start(&["crash={dir}/now"]);
    endless.ready(1);
    endless.touch("now");
    assert_eq!(endless.ended_clean(), 9);
    let Some(setup) = contained("-l 127.0.0.1:0") else { return };
    assert_eq!(setup.start(&["exit=7"]).ended_clean(), 7);
}

#[test]
fn a_signal_it_has_no_action_for_does_not_end_it() {
    let Some(setup) = contained("-l 127.0.0.1:0") else { return };
    let mut endless = setup.start(&[]);
    endless.ready(1);
    let pid = outside(&endless);
    kill(pid, Signal::SIGUSR1).unwrap();
    endless.wait("SIGUSR1");
    assert_eq!(endless.ask().0, 1);
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(endless.ended_clean(), 0);
}

#[test]
fn orphans_are_reaped_by_the_subreaper_too() {
    let mut endless = endless("-l 127.0.0.1:0").start(&["orphan", "orphan"]);
    endless.ready(1);
    until("no zombie is left", || processes::zombies_of(endless.pid()).is_empty().then_some(()));
    assert_eq!(endless.stop(), 0);
}

/// A container as its user has it: everything is read-only but /tmp and /run/endless, no root, no capability.
const IMAGE: &str = "set -e
    mount -t tmpfs -o mode=0755 none /run; mkdir /run/endless /run/bin; chmod 1777 /run/endless
    cp \"$1\" \"$TARGET\" /run/bin
    mount -t tmpfs -o mode=1777 none /tmp
    mount -o remount,ro,bind / && ! touch /written 2>/dev/null || { echo no image can be made; exit 99; }
    shift; cd /; unset XDG_RUNTIME_DIR
    exec setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set -all --no-new-privs /run/bin/endless \"$@\"";

#[test]
fn a_read_only_image_without_root_is_enough() {
    if !geteuid().is_root() {
        return;
    }
    let target = crate::support::example("target");
    let unshare = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child", "sh", "-c", IMAGE, "sh"];
    let setup = Setup::behind(&unshare, "-l 127.0.0.1:0 --probation 0 --hammer 25s")
        .env("TARGET", target.to_str().unwrap())
        .env("ENDLESS_CONTROL", "/run/endless/app.sock")
        .option("--hook", "ready=[ $ENDLESS_GENERATION = 2 ] || { /run/bin/endless restart && echo restarted; }")
        .option("--hook", "ready=[ $ENDLESS_GENERATION = 1 ] || kill -TERM 1");
    let mut endless = setup.start_command(&["/run/bin/target"]);
    let code = endless.ended_clean();
    if code == 99 {
        return eprintln!("{:?}: left out", endless.said());
    }
    assert_eq!(code, 0, "{:?}", endless.said());
    endless.wait("restarted");
    assert_eq!(endless.count("has finished"), 2, "both copies ended by their stop signal: {:?}", endless.said());
}
