//! The control socket, the deploy scripts that use it, and the clients that abuse it.

use crate::support::asking::client;
use crate::support::client::{At, greeting, request};
use crate::support::{Endless, endless, leave_a_socket, processes, until};
use nix::sys::signal::{Signal, kill};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

const QUICK: &str = "-l 127.0.0.1:0 --probation 0";

#[test]
fn a_good_restart_exits_with_0_when_the_new_copy_serves() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 300ms").start(&[]);
    endless.ready(1);
    let said = endless.order("restart");
    assert_eq!((said.code, said.out.as_str()), (0, "target: generation 2 serves\n"), "{said:?}");
    assert!(said.took >= Duration::from_millis(300), "it did not wait for the probation: {said:?}");
    assert_eq!(endless.ask().0, 2);
    endless.wait_with(&["request from pid ", ": restart"]);
    let said = endless.order("restart --active target");
    assert_eq!((said.code, said.out.as_str()), (0, "target: generation 3 serves\n"), "{said:?}");
    let said = endless.order("restart --drained");
    assert_eq!(said.code, 0, "{said:?}");
    endless.wait_count("is gone", 3);
    let generations = endless.status()["generations"].as_array().unwrap().len();
    assert_eq!(generations, 1);
    let said = endless.order("stop");
    assert_eq!((said.code, said.out.as_str()), (0, "target has stopped\n"), "{said:?}");
    assert_eq!(endless.ended_clean(), 0);
}

#[test]
fn a_broken_binary_exits_with_1_and_the_reason_and_the_old_copy_serves() {
    let endless = endless(QUICK).start(&["2:exit=7"]);
    let first = endless.ready(1);
    let said = endless.order("restart --timeout 20s");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("restart of target failed: it ended before it was ready (exit status 7)"), "{said:?}");
    assert_eq!(endless.ask(), (1, first));
    assert_eq!(endless.order("restart").code, 0);
}

#[test]
fn a_hang_exits_with_1_after_the_timeout_and_the_restart_goes_on() {
    let endless = endless(QUICK).start(&["2:wait={dir}/go"]);
    let first = endless.ready(1);
    let said = endless.order("restart --timeout 1s");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("restart: not done after 1s (--timeout); it goes on"), "{said:?}");
    assert_eq!(endless.ask(), (1, first));
    endless.wait("starting generation 2");
    assert_eq!(endless.status()["state"], "restarting");
    endless.touch("go");
    endless.ready(2);
}

#[test]
fn two_scripts_at_once_are_both_answered_and_the_newest_version_is_live() {
    let endless = endless(QUICK).start(&["2:wait={dir}/go"]);
    endless.ready(1);
    let first = endless.client("restart");
    endless.wait("starting generation 2");
    let second = endless.client("restart");
    endless.wait("this one follows it");
    endless.touch("go");
    let (first, second) = (first.end(), second.end());
    assert_eq!((first.code, first.out.as_str()), (0, "target: generation 2 serves\n"), "{first:?}");
    assert_eq!((second.code, second.out.as_str()), (0, "target: generation 3 serves\n"), "{second:?}");
    assert_eq!(endless.ask().0, 3);
}

#[test]
fn ctrl_c_ends_the_waiting_and_not_the_restart() {
    let endless = endless(QUICK).start(&["2:wait={dir}/go"]);
    endless.ready(1);
    let waiting = endless.client("restart");
    endless.wait("starting generation 2");
    kill(waiting.pid(), Signal::SIGINT).unwrap();
    assert_eq!(waiting.end().code, -1);
    endless.touch("go");
    endless.ready(2);
}

#[test]
fn what_a_client_has_asked_is_done_even_if_it_has_gone() {
    let endless = endless(QUICK).start(&[]);
    endless.ready(1);
    endless.freeze();
    let mut client = endless.control();
    client.say("{\"version\":1,\"request\":\"status\"}\n{\"version\":1,\"request\":\"restart\"}\n");
    drop(client);
    endless.signal(Signal::SIGCONT);
    endless.ready(2);
    assert_eq!(endless.ask().0, 2);
}

#[test]
fn more_requests_than_are_taken_at_once_are_answered_one_by_one() {
    let endless = endless(QUICK).start(&[]);
    endless.ready(1);
    let mut client = endless.control();
    client.say(&"{\"version\":1,\"request\":\"restart\"}\n".repeat(150));
    for number in 1..=150 {
        let answer = client.hear();
        assert!(answer.as_ref().is_some_and(|answer| answer["ok"] == true), "{number}: {answer:?}");
    }
}

