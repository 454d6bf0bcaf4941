use super::*;
use crate::sys::socket::listens;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn clients_wait_before_the_first_generation_has_its_seat() {
    let (mut listeners, notices) = Listeners::bind(&[tcp("127.0.0.1:0")], &[]).unwrap();
    let at = address(&listeners);
    assert!(matches!(&notices[..], [Notice::Listening { address, shared: None, .. }] if *address == at.to_string()));
    let _client = TcpStream::connect(at).unwrap();
    listeners.make_seats(ONE).unwrap();
    accept(seat(&listeners, ONE));
}

#[test]
fn a_new_seat_gets_nothing_until_it_is_steered_to() {
    for place in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let mut listeners = open(tcp(place), &[ONE, TWO]);
        let at = program_reach(address(&listeners));
        goes_to(&listeners, at, ONE, &[TWO]);
        listeners.steer(TWO);
        goes_to(&listeners, at, TWO, &[ONE]);
        listeners.steer(ONE);
        goes_to(&listeners, at, ONE, &[TWO]);
    }
}

#[test]
fn of_many_listeners_a_new_seat_gets_nothing_either_though_their_programs_come_late() {
    let specs: Vec<_> = (0..64).map(|_| tcp("127.0.0.1:0")).collect();
    for completed in [false, true] {
        let (mut listeners, _) = Listeners::bind(&specs, &[]).unwrap();
        listeners.make_seats(ONE).unwrap();
        assert_eq!(listeners.steer(ONE), []);
        if completed {
            assert_eq!(listeners.complete(), []);
        }
        listeners.make_seats(TWO).unwrap();
        let last = listeners.addresses().last().unwrap().address.inet().unwrap();
        let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(last).unwrap()).collect();
        let [first, second] = [ONE, TWO].map(|generation| *listeners.seats(generation).last().unwrap());
        clients.iter().for_each(|_| drop(accept(first)));
        assert!(!waits(second, 0));
    }
}

fn program_reach(at: SocketAddr) -> SocketAddr {
    crate::listener::program::reachable(at)
}

#[test]
fn an_address_without_a_host_takes_both_families() {
    let any = spec(Address::Tcp { at: "[::]:0".parse().unwrap(), any: true }, SocketOptions::default());
    let mut listeners = open(any, &[ONE, TWO]);
    let port = address(&listeners).port();
    for generation in [ONE, TWO] {
        listeners.steer(generation);
        let other = [if generation == ONE { TWO } else { ONE }];
        goes_to(&listeners, SocketAddr::from(([127, 0, 0, 1], port)), generation, &other);
        goes_to(&listeners, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)), generation, &other);
    }
}

#[test]
fn indices_move_when_a_seat_is_shut_or_released() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO, THREE]);
    let at = address(&listeners);
    listeners.steer(THREE);
    listeners.shut(ONE);
    goes_to(&listeners, at, THREE, &[TWO]);
    listeners.release(ONE);
    goes_to(&listeners, at, THREE, &[TWO]);
    listeners.make_seats(GenerationId(4)).unwrap();
    goes_to(&listeners, at, THREE, &[TWO, GenerationId(4)]);
    listeners.release(TWO);
    goes_to(&listeners, at, THREE, &[GenerationId(4)]);
    listeners.steer(GenerationId(4));
    goes_to(&listeners, at, GenerationId(4), &[THREE]);
}

#[test]
fn random_lives_of_seats_keep_the_mirror_right() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    let (mut live, mut next, mut random) = (vec![ONE], 2, 12345u32);
    for _ in 0..150 {
        random = random.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let pick = (random >> 16) as usize;
        match pick % 3 {
            0 if live.len() < 6 => {
                listeners.make_seats(GenerationId(next)).unwrap();
                live.push(GenerationId(next));
                next += 1;
            }
            1 if live.len() > 1 => listeners.release(live.remove(pick / 3 % live.len())),
            2 => {
                let moved = live.remove(pick / 3 % live.len());
                listeners.move_seats(moved, GenerationId(next), false).unwrap();
                live.push(GenerationId(next));
                next += 1;
            }
            _ => {}
        }
        let to = live[pick / 9 % live.len()];
        listeners.steer(to);
        let _client = TcpStream::connect(at).unwrap();
        accept(seat(&listeners, to));
    }
}

