//! Readiness that is asked for elsewhere: a descriptor, a command, an address of the copy's own.

use crate::support::{endless, until};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;

#[test]
fn a_byte_on_a_descriptor() {
    let mut endless = endless("-l 127.0.0.1:0 --ready fd=10 --probation 0").start(&["wait={dir}/go", "write=10"]);
    endless.wait("target 1");
    endless.wait("waits for");
    assert_eq!(endless.count("is ready"), 0);
    endless.touch("go");
    endless.wait_with(&["generation 1 ", "is ready", "it wrote to descriptor 10"]);
    endless.restart(2);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_copy_that_closes_its_descriptor_without_a_byte_is_never_ready() {
    let mut endless = endless("-l 127.0.0.1:0 --ready fd=10 --ready-timeout 1s").start(&["deaf"]);
    endless.wait_with(&["generation 1 failed", "not ready after 1s"]);
    assert_eq!(endless.ended_clean(), 125);
}

#[test]
fn a_command_that_agrees() {
    let check = "test -n \"$ENDLESS_CHILD_PID\" && test -z \"$LISTEN_FDS\" && test -e {dir}/up$ENDLESS_GENERATION";
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").option("--ready", &format!("exec={check}")).start(&[]);
    endless.wait("serves");
    assert_eq!(endless.count("is ready"), 0);
    endless.touch("up1");
    endless.wait_with(&["generation 1 ", "is ready", "its check agreed"]);
    endless.signal(Signal::SIGHUP);
    endless.wait_with(&["target 2", "serves"]);
    assert_eq!(endless.ask().0, 1);
    endless.touch("up2");
    endless.ready(2);
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_command_that_hangs_ends_with_the_attempt() {
    let mut endless = endless("-l 127.0.0.1:0 --ready-timeout 1s").option("--ready", "exec=exec sleep 600").start(&[]);
    endless.wait_with(&["generation 1 failed", "not ready after 1s"]);
    assert_eq!(endless.ended_clean(), 125);
}

#[test]
fn a_connection_to_an_address_of_its_own() {
    let place = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(place.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let port = getsockname::<SockaddrIn>(place.as_raw_fd()).unwrap().port();
    let mut endless = endless(&format!("-l 127.0.0.1:0 --ready tcp=127.0.0.1:{port}")).start(&[]);
    endless.wait("serves");
    assert_eq!(endless.count("is ready"), 0);
    listen(&place, Backlog::new(8).unwrap()).unwrap();
    endless.wait_with(&["generation 1 ", "is ready", "a connection to it was made"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn an_answer_at_an_address_of_its_own() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = place.local_addr().unwrap().port();
    let mut endless = endless(&format!("-l 127.0.0.1:0 --ready http=http://127.0.0.1:{port}/up")).start(&[]);
    for status in ["503 Busy", "200 Fine"] {
        let (stream, _) = place.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "GET /up HTTP/1.1");
        assert_eq!(lines.next().unwrap().unwrap(), format!("Host: 127.0.0.1:{port}"));
        assert_eq!(endless.count("is ready"), 0);
        (&stream).write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
    }
    endless.wait_with(&["generation 1 ", "is ready", "it answered the probe with 200"]);
    until("the copy answers", || (endless.ask().0 == 1).then_some(()));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn the_signal_of_a_process_that_has_ended_since_is_its_copys() {
    let target = crate::support::example("target").display().to_string();
    let script = "(until [ -e go ]; do sleep 0.05; done; kill -USR1 $ENDLESS_PID; touch sent) & exec \"$0\"";
    let mut endless =
        endless("-l 127.0.0.1:0 --ready signal=USR1 --ready-timeout 10s").start_command(&["sh", "-c", script, &target]);
    endless.wait("serves");
    endless.freeze();
    endless.touch("go");
    let sent = || endless.file("sent").exists() && endless.others().len() == 1;
    crate::support::until("the signal was sent, and its sender has ended", || sent().then_some(()));
    endless.signal(nix::sys::signal::Signal::SIGCONT);
    endless.wait_with(&["generation 1 ", "is ready", "it sent SIGUSR1"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn without_a_host_both_versions_of_ip_are_tried() {
    for host in ["127.0.0.1", "[::1]"] {
        let port = crate::support::free_port();
        let options = format!("-l 127.0.0.1:0 --capture never --ready tcp={port} --ready-timeout 20s");
        let mut endless = endless(&options).start(&[&format!("bind={host}:{port}")]);
        endless.wait_with(&["generation 1 ", "is ready"]);
        assert_eq!(endless.stop(), 0);
    }
}
