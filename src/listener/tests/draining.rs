//! What a drain sees of real connections.

#![allow(clippy::disallowed_methods, reason = "tests wait for the kernel's clock, and measure")]

use super::*;
use crate::words::{Moment, OpenSocket, Waits};
use nix::libc::{IPPROTO_TCP, TCP_DEFER_ACCEPT};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// One more look, at a made-up time for what the kernel has no time of.
fn look(drain: &mut DrainWatch, milliseconds: u64) -> Waits {
    drain.look(Moment(Duration::from_millis(milliseconds)), PATIENCE)
}

fn begin(listeners: &Listeners) -> DrainWatch {
    listeners.begin_drain(ONE)
}

#[track_caller]
fn until(drain: &mut DrainWatch, wanted: Waits) {
    let began = Instant::now();
    loop {
        let waits = look(drain, 0);
        if waits == wanted {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{waits:?} and never {wanted:?}");
        std::thread::yield_now();
    }
}

const BUSY: Waits = Waits { half_open: 0, queued: 0, busy: 1, idle: 0 };
const IDLE: Waits = Waits { busy: 0, idle: 1, ..BUSY };
const NOTHING: Waits = Waits { idle: 0, ..IDLE };

#[test]
fn a_connection_from_the_handshake_to_its_end() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let mut listeners = open(tcp(at), &[ONE, TWO]);
        let at = address(&listeners);
        let options = seat(&listeners, ONE);
        crate::sys::socket::set_option(options, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5).unwrap();
        // It stays half open until the client says something.
        let mut client = TcpStream::connect(at).unwrap();
        listeners.steer(TWO);
        let mut drain = begin(&listeners);
        assert_eq!(look(&mut drain, 0), Waits { half_open: 1, ..NOTHING });
        client.write_all(b"request").unwrap();
        until(&mut drain, Waits { queued: 1, ..NOTHING });
        let mut server = accept(seat(&listeners, ONE));
        assert_eq!(look(&mut drain, 0), BUSY, "it is unread");
        server.read_exact(&mut [0; 7]).unwrap();
        assert_eq!(look(&mut drain, 0), BUSY, "it is unanswered");
        server.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        until(&mut drain, IDLE);
        client.write_all(b"again").unwrap();
        until(&mut drain, BUSY);
        server.read_exact(&mut [0; 5]).unwrap();
        drop(server);
        until(&mut drain, NOTHING);
    }
}

#[test]
fn what_comes_later_or_belongs_to_others_is_not_waited_for() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO, THREE]);
    let at = address(&listeners);
    let client = TcpStream::connect(at).unwrap();
    let old = accept(seat(&listeners, ONE));
    listeners.steer(TWO);
    let mut first = begin(&listeners);
    let _later = TcpStream::connect(at).unwrap();
    let kept = accept(seat(&listeners, TWO));
    assert_eq!(look(&mut first, 0).open(), 1);
    listeners.steer(THREE);
    let mut second = listeners.begin_drain(TWO);
    assert_eq!(look(&mut second, 0).open(), 2);
    let known = first.cookies().collect();
    assert!(second.shares(&known));
    let inode = u32::try_from(nix::sys::stat::fstat(&kept).unwrap().st_ino).unwrap();
    second.share(&known, &[OpenSocket { inode, pid: 0, fd: 0 }]);
    assert_eq!(look(&mut second, 0).open(), 1);
    // Two that were written down wrongly: one is known to be a newer generation's, and that one's.
    let mut both = listeners.begin_drain(ONE);
    assert_eq!(look(&mut both, 0).open(), 2);
    let mut newer = listeners.begin_drain(TWO);
    newer.share(&both.cookies().collect(), &[OpenSocket { inode, pid: 0, fd: 0 }]);
    assert_eq!(look(&mut newer, 0).open(), 1);
    both.forget(&[OpenSocket { inode, pid: 0, fd: 0 }]);
    assert_eq!(look(&mut both, 0).open(), 1);
    drop((client, old));
    until(&mut both, NOTHING);
}

#[test]
fn an_ipv4_client_of_a_socket_for_both_families_is_seen() {
    let both = spec(Address::Tcp { at: "[::]:0".parse().unwrap(), any: true }, SocketOptions::default());
    let mut listeners = open(both, &[ONE, TWO]);
    let client = TcpStream::connect(("127.0.0.1", address(&listeners).port())).unwrap();
    let server = accept(seat(&listeners, ONE));
    listeners.steer(TWO);
    let mut drain = begin(&listeners);
    assert_eq!(look(&mut drain, 0).open(), 1);
    drop((client, server));
    until(&mut drain, NOTHING);
}

#[test]
fn the_same_port_at_another_address_is_another_listener() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let elsewhere = TcpListener::bind(("127.0.0.2", address(&listeners).port())).unwrap();
    let _client = TcpStream::connect(elsewhere.local_addr().unwrap()).unwrap();
    let _server = elsewhere.accept().unwrap();
    listeners.steer(TWO);
    assert_eq!(look(&mut begin(&listeners), 0), NOTHING);
}

