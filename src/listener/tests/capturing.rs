//! Sockets that copies make and bind by themselves.

use super::*;
use crate::listener::captured::Captured;
use crate::listener::inet::{Place, Transport};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockType, SockaddrStorage, connect, getsockopt, recv, setsockopt, socket, sockopt,
};
use std::net::UdpSocket;

/// An address with a port that nobody has.
fn free_address(ip: &str) -> SocketAddr {
    // No other test has this address, or all of them are free: so it stays free.
    UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// A copy's socket: endless' descriptor of it, and the copy's own.
fn datagram_socket() -> (OwnedFd, OwnedFd) {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let theirs = socket.try_clone().unwrap();
    (socket, theirs)
}

fn connect_to_somebody(socket: &OwnedFd) {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(client)).unwrap();
}

#[test]
fn a_captured_socket_for_datagrams_gets_none_after_its_release_though_a_process_that_lives_on_has_it() {
    let at = free_address("127.45.0.1");
    let mut captured = Captured::new(Place { transport: Transport::Udp, at, any: false }, ONE);
    let theirs = [ONE, TWO].map(|generation| {
        let (socket, theirs) = datagram_socket();
        captured.bind(generation, socket, generation == ONE).unwrap();
        theirs
    });
    captured.steer(TWO).unwrap();
    captured.release(ONE);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", at).unwrap();
    assert!(waits(theirs[1].as_fd(), 1000));
    assert!(!waits(theirs[0].as_fd(), 0));
}

#[test]
fn a_server_that_makes_a_socket_for_each_client_is_not_kept_waiting_at_the_next() {
    let at = free_address("127.45.0.2");
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let unasked = |_: u64| -> bool { panic!("to look through its processes takes too long") };
    for early in [true, false, false] {
        let asker = Asker { open: &unasked, early, may_bind: &|_| true, polled: &|| false, put: &|_| Ok(()) };
        let (socket, theirs) = datagram_socket();
        setsockopt(&theirs, sockopt::ReuseAddr, &true).unwrap();
        match listeners.bind_asked(ONE, socket, at, asker).0 {
            Verdict::Answer(answer) => assert_eq!((answer, early), (Ok(()), true)),
            Verdict::GoOn => assert!(!early),
        }
        // Whoever comes first has this socket for himself.
        if early {
            connect_to_somebody(&theirs);
        }
    }
}

#[test]
fn a_successor_does_not_get_the_socket_of_a_client() {
    let at = free_address("127.45.0.3");
    let mut captured = Captured::new(Place { transport: Transport::Udp, at, any: false }, ONE);
    let (socket, theirs) = datagram_socket();
    captured.bind(ONE, socket, true).unwrap();
    captured.rename(ONE, TWO);
    assert_eq!(captured.hand_over(TWO, |_| Ok(())), Some(Ok(())), "that of a server he does");
    connect_to_somebody(&theirs);
    captured.rename(TWO, THREE);
    assert_eq!(captured.hand_over(THREE, |_| Ok(())), None);
    // The processes of a copy that crashed have ended before its successor starts.
    drop(theirs);
    let (socket, theirs) = datagram_socket();
    captured.bind(THREE, socket, false).unwrap();
    captured.drop_waiting(THREE);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", at).unwrap();
    assert!(waits(theirs.as_fd(), 1000));
}

/// A server binds a socket, and the first client has it for himself from then on; for the next one it binds another.
#[test]
fn sockets_that_clients_have_for_themselves_get_nobody_else() {
    for (ip, reuses) in [("127.45.0.4", true), ("127.45.0.5", false), ("0.0.0.0", true), ("0.0.0.0", false)] {
        let at = free_address(ip);
        let there = if at.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], at.port())) } else { at };
        let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
        let mut had = Vec::new();
        for round in 0..6 {
            let asker =
                Asker { open: &|_| true, early: round == 0, may_bind: &|_| true, polled: &|| false, put: &|_| Ok(()) };
            let (socket, theirs) = datagram_socket();
            setsockopt(&theirs, sockopt::ReusePort, &true).unwrap();
            setsockopt(&theirs, sockopt::ReuseAddr, &reuses).unwrap();
            let (verdict, notice) = listeners.bind_asked(ONE, socket, at, asker);
            assert!(matches!(verdict, Verdict::Answer(Ok(()))), "{verdict:?} in round {round}");
            assert_eq!(notice.is_some(), round == 0, "a line says once that it listens: {notice:?}");
            assert_eq!(getsockopt(&theirs, sockopt::ReuseAddr), Ok(reuses));
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.send_to(b"x", there).unwrap();
            assert!(waits(theirs.as_fd(), 1000), "client {round} of {at}, {reuses}");
            connect(theirs.as_raw_fd(), &SockaddrStorage::from(client.local_addr().unwrap())).unwrap();
            recv(theirs.as_raw_fd(), &mut [0; 8], MsgFlags::empty()).unwrap();
            had.push((client, theirs));
            if round == 3 {
                listeners.drop_clients(ONE, &|_| true);
            }
            for (client, theirs) in &had {
                client.send_to(b"y", there).unwrap();
                assert!(waits(theirs.as_fd(), 1000), "again at {at}, {reuses}");
                recv(theirs.as_raw_fd(), &mut [0; 8], MsgFlags::empty()).unwrap();
            }
        }
    }
}

#[test]
fn workers_that_have_all_bound_before_the_first_one_listens_are_captured() {
    let at = TcpListener::bind("127.45.0.3:0").unwrap().local_addr().unwrap();
    let mut captured = Captured::new(Place { transport: Transport::Tcp, at, any: false }, ONE);
    let workers = [0, 1].map(|_| {
        let worker = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        setsockopt(&worker, sockopt::ReusePort, &true).unwrap();
        nix::sys::socket::bind(worker.as_raw_fd(), &SockaddrStorage::from(at)).unwrap();
        worker
    });
    for worker in &workers {
        captured.listen(ONE, worker.try_clone().unwrap(), 128).unwrap();
    }
    let clients: Vec<_> = (0..40).map(|_| TcpStream::connect(at).unwrap()).collect();
    assert!(workers.iter().all(|worker| waits(worker.as_fd(), 0)), "both get some of {}", clients.len());
}