#[test]
fn a_restart_that_endless_does_not_outlive_is_answered() {
    let mut endless = endless(QUICK).start(&["1:ignore=TERM", "2:wait={dir}/never"]);
    let old = endless.ready(1);
    let waiting = endless.client("restart");
    endless.wait("starting generation 2");
    let one = endless.client("stop");
    endless.wait("sending SIGTERM to generation 1");
    let mut two = endless.control();
    two.say("{\"version\":1,\"request\":\"stop\"}\n");
    let said = waiting.end();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("endless is stopping"), "{said:?}");
    nix::sys::signal::kill(old, Signal::SIGKILL).unwrap();
    let (one, two) = (one.end(), two.hear().unwrap());
    assert!(one.code == 0 && two["ok"] == true, "{one:?} {two} {:#?}", endless.said());
    assert_eq!(endless.ended_clean(), 0);
    assert_eq!(endless.count("Hammer Time"), 0, "a second client that stops is no hammer");
}

#[test]
fn an_endless_that_is_killed_leaves_no_client_waiting() {
    let endless = endless(QUICK).start(&["2:hang"]);
    endless.ready(1);
    let waiting = endless.client("restart");
    endless.wait("starting generation 2");
    endless.signal(Signal::SIGKILL);
    let said = waiting.end();
    assert_eq!(said.code, 1);
    assert!(said.err.contains("it has ended without an answer"), "{said:?}");
}

#[test]
fn the_check_runs_before_a_restart_and_its_no_is_the_answer() {
    let endless = endless(QUICK).option("--check", "test -e {dir}/good").start(&[]);
    endless.ready(1);
    let said = endless.order("restart");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("exit status 1"), "{said:?}");
    endless.touch("good");
    assert_eq!(endless.order("restart").code, 0);
}

#[test]
fn the_hammer_is_waited_for_and_signals_do_what_they_do() {
    let endless = endless(&format!("{QUICK} --on USR1=forward=USR2")).start(&["1:ignore=TERM", "2:ignore=USR2"]);
    let first = endless.ready(1);
    assert_eq!(endless.order("restart").code, 0);
    until("it is stopping", || (endless.status()["generations"][1]["state"] == "stopping").then_some(()));
    assert_eq!(endless.order("hammer").code, 0);
    assert!(!processes::alive(first));
    let said = endless.order("signal USR1");
    assert_eq!(said.code, 0, "{said:?}");
    endless.wait_with(&["target 2", "USR2"]);
    let said = endless.order("signal WINCH target");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("endless does nothing on SIGWINCH"), "{said:?}");
    assert_eq!(endless.order("signal HUP").code, 0);
    endless.ready(3);
}

#[test]
fn status_tells_how_things_are() {
    let mut endless =
        endless("-l web=127.0.0.1:0 --probation 0 --hammer 1h").start(&["notify=STATUS=warm", "ignore=TERM"]);
    let first = endless.ready(1);
    endless.order("restart --active");
    let second = endless.ready(2);
    endless.wait("sending SIGTERM to generation 1");
    let status = endless.status();
    assert_eq!(status["name"], "target");
    assert_eq!(status["pid"], endless.pid().as_raw());
    assert_eq!(status["state"], "serving");
    assert_eq!(status["active"], 2);
    assert_eq!(status["listeners"][0]["address"], endless.address(0).to_string());
    assert_eq!(status["last_start"]["ok"], true);
    let [new, old] = [&status["generations"][0], &status["generations"][1]];
    assert_eq!((&new["state"], &new["pid"]), (&"active".into(), &second.as_raw().into()));
    assert_eq!((&old["state"], &old["pid"]), (&"stopping".into(), &first.as_raw().into()));
    assert_eq!((&new["status"], &new["queued"]), (&"warm".into(), &0.into()));
    assert!(old["hammer_ms"].as_u64().unwrap() > 3_000_000, "{old}");
    let page = endless.order("status target");
    assert!(page.code == 0 && page.out.contains("generation 2 serves") && page.out.contains("HAMMER"), "{page:?}");
    let table = client(endless.dir(), "status").end();
    assert!(table.code == 0 && table.out.starts_with("NAME") && table.out.contains("serving"), "{table:?}");
    endless.order("stop --timeout 1s");
    endless.wait_with(&["request from pid ", ": stop"]);
    endless.signal(Signal::SIGTERM);
    endless.ended_clean();
    let said = endless.order("status");
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("no endless listens there"), "{said:?}");
    assert_eq!(endless.order("restart").code, 1);
    let said = client(endless.dir(), "status nothing-of-this-name").end();
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("no endless called nothing-of-this-name is running"), "{said:?}");
}