#[test]
fn a_quiet_connection_is_closed_halfway_and_a_busy_one_is_not() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let at = address(&listeners);
    let (mut client, mut other) = (TcpStream::connect(at).unwrap(), TcpStream::connect(at).unwrap());
    let (mut server, mut busy) = (accept(seat(&listeners, ONE)), accept(seat(&listeners, ONE)));
    listeners.steer(TWO);
    let mut drain = begin(&listeners);
    for (client, server) in [(&mut client, &mut server), (&mut other, &mut busy)] {
        client.write_all(b"?").unwrap();
        server.read_exact(&mut [0]).unwrap();
    }
    server.write_all(b"!").unwrap();
    until(&mut drain, Waits { busy: 1, ..IDLE });
    assert_eq!(drain.closable(), 1);
    let me = i32::try_from(std::process::id()).unwrap();
    let open_here = |socket: &TcpStream| OpenSocket {
        inode: u32::try_from(nix::sys::stat::fstat(socket).unwrap().st_ino).unwrap(),
        pid: me,
        fd: socket.as_raw_fd(),
    };
    let now = Moment(Duration::from_secs(1));
    assert_eq!(drain.half_close(now, PATIENCE, &[open_here(&server), open_here(&busy)]), Ok(()));
    assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    assert!(!waits(busy.as_fd(), 0));
    assert_eq!(drain.closable(), 0);
    assert!(drain.closing(now));
    assert!(!drain.closing(Moment(Duration::from_millis(1200))), "it does not close");
    drop(server);
    until(&mut drain, BUSY);
    assert!(!drain.closing(now));
}

#[test]
fn a_descriptor_that_is_another_socket_by_now_is_left_alone() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let mut client = TcpStream::connect(address(&listeners)).unwrap();
    let mut server = accept(seat(&listeners, ONE));
    client.write_all(b"?").unwrap();
    server.read_exact(&mut [0]).unwrap();
    server.write_all(b"!").unwrap();
    listeners.steer(TWO);
    let mut drain = begin(&listeners);
    until(&mut drain, IDLE);
    let inode = u32::try_from(nix::sys::stat::fstat(&server).unwrap().st_ino).unwrap();
    let pid = i32::try_from(std::process::id()).unwrap();
    let wrong = OpenSocket { inode, pid, fd: client.as_raw_fd() };
    assert_eq!(drain.half_close(Moment::default(), PATIENCE, &[wrong]), Ok(()));
    assert!(!waits(client.as_fd(), 0) || client.read(&mut [0; 8]).unwrap() == 1);
    assert_eq!(drain.closable(), 1);
}

#[test]
fn unix_connections_show_whose_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let mut listeners = open(unix(UnixKind::Stream, &path), &[ONE, TWO]);
    let mut client = UnixStream::connect(&path).unwrap();
    listeners.steer(TWO);
    let _later = UnixStream::connect(&path).unwrap();
    let mut drain = begin(&listeners);
    assert!(!drain.queue_over(&listeners));
    let take = |owner| {
        let seat = seat(&listeners, owner).try_clone_to_owned().unwrap();
        std::os::unix::net::UnixListener::from(seat).accept().unwrap().0
    };
    let (server, _newer) = (take(ONE), take(TWO));
    assert!(drain.queue_over(&listeners));
    assert_eq!(look(&mut drain, 0), BUSY);
    assert_eq!(look(&mut drain, 1000), IDLE);
    client.write_all(b"request").unwrap();
    assert_eq!(look(&mut drain, 3000), BUSY);
    drop((client, server));
    assert_eq!(look(&mut drain, 3100), NOTHING);
}

/// Opens 10,000 connections and keeps them until its standard input ends; 9,900 of them only until the first line of it.
const CROWD: &str = "
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(10000)]
sys.stdin.readline()
del kept[100:]
sys.stdin.read()
";

/// Prints what a look costs.
#[test]
#[ignore = "a measurement: cargo test --release --lib ten_thousand -- --ignored --nocapture"]
fn ten_thousand_connections_are_looked_at_in_milliseconds() {
    use nix::time::ClockId;
    use std::process::{Command, Stdio};
    let _ = raise_file_limit();
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let port = address(&listeners).port().to_string();
    let mut crowd = Command::new("python3").args(["-c", CROWD, &port]).stdin(Stdio::piped()).spawn().unwrap();
    let mut kept: Vec<_> = (0..10_000).map(|_| accept(seat(&listeners, ONE))).collect();
    listeners.steer(TWO);
    let timed = |what: &str, act: &mut dyn FnMut()| {
        // Processor time, because the machine may do other things, too.
        let time = || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap());
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..21 {
            let began = time();
            act();
            times.push(time() - began);
        }
        times.sort();
        println!("{what}: {:?} (median), {:?} (slowest)", times[10], times[20]);
    };
    timed("writing down 10,000 connections", &mut || drop(begin(&listeners)));
    let mut drain = begin(&listeners);
    timed("one look at 10,000 connections", &mut || assert_eq!(look(&mut drain, 0).open(), 10_000));
    crowd.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    kept.truncate(100);
    let left = look(&mut drain, 0).open();
    timed(&format!("one look at {left} connections"), &mut || assert_eq!(look(&mut drain, 0).open(), left));
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
}
