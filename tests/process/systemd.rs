//! endless under a service manager: what it says on NOTIFY_SOCKET, as systemd would hear it.

use crate::support::client::uninterrupted;
use crate::support::{DEADLINE, Endless, Setup, endless};
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// The manager's end.
pub struct Manager {
    socket: UnixDatagram,
    pub heard: Vec<String>,
}

impl Manager {
    pub fn listen(setup: Setup) -> (Manager, Setup) {
        let path = setup.dir().join("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let setup = setup.env("NOTIFY_SOCKET", path.to_str().unwrap());
        (Manager { socket, heard: Vec::new() }, setup)
    }

    /// The next datagram with this line in it; all before it are skipped.
    #[track_caller]
    pub fn hears(&mut self, line: &str) -> String {
        let mut datagram = [0u8; 4096];
        loop {
            let length = uninterrupted(|| self.socket.recv(&mut datagram))
                .unwrap_or_else(|error| panic!("{line} was not heard: {error}; heard {:#?}", self.heard));
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            self.heard.push(text.clone());
            if text.lines().any(|one| one.starts_with(line)) {
                return text;
            }
        }
    }

    /// Everything that was said until now.
    fn hear_all(&mut self) {
        let mut datagram = [0u8; 4096];
        self.socket.set_nonblocking(true).unwrap();
        while let Ok(length) = self.socket.recv(&mut datagram) {
            self.heard.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
        }
        self.socket.set_nonblocking(false).unwrap();
    }

    pub fn count(&self, line: &str) -> usize {
        self.heard.iter().filter(|text| text.lines().any(|one| one == line)).count()
    }
}

fn start(options: &str, words: &[&str]) -> (Manager, Endless) {
    let (manager, setup) = Manager::listen(endless(options));
    let endless = setup.start(words);
    (manager, endless)
}

#[test]
fn a_service_is_ready_with_its_first_copy_and_says_that_it_stops() {
    let (mut manager, mut endless) = start("-l 127.0.0.1:0", &["wait={dir}/go"]);
    endless.wait("starting generation 1");
    endless.touch("go");
    manager.hears("READY=1");
    assert_eq!(manager.heard.len(), 1, "nothing before it: {:?}", manager.heard);
    manager.hears("STATUS=generation 1 serves");
    assert_eq!(endless.stop(), 0);
    manager.hears("STOPPING=1");
    manager.hears("EXTEND_TIMEOUT_USEC=60000000");
}

#[test]
fn a_reload_lasts_until_the_candidate_is_ready_or_has_failed() {
    let (mut manager, endless) = start("-l 127.0.0.1:0 --probation 0", &["2:wait={dir}/go", "3:exit=1"]);
    manager.hears("STATUS=generation 1 serves");
    endless.signal(Signal::SIGHUP);
    let reloading = manager.hears("RELOADING=1");
    let stamp = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(stamp.parse::<u64>().unwrap() > 0);
    endless.wait("starting generation 2");
    assert_eq!(manager.count("READY=1"), 1);
    endless.touch("go");
    manager.hears("READY=1");
    manager.hears("STATUS=generation 2 serves");
    // The candidate fails: the reload is over, and the old generation serves.
    endless.signal(Signal::SIGHUP);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    manager.hears("STATUS=generation 2 serves");
}

#[test]
fn a_reload_that_waits_for_room_is_not_over_before_it_has_begun() {
    let words = ["1:ignore=TERM", "3:wait={dir}/go"];
    let (mut manager, mut endless) =
        start("-l 127.0.0.1:0 --probation 0 --max-retiring 1 --hammer never --ready-timeout 60s", &words);
    endless.ready(1);
    endless.restart(2);
    endless.wait("sending SIGTERM to generation 1");
    manager.hears("STATUS=generation 2 serves");
    endless.signal(Signal::SIGHUP);
    manager.hears("RELOADING=1");
    endless.wait("starting generation 3");
    let reloads = manager.heard.len();
    manager.hear_all();
    assert!(!manager.heard[reloads..].iter().any(|text| text.contains("READY=1")), "{:#?}", manager.heard);
    endless.touch("go");
    manager.hears("READY=1");
    manager.hears("STATUS=generation 3 serves");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_reload_that_a_hook_prevents_is_over_too() {
    let (manager, setup) = Manager::listen(endless("-l 127.0.0.1:0").option("--check", "false"));
    let (mut manager, endless) = (manager, setup.start(&[]));
    manager.hears("STATUS=generation 1 serves");
    endless.signal(Signal::SIGHUP);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
}

#[test]
fn the_watchdog_is_fed_twice_in_its_time() {
    let (manager, setup) = Manager::listen(endless("-l 127.0.0.1:0").env("WATCHDOG_USEC", "10000000"));
    let (mut manager, endless) = (manager, setup.start(&["env=WATCHDOG_USEC", "env=NOTIFY_SOCKET"]));
    manager.hears("WATCHDOG=1");
    let first = std::time::Instant::now();
    for _ in 0..2 {
        manager.hears("WATCHDOG=1");
    }
    assert!(first.elapsed().as_secs() < 15, "{:?}", first.elapsed());
    endless.wait("WATCHDOG_USEC=(unset)");
    endless.wait("serves");
    assert_eq!(endless.count(Path::new("manager").to_str().unwrap()), 0, "its own variables do not leak");
}

#[test]
fn a_manager_of_somebody_else_is_not_fed() {
    let setup = endless("-l 127.0.0.1:0").env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let (mut manager, setup) = Manager::listen(setup);
    let _endless = setup.start(&[]);
    manager.hears("STATUS=generation 1 serves");
    assert_eq!(manager.count("WATCHDOG=1"), 0);
}

#[test]
fn a_manager_whose_queue_is_full_is_told_later() {
    let (mut manager, setup) = Manager::listen(endless("-l 127.0.0.1:0"));
    let path = setup.dir().join("manager");
    // A sender may have as much on its way as its buffer holds; several fill the queue.
    let senders: Vec<UnixDatagram> = std::iter::from_fn(|| {
        let sender = UnixDatagram::unbound().ok()?;
        sender.set_nonblocking(true).ok()?;
        sender.connect(&path).ok()?;
        let sent = std::iter::repeat_with(|| sender.send(b"noise")).take_while(Result::is_ok).count();
        (sent > 0).then_some(sender)
    })
    .collect();
    assert!(!senders.is_empty());
    let mut endless = setup.start(&[]);
    endless.ready(1);
    manager.hears("READY=1");
    manager.hears("STATUS=generation 1 serves");
    assert_eq!(endless.stop(), 0);
}
