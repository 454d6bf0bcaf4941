//! Programs that bind by themselves and know nothing of endless.

use crate::support::load::{Kind, Load};
use crate::support::{Endless, endless, example};
use std::net::{SocketAddr, TcpListener};

/// A port nobody has. That it stays so until the target binds it is likely, for the kernel gives ports out in turn.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// Restarts under load from here to there; nothing may be lost.
#[track_caller]
fn restarts_lose_nothing(endless: &mut Endless, at: SocketAddr, generations: std::ops::RangeInclusive<u32>) {
    let load = Load::start(at, &[(Kind::New, 4)]);
    for generation in generations {
        load.wait_for_more(50);
        endless.restart(generation);
        endless.wait(&format!("generation {} is gone", generation - 1));
    }
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_program_that_binds_by_itself_loses_nothing() {
    let bind_itself = example("bind_itself").display().to_string();
    let mut endless = endless("--probation 0").start_command(&[&bind_itself, &format!("127.0.0.1:{}", free_port())]);
    assert!(endless.wait("generation 1 (pid").contains("starting"));
    endless.wait_with(&["is ready", "it accepted a connection"]);
    let at = endless.address(0);
    restarts_lose_nothing(&mut endless, at, 2..=6);
}

#[test]
fn python_http_server_loses_nothing() {
    let command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", &free_port()];
    let mut endless = endless("--probation 0").start_command(&command);
    endless.wait_with(&["is ready", "it accepted a connection"]);
    let at = endless.address(0);
    restarts_lose_nothing(&mut endless, at, 2..=4);
}

#[test]
fn a_copy_that_fails_leaves_the_old_one_and_its_address_alone() {
    let bind_itself = example("bind_itself").display().to_string();
    let script = "[ $ENDLESS_GENERATION != 2 ] || exit 3; exec \"$0\" \"$1\"";
    let command = ["sh", "-c", script, &bind_itself, &format!("127.0.0.1:{}", free_port())];
    let mut endless = endless("--probation 0").start_command(&command);
    let first = endless.ready(1);
    endless.signal(nix::sys::signal::Signal::SIGHUP);
    endless.wait("generation 2 failed: it ended before it was ready (exit status 3)");
    assert_eq!(endless.ask(), (1, first));
    let third = endless.restart(3);
    endless.wait("generation 1 is gone");
    assert_eq!(endless.ask(), (3, third));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_busy_address_is_an_error_of_the_target_as_ever() {
    let bind_itself = example("bind_itself").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut endless = endless("").start_command(&[&bind_itself, &taken.local_addr().unwrap().to_string()]);
    endless.wait("Address already in use");
    assert_eq!(endless.ended_clean(), 1);
}