#[test]
fn status_counts_the_connections_of_each_generation() {
    let mut endless = endless("-l 127.0.0.1:0 -l ./app.sock --probation 1h").start(&["notify"]);
    endless.ready(1);
    let hold = |generation: u32| {
        let places: [At; 2] = [endless.address(0).into(), endless.file("app.sock").as_path().into()];
        places.map(|place| {
            let mut stream = place.connect().unwrap();
            let answer = request(&mut *stream, "/").unwrap();
            assert_eq!(greeting(&answer).0, generation);
            stream
        })
    };
    let open = |index: usize| endless.status()["generations"][index]["open"].clone();
    until("the probe is over", || (open(0) == 0).then_some(()));
    let _old = [hold(1), hold(1)];
    assert_eq!(open(0), 4);
    endless.restart(2);
    until("what generation 1 has is written down", || (open(0) == 0).then_some(()));
    let new = hold(2);
    assert_eq!((open(0), open(1)), (2.into(), 4.into()));
    drop(new);
    until("they are over", || (open(0) == 0).then_some(()));
    assert_eq!(open(1), 4);
    endless.signal(Signal::SIGTERM);
    endless.signal(Signal::SIGTERM);
    endless.ended();
}

#[test]
fn the_socket_is_private_and_goes_with_endless() {
    let mut endless = endless(QUICK).start(&[]);
    endless.ready(1);
    let path = endless.file("endless/target.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(endless.file("endless")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(endless.stop(), 0);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_taken_over_and_a_held_one_is_skipped_or_an_error() {
    let held = tempfile::tempdir().unwrap();
    let path = held.path().join("held.sock").display().to_string();
    leave_a_socket(&path);
    let first = endless(&format!("{QUICK} --control {path}")).start(&[]);
    first.ready(1);
    assert_eq!(client(held.path(), &format!("status --control {path}")).end().code, 0);
    let mut second = endless(&format!("{QUICK} --control {path}")).start(&[]);
    assert_eq!(second.ended_clean(), 125);
    let pid = first.pid();
    second.wait(&format!("--control {path}: it is held by pid {pid}"));
    assert_eq!(client(held.path(), &format!("restart --control {path}")).end().code, 0);

    let runtime = held.path().display().to_string();
    let one = endless(QUICK).env("XDG_RUNTIME_DIR", &runtime).start(&[]);
    one.ready(1);
    let other = endless(QUICK).env("XDG_RUNTIME_DIR", &runtime).start(&[]);
    other.ready(1);
    assert_eq!(other.count("no control socket: "), 1);
    other.wait_with(&["no control socket", &format!("held by pid {}", one.pid())]);
}

#[test]
fn a_socket_that_was_asked_for_and_cannot_be_is_an_error_with_a_way_out_before_anything_runs() {
    let held = tempfile::tempdir().unwrap();
    let at = |name: &str| held.path().join(name);
    fs::write(at("plain"), "precious").unwrap();
    std::os::unix::fs::symlink("/no/such/file", at("link")).unwrap();
    let _living = UnixListener::bind(at("living")).unwrap();
    let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    let (long, own) = ("x".repeat(120), std::process::id());
    for (name, code, reason, way_out) in [
        ("no/socket", 2, "there is no directory", "make it, or another path"),
        ("plain/socket", 2, "there is no directory", "make it, or another path"),
        ("dir", 2, "this is a directory", "the file to write in it"),
        (&long, 2, "at most 107 bytes", "a shorter path"),
        ("plain", 125, "it exists and is no socket", "move it away"),
        ("link", 125, "it exists and is no socket", "move it away"),
        ("living", 125, &format!("it is held by pid {own}"), "stop that one, or choose another"),
        ("datagrams", 125, "cannot be asked whether anybody needs it", "another path"),
    ] {
        let path = at(name).display().to_string();
        let mut endless = endless(&format!("{QUICK} --control {path}")).start(&["print=started"]);
        assert_eq!(endless.ended_clean(), code, "{name}");
        let said = endless.everything();
        assert!(said.len() == 2 && said[0].contains(&format!("--control {path}: ")), "{said:?}");
        assert!(said[0].contains(reason) && said[1].starts_with(&format!("hint: {way_out}")), "{said:?}");
    }
    assert_eq!(fs::read_to_string(at("plain")).unwrap(), "precious");
    assert!(UnixStream::connect(at("living")).is_ok());
}

#[test]
fn a_directory_that_cannot_be_used_is_said_once_and_endless_runs() {
    for prepare in [
        |endless: &std::path::Path| fs::write(endless, "").unwrap(),
        |endless: &std::path::Path| {
            fs::create_dir(endless).unwrap();
            fs::set_permissions(endless, fs::Permissions::from_mode(0o777)).unwrap();
        },
    ] {
        let setup = endless(QUICK);
        prepare(&setup.dir().join("endless"));
        let endless = setup.start(&[]);
        endless.ready(1);
        assert_eq!(endless.count("no control socket"), 1);
        endless.restart(2);
    }
    let none = endless(&format!("{QUICK} --control none")).start(&[]);
    none.ready(1);
    assert_eq!((none.count("no control socket"), none.file("endless").exists()), (0, false));
}

#[test]
fn a_line_without_an_end_is_refused_and_nobody_else_waits() {
    let endless = endless(QUICK).start(&[]);
    endless.ready(1);
    let mut abuser = endless.control();
    let megabyte = vec![b'x'; 1 << 20];
    // It is sent away before it has said everything.
    let _ = std::io::Write::write_all(abuser.stream.get_mut(), &megabyte);
    until("it is refused", || match abuser.hear() {
        Some(answer) => {
            assert!(answer["reason"].as_str().unwrap().contains("at most 65536 bytes"), "{answer}");
            Some(())
        }
        None => Some(()),
    });
    assert_eq!(endless.order("restart").code, 0);
}

#[test]
fn a_client_that_never_reads_is_sent_away_and_nobody_else_waits() {
    let endless = endless(QUICK).start(&[]);
    endless.ready(1);
    assert_eq!(endless.order("restart --drained").code, 0);
    let before = endless.descriptors();
    let mut deaf = endless.control();
    deaf.stream.get_mut().set_nonblocking(true).unwrap();
    // Until the socket takes no more: endless reads nothing from whom it could not answer.
    let request = b"{\"version\":1,\"request\":\"status\"}\n".repeat(1000);
    while std::io::Write::write(deaf.stream.get_mut(), &request).is_ok() {}
    assert_eq!(endless.order("restart").code, 0);
    endless.wait_for_descriptors(before);
}

#[test]
fn a_thousand_silent_clients_keep_nobody_out_and_do_not_wake_endless() {
    let endless = endless(QUICK).start(&[]);
    endless.ready(1);
    let path = endless.file("endless/target.sock");
    let silent: Vec<UnixStream> =
        (0..1000).map(|_| until("it is let in", || UnixStream::connect(&path).ok())).collect();
    assert_eq!(endless.order("restart").code, 0);
    endless.wait("generation 1 is gone");
    let switches = || {
        let voluntary = processes::status(endless.pid(), "voluntary_ctxt_switches").unwrap();
        voluntary.parse::<u64>().unwrap()
    };
    until("it is quiet", || {
        let before = switches();
        std::thread::sleep(Duration::from_secs(1));
        (switches() == before).then_some(())
    });
    drop(silent);
    assert_eq!(endless.order("restart").code, 0);
}

#[test]
fn many_requests_on_one_connection_are_answered_one_by_one() {
    let endless = endless("-l 127.0.0.1:0 --probation 300ms").start(&[]);
    endless.ready(1);
    let mut line = endless.control();
    line.say("{\"version\":1,\"id\":\"a\",\"request\":\"restart\"}\n{\"version\":1,\"id\":\"b\",\"request\":\"status\"}\n{\"version\":1,");
    let status = line.hear().unwrap();
    assert_eq!((&status["id"], &status["ok"]), (&"b".into(), &true.into()));
    let restart = line.hear().unwrap();
    assert_eq!((&restart["id"], &restart["generation"]), (&"a".into(), &2.into()));
    line.say("\"id\":7,\"request\":\"signal\",\"signal\":\"USR1\"}\n");
    assert_eq!(line.hear().unwrap()["id"], 7);
    line.say("{\"version\":2,\"id\":8,\"request\":\"status\"}\n");
    let refused = line.hear().unwrap();
    assert_eq!((&refused["id"], &refused["ok"]), (&8.into(), &false.into()));
    assert_eq!(line.hear(), None);
}

#[test]
fn the_files_of_server_starter_are_enough_for_restart_and_stop() {
    let files = format!("{QUICK} --control none --pid-file {{dir}}/pid --status-file {{dir}}/status");
    let mut endless = endless(&files).start(&["3:exit=1", "5:wait={dir}/go"]);
    endless.ready(1);
    let by_files = "--pid-file pid --status-file status";
    let restart = |endless: &Endless| endless.order(&format!("restart {by_files} --timeout 20s"));
    until("the status is written", || fs::read_to_string(endless.file("status")).ok().filter(|text| !text.is_empty()));
    let said = restart(&endless);
    assert_eq!((said.code, said.out.as_str()), (0, "generation 2 serves\n"), "{said:?}");
    let said = restart(&endless);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("did not come to serve"), "{said:?}");
    let said = restart(&endless);
    assert_eq!((said.code, said.out.as_str()), (0, "generation 4 serves\n"), "a number was skipped: {said:?}");
    // Two that overlap: the second one's generation ends the waiting of both.
    let one = endless.client(&format!("restart {by_files}"));
    endless.wait("starting generation 5");
    let two = endless.client(&format!("restart {by_files}"));
    endless.wait("this one follows it");
    endless.touch("go");
    assert_eq!((one.end().code, two.end().code), (0, 0));
    let said = endless.order("stop --pid-file pid");
    assert_eq!((said.code, said.out.as_str()), (0, "it has stopped\n"), "{said:?}");
    assert_eq!(endless.ended_clean(), 0);
    let said = endless.order("stop --pid-file pid");
    assert_eq!(said.code, 1, "{said:?}");
}

