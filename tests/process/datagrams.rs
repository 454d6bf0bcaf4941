//! Programs that bind UDP sockets by themselves and know nothing of endless.

use crate::capture::{kill_each, restarts_lose_nothing_at};
use crate::confined::in_container_without;
use crate::support::client::{Loss, uninterrupted};
use crate::support::load::{Kind, Load};
use crate::support::talk::Talk;
use crate::support::{Endless, endless, free_port};
use nix::libc;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

const ECHO: Kind = Kind::Talk(Talk::EchoUdp);

/// Answers every datagram with itself. `OPTION` is set on its sockets, of which each of its processes has one.
const SERVER: &str = "import os, socket, sys
port, workers, option = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for _ in range(workers):
  server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
  if option: server.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
  server.bind(('127.0.0.1', port))
  if workers > 1 and not os.fork(): break
while True:
  text, client = server.recvfrom(99)
  server.sendto(text, client)";

fn loses_nothing(mut endless: Endless, port: &str, generations: RangeInclusive<u32>) {
    endless.ready(1);
    let at: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    restarts_lose_nothing_at(&mut endless, at, ECHO, generations, |_| ());
}

#[test]
fn an_echo_server_loses_no_datagram() {
    let port = free_port();
    let setup = endless("--probation 0.2 --settle 0.2");
    let endless = setup.start_command(&["python3", "-c", SERVER, &port, "1", ""]);
    endless.wait(&format!("listening on udp:127.0.0.1:{port}"));
    loses_nothing(endless, &port, 2..=5);
}

#[test]
fn workers_with_sockets_of_their_own_lose_no_datagram() {
    let port = free_port();
    let setup = endless("--probation 0.2 --settle 0.2 --kill-mode group");
    let endless = setup.start_command(&["python3", "-c", SERVER, &port, "3", "SO_REUSEPORT"]);
    loses_nothing(endless, &port, 2..=4);
}

#[test]
fn an_address_of_the_plan_is_bound_for_datagrams_too() {
    let port = free_port();
    let setup = endless(&format!("-l udp:127.0.0.1:{port} --capture always --probation 0.2 --settle 0.2"));
    let endless = setup.start_command(&["python3", "-c", SERVER, &port, "1", "SO_REUSEADDR"]);
    loses_nothing(endless, &port, 2..=4);
}

#[test]
fn where_pidfd_getfd_is_forbidden_the_log_says_that_a_listener_helps_and_it_does() {
    let port = free_port();
    let Some(setup) = in_container_without(libc::SYS_pidfd_getfd, "--settle 0.2") else { return };
    let mut plain = setup.start_command(&["python3", "-c", SERVER, &port, "1", ""]);
    let at = format!("udp:127.0.0.1:{port}");
    plain.wait_with(&[&format!("{at} is not captured"), &format!("with -l {at} --capture always it is")]);
    assert_eq!(plain.stop(), 0);
    let options = format!("-l {at} --capture always --probation 0.2 --settle 0.2");
    let setup = in_container_without(libc::SYS_pidfd_getfd, &options).unwrap();
    loses_nothing(setup.start_command(&["python3", "-c", SERVER, &port, "1", ""]), &port, 2..=3);
}

#[test]
fn a_busy_datagram_address_is_an_error_of_the_target_as_ever() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut endless = endless("").start_command(&["python3", "-c", SERVER, &port, "1", ""]);
    endless.wait("Address already in use");
    assert_eq!(endless.ended_clean(), 1);
}

#[test]
fn the_datagrams_that_wait_for_a_killed_copy_are_answered_by_its_successor() {
    let port = free_port();
    let setup = endless("--respawn-limit off --settle 0.2");
    let mut endless = setup.start_command(&["python3", "-c", SERVER, &port, "1", ""]);
    let at: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    let copy = endless.ready(1);
    let load = Load::start(at, &[(ECHO, 4)]);
    kill_each(&mut endless, copy, &load, 2..=4);
    let count = load.finish();
    assert_eq!(count.lost_as(Loss::Refused) + count.lost_as(Loss::Unanswered), 0, "{:#?}", endless.said());
    // One may be read and not answered at each kill.
    assert!(count.lost.len() <= 3, "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

/// Serves at one address, and asks from another, which it has connected; tries a third and gives it up.
const CLIENT_TOO: &str = "import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(('127.0.0.1', int(sys.argv[1])))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); client.bind(('127.0.0.1', int(sys.argv[2])))
client.connect(('127.0.0.1', 9)); client.close()
for _ in range(3):
  once = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); once.bind(('127.0.0.1', int(sys.argv[3]))); once.close()
import os
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
while True:
  text, to = server.recvfrom(99)
  if text == b'late':
    late = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); late.bind(('127.0.0.1', int(sys.argv[3])))
    late.close()
  server.sendto(text, to)";

#[test]
fn clients_and_ports_that_were_only_tried_are_let_go() {
    let [port, other, tried] = [free_port(), free_port(), free_port()];
    let setup = endless("--ready notify");
    let mut endless = setup.start_command(&["python3", "-c", CLIENT_TOO, &port, &other, &tried]);
    endless.ready(1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"late", format!("127.0.0.1:{port}")).unwrap();
    assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 4);
    for free in [&other, &tried] {
        UdpSocket::bind(format!("127.0.0.1:{free}")).unwrap();
    }
    endless.restart(2);
    assert_eq!(endless.stop(), 0);
}

/// The first client of a socket has it for himself, and the next client gets another one at the same address.
const ONE_EACH: &str = "import select, socket, sys
at, clients = ('127.0.0.1', int(sys.argv[1])), []
def bound():
  server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
  server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
  server.bind(at)
  return server
server = bound()
while True:
  for ready in select.select([server] + clients, [], [])[0]:
    if ready is server:
      text, client = server.recvfrom(99)
      server.connect(client)
      clients.append(server)
      server = bound()
      clients[-1].send(text)
    else: ready.send(ready.recv(99))";

#[test]
fn a_server_with_a_socket_for_each_client_gets_the_next_ones() {
    let port = free_port();
    let mut endless = endless("--settle 0.2").start_command(&["python3", "-c", ONE_EACH, &port]);
    endless.ready(1);
    for generation in 1..=3 {
        let clients: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for client in clients.iter().chain(&clients) {
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            client.send_to(b"hello", format!("127.0.0.1:{port}")).unwrap();
            assert_eq!(uninterrupted(|| client.recv(&mut [0; 9])).ok(), Some(5), "{generation}: {:#?}", endless.said());
        }
        if generation < 3 {
            endless.restart(generation + 1);
            endless.gone(generation);
        }
    }
    assert_eq!(endless.count(&format!("listening on udp:127.0.0.1:{port}")), 1, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}
