//! `--preset` with real processes.

use crate::support::{ENDLESS, endless};
use std::process::Command;

#[test]
fn the_table_names_each_preset_with_what_it_sets_and_why() {
    let answer = Command::new(ENDLESS).arg("presets").output().unwrap();
    assert!(answer.status.success());
    let table = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(table.lines().count(), 30);
    let line = table.lines().find(|line| line.starts_with("nginx ")).unwrap();
    assert!(
        line.contains("--pass nginx --stop-signal QUIT") && line.contains("finishes its requests on QUIT"),
        "{line}"
    );
}

#[test]
fn check_shows_what_the_preset_has_set_and_what_it_was_not_let() {
    let line = ["check", "-l", ":80", "--preset", "nginx", "--stop-signal", "TERM", "--", "true"];
    let answer = Command::new(ENDLESS).args(line).output().unwrap();
    let text = String::from_utf8(answer.stdout).unwrap();
    assert!(text.contains("preset          nginx: finishes its requests on QUIT"), "{text}");
    assert!(text.contains("sets --pass nginx nonblock=yes") && !text.contains("QUIT only\n"), "{text}");
    assert!(text.contains("stop signal     SIGTERM"), "{text}");
}

#[test]
fn a_preset_is_as_good_as_its_flags() {
    for (preset, word, signal) in
        [("go-endless", "endless", "SIGTERM"), ("nginx", "nginx", "SIGQUIT"), ("einhorn", "einhorn", "SIGUSR2")]
    {
        let mut endless =
            endless(&format!("-l 127.0.0.1:0 --preset {preset} --probation 0")).start(&[&format!("as={word}")]);
        endless.ready(1);
        endless.restart(2);
        endless.wait_with(&[&format!("sending {signal} to generation 1")]);
        endless.wait("generation 1 is gone");
        assert_eq!(endless.ask().0, 2);
        assert_eq!(endless.stop(), 0);
    }
}

#[test]
fn falcore_says_by_usr1_that_it_serves_and_ends_by_it() {
    let mut endless =
        endless("-l 127.0.0.1:0 --preset falcore --probation 0").start(&["stop=USR1", "socket={fd}", "parent=USR1"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait("sending SIGUSR1 to generation 1");
    endless.wait("generation 1 is gone");
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}