#[test]
fn a_restart_by_files_that_fails_while_an_older_one_goes_is_told() {
    let files = format!("{QUICK} --control none --pid-file {{dir}}/pid --status-file {{dir}}/status");
    let mut endless = endless(&files).start(&["1:ignore=TERM", "3:wait={dir}/go", "3:exit=1"]);
    let first = endless.ready(1);
    endless.restart(2);
    endless.wait("sending SIGTERM to generation 1");
    let waiting = endless.client("restart --pid-file pid --status-file status --timeout 20s");
    endless.wait("starting generation 3");
    kill(first, Signal::SIGKILL).unwrap();
    endless.gone(1);
    endless.touch("go");
    let said = waiting.end();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("did not come to serve"), "{said:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn signals_for_endless_do_not_end_who_waits_for_it() {
    let mut endless = endless(QUICK).start(&["2:wait=go"]);
    endless.ready(1);
    let client = endless.client("restart");
    endless.wait("starting generation 2");
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        nix::sys::signal::kill(client.pid(), signal).unwrap();
    }
    endless.touch("go");
    let said = client.end();
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn of_one_name_there_is_one() {
    let held = tempfile::tempdir().unwrap();
    let runtime = held.path().display().to_string();
    let named = || endless(&format!("{QUICK} --name app")).env("XDG_RUNTIME_DIR", &runtime);
    let mut first = named().start(&[]);
    first.ready(1);
    let mut second = named().start(&["print=started"]);
    assert_eq!(second.ended_clean(), 125);
    let said = second.everything();
    assert!(said[0].contains(&format!("--name app: that is what pid {} is called", first.pid())), "{said:?}");
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(first.stop(), 0);
    let mut third = named().start(&[]);
    third.ready(1);
    assert_eq!(third.stop(), 0);
}

