//! Tests with real sockets on loopback and in temporary directories.

mod capturing;
mod changing;
mod draining;
mod errors;
mod leaving;
mod paths;
mod probing;
mod sharing;
mod steering;

use super::*;
use crate::notice::Notice;
use crate::plan::{Address, ListenerSpec, SocketOptions, UnixKind, UnixName};
use crate::words::GenerationId;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::SockFlag;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

const ONE: GenerationId = GenerationId(1);
const TWO: GenerationId = GenerationId(2);
const THREE: GenerationId = GenerationId(3);

fn spec(address: Address, options: SocketOptions) -> ListenerSpec {
    let typed = format!("{address:?}");
    let flag = format!("web={typed}").into();
    ListenerSpec { name: "web".into(), flag, typed: typed.into(), address, options: options.into() }
}

fn tcp(at: &str) -> ListenerSpec {
    spec(Address::Tcp { at: at.parse().unwrap(), any: false }, SocketOptions::default())
}

fn udp(at: &str) -> ListenerSpec {
    spec(Address::Udp { at: at.parse().unwrap(), any: false }, SocketOptions::default())
}

fn unix(kind: UnixKind, path: &Path) -> ListenerSpec {
    spec(Address::Unix { kind, name: UnixName::Path(path.to_owned()) }, SocketOptions::default())
}

fn with(mut spec: ListenerSpec, change: impl FnOnce(&mut SocketOptions)) -> ListenerSpec {
    change(Rc::make_mut(&mut spec.options));
    spec
}

/// One listener with the seats of these generations, steered to the first.
fn open(spec: ListenerSpec, generations: &[GenerationId]) -> Listeners {
    let (mut listeners, _) = Listeners::bind(&[spec], &[]).unwrap();
    for generation in generations {
        listeners.make_seats(*generation).unwrap();
    }
    assert_eq!(listeners.steer(generations[0]), []);
    listeners
}

fn address(listeners: &Listeners) -> SocketAddr {
    listeners.addresses().next().unwrap().address.inet().unwrap()
}

/// Something to read or accept within this many milliseconds.
fn waits(socket: BorrowedFd<'_>, milliseconds: u16) -> bool {
    let mut set = [PollFd::new(socket, PollFlags::POLLIN)];
    poll(&mut set, PollTimeout::from(milliseconds)).unwrap() == 1
        && set[0].revents().unwrap().contains(PollFlags::POLLIN)
}

fn seat(listeners: &Listeners, generation: GenerationId) -> BorrowedFd<'_> {
    listeners.seats(generation)[0]
}

/// Accepts as a copy would, on the descriptor it was given.
fn accept(socket: BorrowedFd<'_>) -> TcpStream {
    assert!(waits(socket, 2000), "nobody to accept");
    TcpListener::from(socket.try_clone_to_owned().unwrap()).accept().unwrap().0
}

/// Connects and checks that this generation, and none of the others, gets the connection.
fn goes_to(listeners: &Listeners, at: SocketAddr, generation: GenerationId, others: &[GenerationId]) {
    for _ in 0..8 {
        let mut client = TcpStream::connect(at).unwrap();
        let mut server = accept(seat(listeners, generation));
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        for other in others {
            assert!(!waits(seat(listeners, *other), 0), "{other} got one");
        }
    }
}
