//! `--config`: read again at every restart; listeners come and go, the command and the environment change.

use crate::process::for_others;
use crate::support::asking::Said;
use crate::support::client::{connect, get, request};
use crate::support::load::{Kind, Load};
use crate::support::{Endless, Setup, endless, example, free_address, processes, until};
use nix::unistd::geteuid;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};

const START: &str = "--probation 0 --config {dir}/config";

fn write(endless: &Endless, text: &str) {
    fs::write(endless.file("config"), text).unwrap();
}

/// Starts an endless whose file says this, `{target}` being the test target.
fn start(options: &str, text: &str) -> Endless {
    let setup = endless(&format!("{START} {options}"));
    fs::write(setup.dir().join("config"), text).unwrap();
    setup.start(&[])
}

/// The test target, and the same under another name.
fn two_programs(setup: &Setup) -> (String, String) {
    let (target, other) = (example("target"), setup.dir().join("other"));
    std::os::unix::fs::symlink(&target, &other).unwrap();
    (target.display().to_string(), other.display().to_string())
}

/// Two addresses on one host.
fn two_addresses() -> [SocketAddr; 2] {
    [free_address(), free_address()]
}

#[test]
fn the_file_gives_arguments_and_the_command_and_the_command_line_wins() {
    let setup = endless("--probation 0 --config {dir}/config --env WHO=line");
    let target = example("target").display().to_string();
    let text = format!(
        "# a comment\n-l 127.0.0.1:0\n--env 'WHO=the file' --env \"MORE=a b\"\n--probation 1h\n--\n{target} env=WHO 'env=MORE'\n"
    );
    fs::write(setup.dir().join("config"), text).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    endless.wait("WHO=line");
    endless.wait("MORE=a b");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_restart_takes_what_the_file_says_then() {
    let mut endless = start("", "-l 127.0.0.1:0 --env A=1 -- unused");
    endless.ready(1);
    let at = endless.address(0);
    write(&endless, "-l 127.0.0.1:0 --env A=2 --hook 'retired=echo retired-by-the-new-file'");
    assert_eq!(endless.order("restart --drained").code, 0);
    endless.wait("retired-by-the-new-file");
    assert!(get(at, "/").unwrap().contains("Hello, world 2"), "the port that was chosen stays");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn another_program_need_not_say_what_the_one_before_said() {
    let setup = endless(&format!("{START} -l 127.0.0.1:0"));
    let (target, other) = two_programs(&setup);
    let says_so = format!("-- {} notify", target);
    fs::write(setup.dir().join("config"), &says_so).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.wait("is ready after");
    write(&endless, &format!("-- {}", other));
    for generation in 2..=3 {
        assert_eq!(endless.order("restart").code, 0);
        endless.wait_with(&[&format!("generation {generation} "), "is ready", "it accepted a connection"]);
    }
    write(&endless, &says_so);
    assert_eq!(endless.order("restart").code, 0);
    endless.wait_with(&["generation 4 ", "is ready"]);
    // It never says so: after a failed one the old program is still expected to.
    write(&endless, &format!("-- {} exit=3", other));
    assert_eq!(endless.order("restart").code, 1);
    write(&endless, &format!("--ready-timeout 500ms -- {}", target));
    assert_eq!(endless.order("restart").code, 1);
    assert_eq!(endless.ask().0, 4);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_a_program_has_said_that_failed_is_not_expected_of_the_old_one() {
    let setup = endless(&format!("{START} -l 127.0.0.1:0 --name target"));
    let (target, other) = two_programs(&setup);
    let plain = format!("--ready-timeout 10s -- {}", other);
    fs::write(setup.dir().join("config"), &plain).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    write(&endless, &format!("--ready exec=false --ready-timeout 1s -- {} notify", target));
    assert_eq!(endless.order("restart").code, 1);
    write(&endless, &plain);
    let said = endless.order("restart");
    assert_eq!(said.code, 0, "{said:?} {:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_old_copy_of_another_program_gets_its_own_stop_signal() {
    let setup = endless(&format!("{START} -l 127.0.0.1:0"));
    let (target, other) = two_programs(&setup);
    fs::write(setup.dir().join("config"), format!("--stop-signal INT -- {}", other)).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    write(&endless, &format!("-- {target}"));
    endless.restart(2);
    endless.wait("sending SIGINT to generation 1");
    write(&endless, &format!("--stop-signal QUIT -- {target}"));
    endless.restart(3);
    // The file says it anew about the same program.
    endless.wait("sending SIGQUIT to generation 2");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn clients_of_the_old_listeners_wait_when_it_dies_and_the_candidate_fails() {
    let [a, b] = two_addresses();
    let setup = endless(START);
    fs::write(setup.dir().join("config"), format!("-l {a} -l {b}")).unwrap();
    let mut endless = setup.start(&["1:crash={dir}/now", "2:wait={dir}/go", "2:exit=3"]);
    endless.ready(1);
    write(&endless, &format!("-l {b}"));
    let waiting = endless.client("restart");
    endless.wait("starting generation 2");
    endless.touch("now");
    endless.gone(1);
    // It is in the queue of the dead copy.
    let mut client = connect(a).unwrap_or_else(|loss| panic!("{loss:?}"));
    endless.touch("go");
    assert_eq!(waiting.end().code, 1);
    assert!(request(client.as_mut(), "/").unwrap_or_else(|loss| panic!("{loss:?}")).contains("Hello, world 3"));
    assert!(get(b, "/").unwrap().contains("Hello, world 3"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn after_an_upgrade_an_older_plan_still_counts_for_its_generation() {
    let setup = endless("--probation 1h --config {dir}/config -l 127.0.0.1:0");
    let (target, other) = two_programs(&setup);
    // With a watchdog nothing but the signal counts of one that is expected to send it, even where nothing else serves.
    let plan = format!("--watchdog 1h --pass goagain -- {target} as=goagain");
    fs::write(setup.dir().join("config"), plan).unwrap();
    let mut endless = setup.start_command(&[]);
    let first = endless.ready(1);
    write(&endless, &format!("-- {} crash={}", other, endless.file("now").display()));
    assert_eq!(endless.order("restart --active").code, 0);
    crate::upgrade::upgrade(&endless);
    endless.touch("now");
    endless.wait("serves again");
    endless.gone(2);
    nix::sys::signal::kill(first, nix::sys::signal::Signal::SIGKILL).unwrap();
    endless.wait_with(&["generation 3 ", "is ready", "it sent SIGRTMIN+15"]);
    assert_eq!(endless.ask().0, 3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_path_that_a_candidate_binds_by_itself_is_known_by_its_own_file() {
    if !geteuid().is_root() {
        return;
    }
    let setup = endless(START);
    let script = setup.dir().join("server.py");
    fs::write(&script, crate::claimed::AT_A_PATH).unwrap();
    fs::write(setup.dir().join("config"), format!("-l 127.0.0.1:0 -- {}", example("target").display())).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    write(&endless, &format!("-l {} -- python3 {} s", endless.file("s").display(), script.display()));
    endless.restart(2);
    assert!(get(endless.file("s").as_path(), "/").unwrap().contains("Hello, world 2"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_broken_file_stops_the_restart_and_hurts_nothing() {
    let endless = start("", "-l 127.0.0.1:0");
    let first = endless.ready(1);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = format!("-l 127.0.0.1:0 -l {}", taken.local_addr().unwrap());
    for (text, why) in [
        ("-l '127.0.0.1:0", "line 1: a quote is not closed"),
        ("-l 127.0.0.1:0 --hamer 3", "unexpected argument '--hamer'"),
        ("-l 127.0.0.1:0 --hammer soon", "/config: --hammer soon: `soon` is not a duration"),
        ("-l 127.0.0.1:0 --pid-file p", "--pid-file cannot change while endless runs"),
        ("-l 127.0.0.1:0 --name other", "--name cannot change while endless runs"),
        ("-l 127.0.0.1:0,share=yes", "share cannot change while the listener is open"),
        ("-l 127.0.0.1:0,device=lo", "device cannot change while the listener is open"),
        (&busy, "the address is in use"),
        ("-l 127.0.0.1:0 -l own=fd:3", "--listen own=fd:3: this descriptor was neither passed in nor a listener"),
    ] {
        write(&endless, text);
        let said = endless.order("restart");
        assert_eq!(said.code, 1, "{text}: {said:?}");
        assert!(said.err.contains(why), "{text}: {said:?}");
        assert_eq!(endless.ask(), (1, first), "{text}");
    }
    fs::remove_file(endless.file("config")).unwrap();
    assert!(endless.order("restart").err.contains("No such file"));
    write(&endless, "-l 127.0.0.1:0");
    assert_eq!(endless.order("restart").code, 0);
    assert_eq!(endless.ask().0, 2);
}

#[test]
fn a_candidate_that_fails_leaves_the_old_listeners() {
    let [a, b] = two_addresses();
    let setup = endless(START);
    fs::write(setup.dir().join("config"), format!("-l {a}")).unwrap();
    let endless = setup.start(&["2:exit=3"]);
    endless.ready(1);
    write(&endless, &format!("-l {b}"));
    assert_eq!(endless.order("restart").code, 1);
    assert!(get(a, "/").unwrap().contains("Hello, world 1"));
    until("what was bound for it is closed", || TcpStream::connect(b).is_err().then_some(()));
    assert_eq!(endless.order("restart --drained").code, 0);
    assert!(get(b, "/").unwrap().contains("Hello, world 3"));
    until("what nobody has any more is closed", || TcpListener::bind(a).ok());
}

#[test]
fn a_crash_in_the_probation_gives_the_old_listeners_back() {
    let [a, b] = two_addresses();
    let setup = endless("--probation 1h --config {dir}/config");
    fs::write(setup.dir().join("config"), format!("-l {a}")).unwrap();
    let endless = setup.start(&["2:crash={dir}/now"]);
    endless.ready(1);
    write(&endless, &format!("-l {b}"));
    assert_eq!(endless.order("restart --active").code, 0);
    assert!(get(b, "/").unwrap().contains("Hello, world 2"));
    assert!(get(a, "/").unwrap().contains("Hello, world 1"), "the guard has its own");
    endless.touch("now");
    endless.wait("serves again");
    assert!(get(a, "/").unwrap().contains("Hello, world 1"));
    endless.wait("generation 2 is gone");
    until("what it had is closed", || TcpListener::bind(b).ok());
}

/// So many moves; `ENDLESS_MOVES=50` for more.
fn moves() -> u32 {
    std::env::var("ENDLESS_MOVES").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn a_port_moves_under_load_and_the_other_listener_loses_nothing() {
    let [a, b] = two_addresses();
    let setup = endless(START);
    fs::write(setup.dir().join("config"), format!("-l stay=127.0.0.1:0 -l move={a}")).unwrap();
    let mut endless = setup.start(&[]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 2), (Kind::KeepAlive, 2), (Kind::Slow, 2)]);
    for round in 0..moves() {
        let (from, to) = if round % 2 == 0 { (a, b) } else { (b, a) };
        write(&endless, &format!("-l stay=127.0.0.1:0 -l move={to}"));
        load.wait_for_more(20);
        let mut restart = endless.client("restart");
        while restart.waits() {
            // In the plan of the old copy, then in that of the new one.
            let answer = get(from, "/").or_else(|_| get(to, "/"));
            answer.unwrap_or_else(|error| panic!("round {round}: {error}; {:#?}", endless.said()));
        }
        let said = restart.end();
        assert_eq!(said.code, 0, "{said:?} {:#?}", endless.said());
        get(to, "/").unwrap_or_else(|error| panic!("round {round}: {error}; {:#?}", endless.said()));
    }
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_candidate_is_asked_for_by_the_command_of_its_own_file() {
    let mut endless = start("", "-l 127.0.0.1:0");
    endless.ready(1);
    write(&endless, &format!("-l 127.0.0.1:0 --ready 'exec=test -e {}'", endless.file("good").display()));
    let waiting = endless.client("restart");
    endless.wait("starting generation 2");
    assert_eq!(endless.ask().0, 1);
    endless.touch("good");
    assert_eq!(waiting.end().code, 0);
    write(&endless, "-l 127.0.0.1:0 --ready exec=false --ready-timeout 1s");
    assert_eq!(endless.order("restart").code, 1);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_signal_that_a_new_protocol_brings_is_heard() {
    let setup = endless(START);
    let target = example("target").display().to_string();
    fs::write(setup.dir().join("config"), format!("-l 127.0.0.1:0 -- {target}")).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    write(&endless, &format!("-l 127.0.0.1:0 --pass goagain -- {target} as=goagain"));
    for generation in 2..=3 {
        let said = endless.order("restart");
        assert_eq!(said.code, 0, "{said:?}");
        endless.wait_count("sends signal 49", generation - 1);
    }
    // The next one is expected to send it, too.
    endless.wait_with(&["generation 3 ", "is ready", "it sent SIGRTMIN+15"]);
    assert_eq!(endless.stop(), 0);
}

/// Generation 2 crashes in its probation, and 1 serves again, while 3, whose file has one more listener, is starting.
fn a_crash_beside_a_candidate(end: &str) -> (Endless, SocketAddr, Said) {
    let [a, b] = two_addresses();
    let setup = endless("--probation 1h --config {dir}/config");
    fs::write(setup.dir().join("config"), format!("-l {a}")).unwrap();
    let endless = setup.start(&["2:crash={dir}/now", "3:wait={dir}/go", end]);
    endless.ready(1);
    assert_eq!(endless.order("restart --active").code, 0);
    write(&endless, &format!("-l {a} -l {b}"));
    let waiting = endless.client("restart --active");
    endless.wait("starting generation 3");
    endless.touch("now");
    endless.wait("serves again");
    assert!(get(a, "/").unwrap().contains("Hello, world 1"));
    endless.touch("go");
    (endless, b, waiting.end())
}

#[test]
fn a_candidate_keeps_its_listeners_when_an_older_one_has_to_serve_again_meanwhile() {
    let (mut endless, b, said) = a_crash_beside_a_candidate("print=good");
    assert_eq!(said.code, 0, "{said:?}");
    let status = endless.status();
    let addresses: Vec<&str> =
        status["listeners"].as_array().unwrap().iter().map(|one| one["address"].as_str().unwrap()).collect();
    assert_eq!((addresses.len(), addresses[1]), (2, b.to_string().as_str()), "{status}");
    assert!(get(b, "/").unwrap().contains("Hello, world 3"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_candidate_that_fails_then_leaves_the_listeners_of_the_one_that_serves_again() {
    let (mut endless, b, said) = a_crash_beside_a_candidate("3:exit=3");
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(endless.status()["listeners"].as_array().unwrap().len(), 1);
    until("what was bound for it is closed", || TcpStream::connect(b).is_err().then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_copies_bind_is_in_no_template_of_the_next_ones() {
    let setup = endless(&format!("{START} --capture always"));
    fs::write(setup.dir().join("config"), "").unwrap();
    let mut endless = setup.start(&["print={port}", &format!("bind={}", free_address())]);
    endless.ready(1);
    endless.wait_with(&["target 1 ", ": {port}"]);
    endless.restart(2);
    endless.wait_with(&["target 2 ", ": {port}"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_all_copies_share_keeps_its_options() {
    let endless = start("", "-l 127.0.0.1:0,share=yes");
    let first = endless.ready(1);
    write(&endless, "-l 127.0.0.1:0,share=yes,nonblock=yes");
    let said = endless.order("restart");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("a socket that all copies share cannot change"), "{said:?}");
    assert_eq!(endless.ask(), (1, first));
}

#[test]
fn the_plan_of_a_candidate_that_has_failed_is_forgotten() {
    let setup = Setup::own(crate::upgrade::two_builds, "-l 127.0.0.1:0 --probation 0 --config {dir}/config");
    let gone = setup.dir().join("r2");
    fs::write(setup.dir().join("config"), "").unwrap();
    let mut endless = setup.start(&["2:exit=3"]);
    endless.ready(1);
    fs::create_dir(&gone).unwrap();
    write(&endless, &format!("--chdir {}", gone.display()));
    assert_eq!(endless.order("restart").code, 1);
    write(&endless, "");
    fs::remove_dir(&gone).unwrap();
    crate::upgrade::upgrade(&endless);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_user_that_comes_with_the_file_can_say_ready() {
    if !geteuid().is_root() {
        return;
    }
    let setup = for_others(START);
    fs::write(setup.dir().join("config"), "-l 127.0.0.1:0 --ready notify").unwrap();
    let mut endless = setup.start_command(&["{dir}/target", "notify"]);
    endless.ready(1);
    write(&endless, "-l 127.0.0.1:0 --ready notify --ready-timeout 5s --user 65534 --group 65534 --supplementary none");
    let second = endless.restart(2);
    assert!(processes::status(second, "Uid").unwrap().starts_with("65534"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn of_several_listeners_at_ports_of_the_kernel_each_keeps_its_own() {
    let mut endless = start("", "-l a=127.0.0.1:0 -l b=127.0.0.1:0");
    endless.ready(1);
    let before = endless.address(1);
    write(&endless, "-l b=127.0.0.1:0");
    endless.restart(2);
    assert!(get(before, "/").unwrap().contains("Hello, world 2"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_named_one_restarts_after_the_directory_of_its_socket_is_gone() {
    let runtime = tempfile::tempdir().unwrap();
    let setup = endless(&format!("{START} --name web")).env("XDG_RUNTIME_DIR", &runtime.path().display().to_string());
    let text = format!("-l 127.0.0.1:0 -- {}", example("target").display());
    fs::write(setup.dir().join("config"), text).unwrap();
    let mut endless = setup.start(&[]);
    endless.ready(1);
    drop(runtime);
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn copies_of_another_user_bind_the_same_port() {
    if !geteuid().is_root() {
        return;
    }
    let port = crate::support::free_port();
    let setup = for_others("--probation 0 --capture always --config {dir}/config");
    let target = setup.dir().join("target").display().to_string();
    let text = |user: &str| format!("--user {user} -- {target} bind=127.0.0.1:{port}");
    fs::write(setup.dir().join("config"), text("nobody")).unwrap();
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    write(&endless, &text("daemon"));
    endless.restart(2);
    write(&endless, &text("root"));
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}
