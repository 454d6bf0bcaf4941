use super::*;
use nix::libc::{IPPROTO_TCP, TCP_DEFER_ACCEPT};
use std::os::unix::net::{UnixListener, UnixStream};

fn check_until(probe: &mut Probe, listeners: &mut Listeners, wanted: ProbeState) {
    for _ in 0..2000 {
        if probe.check(listeners) == wanted {
            return;
        }
        // What the kernel does for loopback is done in the same call; this is for slow machines.
        waits(seat(listeners, TWO), 1);
    }
    panic!("never {wanted:?}");
}

#[test]
fn the_probe_goes_to_the_candidate_and_clients_to_the_active_one() {
    for place in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
        let mut listeners = open(tcp(place), &[ONE, TWO]);
        let at = program::reachable(address(&listeners));
        let mut probe = listeners.begin_probe(TWO);
        assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
        assert!(waits(seat(&listeners, TWO), 1000));
        assert!(!waits(seat(&listeners, ONE), 0));
        goes_to(&listeners, at, ONE, &[]);
        assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
        let _accepted = accept(seat(&listeners, TWO));
        goes_to(&listeners, at, ONE, &[TWO]);
        check_until(&mut probe, &mut listeners, ProbeState::All);
        probe.end(&mut listeners);
        goes_to(&listeners, at, ONE, &[TWO]);
    }
}

#[test]
fn an_ipv4_client_reaches_a_socket_for_both_families_beside_the_probe() {
    let any = spec(Address::Tcp { at: "[::]:0".parse().unwrap(), any: true }, SocketOptions::default());
    let mut listeners = open(any, &[ONE, TWO]);
    let at = SocketAddr::from(([127, 0, 0, 1], address(&listeners).port()));
    let mut probe = listeners.begin_probe(TWO);
    goes_to(&listeners, at, ONE, &[]);
    let _accepted = accept(seat(&listeners, TWO));
    check_until(&mut probe, &mut listeners, ProbeState::All);
}

#[test]
fn the_first_generation_is_probed_too() {
    let (mut listeners, _) = Listeners::bind(&[tcp("127.0.0.1:0")], &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    let mut probe = listeners.begin_probe(ONE);
    assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
    let _accepted = accept(seat(&listeners, ONE));
    assert_eq!(probe.check(&mut listeners), ProbeState::All);
    probe.end(&mut listeners);
}

#[test]
fn in_a_queue_of_clients_the_probes_own_turn_counts() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    let before: Vec<_> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
    listeners.move_seats(ONE, TWO, false).unwrap();
    let mut probe = listeners.begin_probe(TWO);
    let _after = TcpStream::connect(at).unwrap();
    let mut accepted = Vec::new();
    for _ in &before {
        accepted.push(accept(seat(&listeners, TWO)));
        assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
    }
    accepted.push(accept(seat(&listeners, TWO)));
    assert_eq!(probe.check(&mut listeners), ProbeState::All);
}

#[test]
fn accepted_and_closed_at_once_is_accepted() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let mut probe = listeners.begin_probe(TWO);
    drop(accept(seat(&listeners, TWO)));
    check_until(&mut probe, &mut listeners, ProbeState::All);
}

#[test]
fn a_refused_probe_is_made_again() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let mut probe = listeners.begin_probe(TWO);
    nix::sys::socket::shutdown(seat(&listeners, TWO).as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
    assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
    // The candidate's seat is not in the group: the probe must not count what the active one accepts.
    assert!(!waits(seat(&listeners, ONE), 0), "the probe went to the active generation");
}

#[test]
fn several_listeners_are_probed_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let specs = [tcp("127.0.0.1:0"), unix(UnixKind::Stream, &directory.path().join("s")), udp("127.0.0.1:0")];
    let (mut listeners, _) = Listeners::bind(&specs, &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    listeners.make_seats(TWO).unwrap();
    let mut probe = listeners.begin_probe(TWO);
    assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
    assert_eq!(probe.streams().map(|(listener, _)| listener).collect::<Vec<_>>(), [0, 1]);
    let _first = accept(listeners.seats(TWO)[0]);
    assert_eq!(probe.check(&mut listeners), ProbeState::Some);
    let server = UnixListener::from(listeners.seats(TWO)[1].try_clone_to_owned().unwrap());
    let _second = server.accept().unwrap();
    assert_eq!(probe.check(&mut listeners), ProbeState::All);
    probe.end(&mut listeners);
    listeners.close();
}

