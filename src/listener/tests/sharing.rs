use super::*;
use crate::plan::InheritedRef;
use std::os::unix::net::UnixListener;

fn passed(number: i32, options: SocketOptions) -> ListenerSpec {
    spec(Address::Inherited(InheritedRef::Number(number)), options)
}

#[test]
fn share_yes_is_one_socket_for_all() {
    let spec = with(tcp("127.0.0.1:0"), |options| options.share = true);
    let (mut listeners, notices) = Listeners::bind(&[spec], &[]).unwrap();
    assert!(matches!(&notices[..], [Notice::Listening { shared: Some(why), .. }] if why == "share=yes"));
    listeners.make_seats(ONE).unwrap();
    listeners.make_seats(TWO).unwrap();
    assert!(!listeners.has_own_seats(ONE));
    listeners.steer(TWO);
    listeners.shut(ONE);
    listeners.release(ONE);
    goes_to(&listeners, address(&listeners), TWO, &[]);
    crate::sys::socket::set_nonblocking(&seat(&listeners, TWO), true).unwrap();
    nix::sys::socket::shutdown(seat(&listeners, TWO).as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    listeners.reset_shared();
    let flags = nix::fcntl::fcntl(seat(&listeners, TWO), nix::fcntl::FcntlArg::F_GETFL).unwrap();
    assert_eq!(flags & nix::libc::O_NONBLOCK, 0);
    goes_to(&listeners, address(&listeners), TWO, &[]);
}

#[test]
fn an_inherited_socket_is_adopted_as_it_is() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let at = socket.local_addr().unwrap();
    let (mut listeners, _) = Listeners::bind(&[passed(socket.as_raw_fd(), SocketOptions::default())], &[]).unwrap();
    assert_eq!(address(&listeners), at);
    listeners.make_seats(ONE).unwrap();
    listeners.shut(ONE);
    listeners.release(ONE);
    listeners.reset_shared();
    let flags = nix::fcntl::fcntl(seat(&listeners, ONE), nix::fcntl::FcntlArg::F_GETFL).unwrap();
    assert_ne!(flags & nix::libc::O_NONBLOCK, 0);
    goes_to(&listeners, at, ONE, &[]);
    listeners.close();
    TcpStream::connect(at).unwrap();
}

#[test]
fn an_inherited_socket_that_is_to_block_blocks() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let options = SocketOptions { nonblock: Some(false), ..SocketOptions::default() };
    let (listeners, _) = Listeners::bind(&[passed(socket.as_raw_fd(), options)], &[]).unwrap();
    let blocks = || !crate::sys::socket::is_nonblocking(&seat(&listeners, ONE));
    assert!(blocks());
    crate::sys::socket::set_nonblocking(&seat(&listeners, ONE), true).unwrap();
    listeners.reset_shared();
    assert!(blocks());
}

#[test]
fn an_inherited_socket_is_found_by_name_and_its_path_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = UnixListener::bind(&path).unwrap();
    let named = spec(Address::Inherited(InheritedRef::Name("web".into())), SocketOptions::default());
    let list = [Inherited { number: socket.as_raw_fd(), name: Some("web".into()) }];
    let (listeners, _) = Listeners::bind(std::slice::from_ref(&named), &list).unwrap();
    let bound = listeners.addresses().next().unwrap();
    assert_eq!(bound.address, BoundAddress::Path { kind: UnixKind::Stream, path: path.clone() });
    listeners.close();
    assert!(path.exists());
    assert_eq!(Listeners::bind(&[named], &[]).unwrap_err().problem, Problem::NotPassed("web".into()));
}

#[test]
fn what_is_no_listening_socket_is_not_adopted() {
    let file = tempfile::tempfile().unwrap();
    let adopted = |number| Listeners::bind(&[passed(number, SocketOptions::default())], &[]).unwrap_err().problem;
    assert_eq!(adopted(file.as_raw_fd()), Problem::NoSocket(file.as_raw_fd()));
    assert_eq!(adopted(9999), Problem::NotOpen(9999));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(adopted(client.as_raw_fd()), Problem::NotListening(client.as_raw_fd()));
}

#[test]
fn udp_adopted_needs_not_listen() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (listeners, _) = Listeners::bind(&[passed(socket.as_raw_fd(), SocketOptions::default())], &[]).unwrap();
    let bound = &listeners.addresses().next().unwrap().address;
    assert_eq!(*bound, BoundAddress::Udp(socket.local_addr().unwrap()));
}

#[test]
fn too_many_listeners_for_two_sets_of_seats_share_and_say_so_once() {
    let specs: Vec<_> = (0..100).map(|_| tcp("127.0.0.1:0")).collect();
    let (mut listeners, notices) = Listeners::bind_within(&specs, &[], 263).unwrap();
    assert_eq!(notices.len(), 2, "{notices:?}");
    listeners.make_seats(ONE).unwrap();
    listeners.make_seats(TWO).unwrap();
    assert!(!listeners.has_own_seats(TWO));
    assert_eq!(listeners.seats(TWO).len(), 100);
    let (listeners, notices) = Listeners::bind_within(&specs, &[], 264).unwrap();
    assert!(listeners.seats(ONE).is_empty());
    assert_eq!(notices.len(), 1);
}

#[test]
fn of_many_listeners_it_is_said_how_many_are_shared() {
    let at = || Address::Tcp { at: "127.0.0.1:0".parse().unwrap(), any: false };
    let of = |share| spec(at(), SocketOptions { share, ..SocketOptions::default() });
    let specs: Vec<_> = (0..40).map(|number| of(number < 30)).collect();
    let (_listeners, notices) = Listeners::bind(&specs, &[]).unwrap();
    assert!(format!("{notices:?}").contains("one socket at 30 of them: share=yes"), "{notices:?}");
}