#[test]
fn a_seat_its_copy_shut_down_leaves_the_mirror_and_comes_back() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE, TWO, THREE]);
    let at = address(&listeners);
    nix::sys::socket::shutdown(seat(&listeners, ONE).as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    listeners.steer(TWO);
    goes_to(&listeners, at, TWO, &[THREE]);
    listeners.steer(ONE);
    goes_to(&listeners, at, ONE, &[TWO, THREE]);
}

#[test]
fn a_seat_beside_one_its_copy_shut_down_is_steered_when_a_third_comes() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    nix::sys::socket::shutdown(seat(&listeners, ONE).as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    listeners.make_seats(TWO).unwrap();
    listeners.make_seats(THREE).unwrap();
    listeners.steer(TWO);
    goes_to(&listeners, at, TWO, &[THREE]);
    listeners.steer(THREE);
    goes_to(&listeners, at, THREE, &[TWO]);
}

#[test]
fn a_moved_seat_keeps_its_queue_and_is_put_back() {
    let spec = with(tcp("127.0.0.1:0"), |options| options.backlog = Some(7));
    let mut listeners = open(spec, &[ONE]);
    let _waiting = TcpStream::connect(address(&listeners)).unwrap();
    crate::sys::socket::set_nonblocking(&seat(&listeners, ONE), true).unwrap();
    listeners.move_seats(ONE, TWO, false).unwrap();
    assert!(listeners.seats(ONE).is_empty());
    let flags = nix::fcntl::fcntl(seat(&listeners, TWO), nix::fcntl::FcntlArg::F_GETFL).unwrap();
    assert_eq!(flags & nix::libc::O_NONBLOCK, 0);
    accept(seat(&listeners, TWO));
}

#[test]
fn a_moved_seat_that_was_shut_down_listens_again() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    nix::sys::socket::shutdown(seat(&listeners, ONE).as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    listeners.move_seats(ONE, TWO, false).unwrap();
    assert!(listens(&seat(&listeners, TWO)));
    goes_to(&listeners, address(&listeners), TWO, &[]);
}

#[test]
fn seats_made_after_the_last_was_released_are_alone_again() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    listeners.release(ONE);
    assert!(!listeners.has_own_seats(ONE));
    listeners.make_seats(TWO).unwrap();
    listeners.make_seats(THREE).unwrap();
    listeners.steer(TWO);
    goes_to(&listeners, at, TWO, &[THREE]);
    assert!(std::net::TcpListener::bind(at).is_err());
}

#[test]
fn a_stranger_with_the_flag_gets_nothing() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    let strangers = [open_beside(at), open_beside(at)];
    for generation in [TWO, THREE] {
        listeners.make_seats(generation).unwrap();
        goes_to(&listeners, at, GenerationId(generation.0 - 1), &[]);
        listeners.steer(generation);
        goes_to(&listeners, at, generation, &[]);
        assert!(strangers.iter().all(|stranger| !waits(stranger.as_fd(), 0)));
        listeners.release(GenerationId(generation.0 - 1));
        goes_to(&listeners, at, generation, &[]);
    }
    // Their places are filled by those behind them.
    drop(strangers);
    listeners.make_seats(GenerationId(4)).unwrap();
    listeners.steer(GenerationId(4));
    goes_to(&listeners, at, GenerationId(4), &[THREE]);
}

#[test]
fn a_stranger_gets_nothing_while_seats_are_shut_either() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    let strangers = [open_beside(at), open_beside(at)];
    let end = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !end.load(Ordering::SeqCst) {
                    // Refused or reset where its seat is shut before anybody takes it: nobody does here.
                    drop(TcpStream::connect(at));
                }
            });
        }
        for generation in (2..=100).map(GenerationId) {
            listeners.make_seats(generation).unwrap();
            listeners.steer(generation);
            listeners.release(GenerationId(generation.0 - 1));
        }
        end.store(true, Ordering::SeqCst);
    });
    assert!(strangers.iter().all(|stranger| !waits(stranger.as_fd(), 0)));
}