#[test]
fn a_name_that_is_typed_wins_over_the_variable_for_the_path() {
    let held = tempfile::tempdir().unwrap();
    let runtime = held.path().display().to_string();
    let named = |options: &str| endless(&format!("{QUICK} {options}")).env("XDG_RUNTIME_DIR", &runtime).start(&[]);
    let mut one = named("--name one --control {dir}/one.sock");
    let mut two = named("--name two");
    one.ready(1);
    two.ready(1);
    let path = one.file("one.sock").display().to_string();
    let ask = |words: &[&str]| {
        let mut command = std::process::Command::new(crate::support::ENDLESS);
        command.args(words).env("XDG_RUNTIME_DIR", &runtime).env("ENDLESS_CONTROL", &path).output().unwrap()
    };
    assert!(ask(&["stop", "two"]).status.success());
    assert_eq!(two.ended_clean(), 0);
    assert!(String::from_utf8_lossy(&ask(&["status"]).stdout).contains("one"));
    assert!(!ask(&["stop", "--pid-file", "/no/such/file"]).stderr.starts_with(b"the argument"));
    assert_eq!(ask(&["stop", "two", "--control", &path]).status.code(), Some(2));
    assert!(ask(&["restart", "one"]).status.success());
    assert_eq!(one.stop(), 0);
}
