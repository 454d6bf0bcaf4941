//! A copy that ends by itself.

use crate::support::client::{Loss, connect, request};
use crate::support::load::{Kind, Load};
use crate::support::{endless, until};
use nix::sys::signal::{Signal, kill};
use std::thread;

#[test]
fn clients_in_the_queue_of_a_killed_copy_are_served_by_its_successor() {
    let mut endless = endless("-l 127.0.0.1:0 --ready notify").start(&["notify", "1:deaf"]);
    let first = endless.ready(1);
    let at = endless.address(0);
    let mut clients: Vec<_> = (0..20).map(|_| connect(at).unwrap()).collect();
    kill(first, Signal::SIGKILL).unwrap();
    endless.wait("next start in ");
    clients.extend((0..20).map(|_| connect(at).expect("not refused")));
    let second = endless.ready(2);
    for mut client in clients {
        let answer = request(&mut client, "/").expect("its queue is served");
        assert!(answer.contains(&format!("Hello, world 2 {second}!")), "{answer}");
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn nobody_is_refused_when_copies_are_killed_under_load() {
    let mut endless = endless("-l 127.0.0.1:0 --respawn-limit off").start(&[]);
    let mut pid = endless.ready(1);
    let clients = 8;
    let load = Load::start(endless.address(0), &[(Kind::New, clients)]);
    for generation in 2..=4 {
        load.wait_for_more(50);
        kill(pid, Signal::SIGKILL).unwrap();
        pid = endless.ready(generation);
    }
    load.wait_for_more(50);
    let count = load.finish();
    assert_eq!((count.lost_as(Loss::Refused), count.lost_as(Loss::Silent)), (0, 0), "{count:?}");
    // What a copy had accepted dies with it: of each client one request each time at most.
    assert!(count.lost.len() <= 3 * clients, "{count:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_copy_killed_during_a_restart_leaves_its_clients_to_the_candidate() {
    let options = "-l 127.0.0.1:0 --ready notify";
    let mut endless = endless(options).start(&["2:wait={dir}/go", "notify"]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("waits for");
    kill(first, Signal::SIGKILL).unwrap();
    endless.gone(1);
    let at = endless.address(0);
    let mut client = connect(at).expect("not refused");
    let asked = thread::spawn(move || request(&mut client, "/"));
    endless.touch("go");
    let second = endless.ready(2);
    assert!(asked.join().unwrap().unwrap().contains(&format!("Hello, world 2 {second}!")));
    assert_eq!(endless.count("next start in"), 0);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_pause_before_the_next_start_doubles() {
    let mut endless =
        endless("-l 127.0.0.1:0 --respawn-limit off").start(&["1:crash={dir}/crash", "2:exit=7", "3:exit=7"]);
    endless.ready(1);
    endless.touch("crash");
    endless.ready(4);
    let pauses: Vec<u64> = endless.said().iter().filter_map(|line| pause(line)).collect();
    let ranges = [100..=110, 200..=220, 400..=440];
    assert_eq!(pauses.len(), ranges.len(), "{pauses:?}");
    assert!(pauses.iter().zip(ranges).all(|(pause, range)| range.contains(pause)), "{pauses:?}");
    assert_eq!(endless.stop(), 0);
}

/// The milliseconds in `next start in 104ms`.
fn pause(line: &str) -> Option<u64> {
    line.split("next start in ").nth(1)?.strip_suffix("ms")?.parse().ok()
}

#[test]
fn over_the_limit_endless_gives_up_with_the_last_status() {
    let options = "-l 127.0.0.1:0 --respawn-limit 2/1m";
    let mut endless = endless(options).start(&["1:crash={dir}/crash", "2:exit=6", "3:exit=7"]);
    endless.ready(1);
    endless.touch("crash");
    assert_eq!(endless.ended_clean(), 7);
    endless.wait("it ended 3 times within 1m: giving up (--respawn-limit)");
    assert_eq!(endless.count("starting generation"), 3);
}

#[test]
fn a_clean_exit_ends_endless_with_0() {
    let mut endless = endless("-l 127.0.0.1:0").start(&[]);
    kill(endless.ready(1), Signal::SIGTERM).unwrap();
    assert_eq!(endless.ended_clean(), 0);
}

#[test]
fn with_respawn_always_a_clean_exit_is_followed_by_a_new_start() {
    let mut endless = endless("-l 127.0.0.1:0 --respawn always").start(&[]);
    kill(endless.ready(1), Signal::SIGTERM).unwrap();
    let second = endless.ready(2);
    assert_eq!(endless.ask(), (2, second));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn with_respawn_never_endless_ends_as_its_copy_does() {
    let mut crashed = endless("-l 127.0.0.1:0 --respawn never").start(&["crash={dir}/crash"]);
    crashed.ready(1);
    crashed.touch("crash");
    assert_eq!(crashed.ended_clean(), 9);
    let mut killed = endless("-l 127.0.0.1:0 --respawn never").start(&["grandchild"]);
    kill(killed.ready(1), Signal::SIGKILL).unwrap();
    killed.wait("it left behind");
    killed.signal(Signal::SIGTERM);
    killed.signal(Signal::SIGINT);
    assert_eq!(killed.ended_clean(), 128 + 9);
}

#[test]
fn a_restart_does_not_wait_for_the_pause() {
    let options = "-l 127.0.0.1:0 --respawn-limit off";
    let fails: Vec<String> = (2..=8).map(|generation| format!("{generation}:exit=1")).collect();
    let words: Vec<&str> = ["1:crash={dir}/crash"].into_iter().chain(fails.iter().map(String::as_str)).collect();
    let mut endless = endless(options).start(&words);
    endless.ready(1);
    endless.touch("crash");
    // The pause after the seventh end is 6.4 s.
    endless.wait_count("next start in ", 7);
    let began = std::time::Instant::now();
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 8 failed");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    assert_eq!(endless.stop(), 0);
}

/// The first copy's worker takes its clients; the next copies take theirs when the file `serve` is there.
const MASTER: &str = r#"
import os, select, signal, socket, time
listener = socket.socket(fileno=3)
generation = os.environ["ENDLESS_GENERATION"].encode()
# Two generations accept at it: one may have taken what the other one is told of.
if generation == b"1":
    listener.setblocking(False)

def serve(until):
    while not os.path.exists(until):
        if not select.select([listener], [], [], 0.05)[0]:
            continue
        try:
            client = listener.accept()[0]
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n" + generation)
            client.close()
        except OSError:
            pass

if generation != b"1":
    while not os.path.exists("serve"):
        time.sleep(0.05)
    serve("never")
elif os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve("release")
else:
    signal.pause()
"#;

#[test]
fn what_a_crashed_copy_left_behind_does_not_make_the_next_one_ready() {
    let setup = endless("-l 127.0.0.1:0 --hammer never --settle 60s");
    std::fs::write(setup.dir().join("master.py"), MASTER).unwrap();
    let mut endless = setup.start_command(&["python3", "master.py"]);
    kill(endless.ready(1), Signal::SIGKILL).unwrap();
    endless.wait("processes of generation 1 still have the sockets that are generation 2's now");
    let answer = || crate::support::client::get(endless.address(0), "/").unwrap();
    assert!(answer().ends_with('1'));
    let worker = crate::support::pid_in(&endless.wait("it left behind "));
    let flags = std::fs::read_to_string(format!("/proc/{worker}/fdinfo/3")).unwrap();
    let flags = flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    assert!(i32::from_str_radix(flags, 8).unwrap() & nix::libc::O_NONBLOCK != 0, "its socket was changed: {flags}");
    endless.touch("release");
    endless.gone(1);
    assert_eq!(endless.count(" is ready"), 1, "{:#?}", endless.said());
    endless.touch("serve");
    endless.ready(2);
    assert!(answer().ends_with('2'));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_respawn_does_not_wait_for_the_hooks_of_a_restart() {
    let check = "touch asked; until test -e agree; do sleep 0.05; done; touch agreed";
    let mut endless = endless("-l 127.0.0.1:0").option("--check", check).start(&[]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    until("the hook has begun", || endless.file("asked").exists().then_some(()));
    kill(first, Signal::SIGKILL).unwrap();
    endless.wait("nothing serves: the restart does not wait for its pre: hooks");
    let second = endless.ready(2);
    assert_eq!(endless.ask(), (2, second));
    endless.touch("agree");
    until("the hook has ended", || endless.file("agreed").exists().then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn nor_for_those_of_a_restart_that_was_to_follow_the_one_that_fails() {
    let check = "test -e once || { touch once; exit 0; }; until test -e agree; do sleep 0.05; done; touch agreed";
    let setup = endless("-l 127.0.0.1:0 --supersede never --hook-timeout never").option("--check", check);
    let mut endless = setup.start(&["2:wait={dir}/go", "2:exit=4"]);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2 ", "waits for"]);
    endless.signal(Signal::SIGHUP);
    endless.wait("a restart is under way");
    kill(first, Signal::SIGKILL).unwrap();
    endless.wait("ended by itself (killed by SIGKILL)");
    endless.touch("go");
    endless.wait("nothing serves: the restart does not wait for its pre: hooks");
    let third = endless.ready(3);
    assert_eq!(endless.ask(), (3, third));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_copy_is_not_kept_from_being_ready_by_what_a_crashed_one_left_behind() {
    let setup = endless("-l 127.0.0.1:0 --hammer never --ready-timeout 10s");
    std::fs::write(setup.dir().join("master.py"), MASTER).unwrap();
    let mut endless = setup.start_command(&["python3", "master.py"]);
    endless.touch("serve");
    kill(endless.ready(1), Signal::SIGKILL).unwrap();
    endless.ready(2);
    endless.touch("release");
    endless.gone(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_crashes_leave_behind_counts_as_retiring() {
    let options = "-l 127.0.0.1:0 --hammer never --max-retiring 1 --respawn-limit off --ready notify";
    let mut endless = endless(options).start(&["daemon", "notify"]);
    for generation in 1..=3 {
        kill(endless.ready(generation), Signal::SIGKILL).unwrap();
    }
    endless.ready(4);
    endless.wait("Forcefully shutting down generation 1");
    endless.wait("Forcefully shutting down generation 2");
    endless.signal(Signal::SIGTERM);
    endless.wait_with(&["target 4 ", "got SIGTERM"]);
    endless.signal(Signal::SIGINT);
    endless.ended();
}