#[test]
fn a_stranger_at_a_udp_port_gets_nothing() {
    use nix::sys::socket::{AddressFamily, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
    let mut listeners = open(udp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    let stranger = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&stranger, sockopt::ReusePort, &true).unwrap();
    bind(stranger.as_raw_fd(), &SockaddrStorage::from(at)).unwrap();
    listeners.make_seats(TWO).unwrap();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for to in [ONE, TWO] {
        listeners.steer(to);
        client.send_to(b"x", at).unwrap();
        assert!(waits(seat(&listeners, to), 1000));
    }
    assert!(!waits(stranger.as_fd(), 0));
}

fn open_beside(at: SocketAddr) -> OwnedFd {
    use nix::sys::socket::{AddressFamily, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
    setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
    bind(socket.as_raw_fd(), &SockaddrStorage::from(at)).unwrap();
    crate::sys::socket::listen(socket.as_fd(), 8).unwrap();
    socket
}

#[test]
fn datagrams_go_where_they_are_steered() {
    let mut listeners = open(udp("127.0.0.1:0"), &[ONE, TWO]);
    let at = address(&listeners);
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (to, other) in [(ONE, TWO), (TWO, ONE), (ONE, TWO)] {
        listeners.steer(to);
        for _ in 0..8 {
            client.send_to(b"x", at).unwrap();
            assert!(waits(seat(&listeners, to), 1000));
            assert_eq!(
                nix::sys::socket::recv(seat(&listeners, to).as_raw_fd(), &mut [0], nix::sys::socket::MsgFlags::empty()),
                Ok(1)
            );
            assert!(!waits(seat(&listeners, other), 0));
        }
    }
    listeners.make_seats(THREE).unwrap();
    listeners.steer(THREE);
    listeners.release(ONE);
    client.send_to(b"x", at).unwrap();
    assert!(waits(seat(&listeners, THREE), 1000));
    assert!(!waits(seat(&listeners, TWO), 0));
}

#[test]
fn a_busy_udp_port_is_an_error_even_where_its_holder_would_share() {
    use nix::sys::socket::{AddressFamily, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt};
    let holder = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&holder, sockopt::ReusePort, &true).unwrap();
    bind(holder.as_raw_fd(), &SockaddrStorage::from("127.0.0.1:0".parse::<SocketAddr>().unwrap())).unwrap();
    let at = crate::listener::inet::local_address(&holder).unwrap();
    let error = Listeners::bind(&[udp(&at.to_string())], &[]).unwrap_err();
    assert!(error.to_string().contains("in use by"), "{error}");
}

#[test]
fn many_listeners_at_once() {
    let specs: Vec<_> = (0..100).map(|_| tcp("127.0.0.1:0")).collect();
    let (mut listeners, notices) = Listeners::bind(&specs, &[]).unwrap();
    assert_eq!(notices.len(), 1);
    listeners.make_seats(ONE).unwrap();
    listeners.make_seats(TWO).unwrap();
    listeners.steer(TWO);
    assert_eq!(listeners.seats(TWO).len(), 100);
    for (bound, seat) in listeners.addresses().zip(listeners.seats(TWO)) {
        let _client = TcpStream::connect(bound.address.inet().unwrap()).unwrap();
        accept(seat);
    }
}

#[test]
fn a_stranger_that_is_bound_to_another_interface_is_in_another_group() {
    let mut listeners = open(tcp("127.0.0.1:0"), &[ONE]);
    let at = address(&listeners);
    let stranger = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    nix::sys::socket::setsockopt(&stranger, nix::sys::socket::sockopt::ReusePort, &true).unwrap();
    let elsewhere = 12_345;
    crate::sys::socket::set_option(stranger.as_fd(), nix::libc::SOL_SOCKET, nix::libc::SO_BINDTOIFINDEX, elsewhere)
        .unwrap();
    nix::sys::socket::bind(stranger.as_raw_fd(), &nix::sys::socket::SockaddrStorage::from(at)).unwrap();
    nix::sys::socket::listen(&stranger, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
    listeners.make_seats(TWO).unwrap();
    listeners.steer(TWO);
    for _ in 0..20 {
        goes_to(&listeners, at, TWO, &[ONE]);
    }
}