#[test]
fn a_server_that_takes_one_client_after_the_other_comes_to_every_listener() {
    let (mut listeners, _) = Listeners::bind(&[tcp("127.0.0.1:0"), tcp("127.0.0.1:0")], &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    let mut probe = listeners.begin_probe(ONE);
    for state in [ProbeState::Some, ProbeState::All] {
        let at = usize::from(state == ProbeState::All);
        let mut server = accept(listeners.seats(ONE)[at]);
        assert_eq!(probe.check(&mut listeners), state);
        assert_eq!(server.read(&mut [0]).unwrap(), 0, "it waits for what the probe would say");
    }
}

#[test]
fn a_seat_that_defers_silent_clients_is_probed_at_once() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let defer = |listeners: &Listeners| {
        crate::sys::socket::option(seat(listeners, TWO), IPPROTO_TCP, TCP_DEFER_ACCEPT).unwrap()
    };
    crate::sys::socket::set_option(seat(&listeners, TWO), IPPROTO_TCP, TCP_DEFER_ACCEPT, 30).unwrap();
    let asked = defer(&listeners);
    let mut probe = listeners.begin_probe(TWO);
    assert!(waits(seat(&listeners, TWO), 500), "it is hidden from the server");
    assert_eq!(defer(&listeners), asked);
    let _server = accept(seat(&listeners, TWO));
    check_until(&mut probe, &mut listeners, ProbeState::All);
}

#[test]
fn the_stream_of_a_probe_speaks_with_the_candidate() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let mut probe = listeners.begin_question(TWO);
    let mut server = accept(seat(&listeners, TWO));
    let (_, stream) = probe.streams().next().unwrap();
    stream.write_all(b"?").unwrap();
    server.read_exact(&mut [0]).unwrap();
    server.write_all(b"!").unwrap();
    assert!(waits(stream.as_fd(), 1000));
    check_until(&mut probe, &mut listeners, ProbeState::All);
    let mut answer = [0];
    probe.streams().next().unwrap().1.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"!");
    probe.again(0, &mut listeners);
    assert_eq!(probe.check(&mut listeners), ProbeState::Waiting);
    let _server = accept(seat(&listeners, TWO));
    check_until(&mut probe, &mut listeners, ProbeState::All);
}

#[test]
fn shared_and_datagram_listeners_cannot_be_probed() {
    let shared = with(tcp("127.0.0.1:0"), |options| options.share = true);
    for spec in [shared, udp("127.0.0.1:0")] {
        let mut listeners = open(spec, &[ONE, TWO]);
        assert_eq!(listeners.begin_probe(TWO).check(&mut listeners), ProbeState::Impossible);
    }
}

#[test]
fn a_drain_waits_for_the_queue() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let _waiting = TcpStream::connect(address(&listeners)).unwrap();
    listeners.steer(TWO);
    let mut drain = listeners.begin_drain(ONE);
    assert!(!drain.queue_over(&listeners));
    let _accepted = accept(seat(&listeners, ONE));
    let _other = TcpStream::connect(address(&listeners)).unwrap();
    assert!(drain.queue_over(&listeners));
}

#[test]
fn a_drain_waits_for_half_open_handshakes_of_its_beginning_only() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    for generation in [ONE, TWO] {
        crate::sys::socket::set_option(seat(&listeners, generation), IPPROTO_TCP, TCP_DEFER_ACCEPT, 30).unwrap();
    }
    // It stays half open until it sends something.
    let mut late = TcpStream::connect(address(&listeners)).unwrap();
    listeners.steer(TWO);
    let mut drain = listeners.begin_drain(ONE);
    let _later = TcpStream::connect(address(&listeners)).unwrap();
    assert!(!drain.queue_over(&listeners));
    late.write_all(b"x").unwrap();
    let _accepted = accept(seat(&listeners, ONE));
    assert!(drain.queue_over(&listeners));
}

#[test]
fn a_drain_of_a_seat_that_was_shut_is_over() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO]);
    let _waiting = TcpStream::connect(address(&listeners)).unwrap();
    listeners.steer(TWO);
    let mut drain = listeners.begin_drain(ONE);
    listeners.shut(ONE);
    assert!(drain.queue_over(&listeners));
}

#[test]
fn a_drain_waits_for_datagrams_and_unix_clients() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let (mut listeners, _) = Listeners::bind(&[unix(UnixKind::Stream, &path), udp("127.0.0.1:0")], &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    listeners.make_seats(TWO).unwrap();
    listeners.steer(TWO);
    let mut drain = listeners.begin_drain(ONE);
    assert!(!drain.queue_over(&listeners));
    let server = UnixListener::from(listeners.seats(ONE)[0].try_clone_to_owned().unwrap());
    let _accepted = server.accept().unwrap();
    assert!(drain.queue_over(&listeners));
    listeners.close();
}
