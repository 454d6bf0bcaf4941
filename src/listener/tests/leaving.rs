//! Seats that leave their group while clients come without a pause.

use super::*;
use crate::listener::census::Census;
use crate::listener::inet::{Place, Transport};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// Ends the clients of a test, which would go on for ever should it panic.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

const CLIENTS: usize = 3;

/// So many datagrams are under way at most: they fit into any seat's buffer.
const AT_ONCE: u32 = 64;

/// Clients that send datagrams, each with the number of the generation that served right before.
#[derive(Default)]
struct Senders {
    end: AtomicBool,
    serving: AtomicU32,
    sent: AtomicU32,
    taken: AtomicU32,
    strays: AtomicU32,
    /// For each client the generation that served when it began to send; the greatest number while it does not.
    sending: [AtomicU32; CLIENTS],
}

impl Senders {
    fn send(&self, number: usize, at: SocketAddr) {
        let client = UdpSocket::bind((at.ip(), 0)).unwrap();
        while !self.end.load(SeqCst) {
            if self.sent.load(SeqCst) < self.taken.load(SeqCst) + AT_ONCE {
                self.sent.fetch_add(1, SeqCst);
                self.sending[number].store(0, SeqCst);
                let serving = self.serving.load(SeqCst);
                self.sending[number].store(serving, SeqCst);
                client.send_to(&serving.to_le_bytes(), at).unwrap();
                self.sending[number].store(u32::MAX, SeqCst);
            }
        }
    }

    /// Waits until nobody sends who began while a generation served: where the machine takes the processor away after the
    /// kernel has found the seat, a datagram gets there later. Restarts in earnest are a hundred times slower than these.
    fn wait_for(&self, generation: GenerationId) {
        while self.sending.iter().any(|serving| serving.load(SeqCst) <= generation.0) {
            std::thread::yield_now();
        }
    }

    /// Takes what waits at the seats of these generations.
    fn take(&self, listeners: &Listeners, generations: impl Iterator<Item = GenerationId>) {
        for generation in generations {
            let seat = seat(listeners, generation).as_raw_fd();
            let mut word = [0; 4];
            while nix::sys::socket::recv(seat, &mut word, nix::sys::socket::MsgFlags::MSG_DONTWAIT).is_ok() {
                self.taken.fetch_add(1, SeqCst);
                self.strays.fetch_add(u32::from(u32::from_le_bytes(word) > generation.0), SeqCst);
            }
        }
    }
}

#[test]
fn no_datagram_goes_astray_while_seats_leave() {
    let v6 = if has_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    for place in ["127.0.0.1:0", "0.0.0.0:0", v6] {
        let mut listeners = open(udp(place), &[ONE, TWO, THREE]);
        let at = crate::listener::program::reachable(address(&listeners));
        listeners.steer(THREE);
        let senders = Senders { serving: AtomicU32::new(3), ..Senders::default() };
        senders.sending.iter().for_each(|one| one.store(u32::MAX, SeqCst));
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let senders = &senders;
                scope.spawn(move || senders.send(number, at));
            }
            let _until = Until(&senders.end);
            for next in 4..400 {
                senders.wait_for(GenerationId(next - 3));
                senders.take(&listeners, (next - 3..next).map(GenerationId));
                listeners.release(GenerationId(next - 3));
                listeners.make_seats(GenerationId(next)).unwrap();
                listeners.steer(GenerationId(next));
                senders.serving.store(next, SeqCst);
            }
        });
        // What was sent last may be under way, but only to the one that serves.
        senders.take(&listeners, (397..400).map(GenerationId));
        let last = GenerationId(399);
        while senders.taken.load(SeqCst) < senders.sent.load(SeqCst) && waits(seat(&listeners, last), 5000) {
            senders.take(&listeners, std::iter::once(last));
        }
        assert_eq!(senders.strays.load(SeqCst), 0, "{place}: went to a generation that had been replaced");
        // The kernel finds a seat and then asks for its group. With IPv6 it finds the oldest seat first, the one that leaves,
        // and between the two it may have left: once in some ten thousand leavings on a busy machine.
        let lost = senders.sent.load(SeqCst) - senders.taken.load(SeqCst);
        assert!(lost <= if at.is_ipv4() { 0 } else { 2 }, "{place}: {lost} lost");
    }
}

/// How many sockets are bound to the address of the only listener.
fn members(listeners: &Listeners) -> usize {
    let place = Place { transport: Transport::Udp, at: address(listeners), any: false };
    Census::take(std::iter::once(place)).members(place, 0).unwrap()
}

#[test]
fn a_seat_for_datagrams_is_closed_as_soon_as_that_moves_nobody_who_serves() {
    let mut listeners = open(udp("127.0.0.1:0"), &[ONE, TWO, THREE]);
    let four = GenerationId(4);
    listeners.steer(THREE);
    listeners.release(ONE);
    listeners.release(TWO);
    assert_eq!(members(&listeners), 3);
    assert!(listeners.seats(ONE).is_empty() && listeners.seats(TWO).is_empty());
    listeners.make_seats(four).unwrap();
    assert_eq!(members(&listeners), 3, "one place for the new one, one that it has to wait for");
    listeners.steer(four);
    assert_eq!(members(&listeners), 2);
    listeners.release(THREE);
    assert_eq!(members(&listeners), 1);
}

#[test]
fn no_seat_for_datagrams_stays_where_nobody_serves() {
    let mut listeners = open(udp("127.0.0.1:0"), &[ONE, TWO, THREE]);
    listeners.steer(THREE);
    listeners.release(ONE);
    listeners.release(THREE);
    assert_eq!(members(&listeners), 1);
    listeners.steer(TWO);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address(&listeners)).unwrap();
    assert!(waits(seat(&listeners, TWO), 1000));
}

#[test]
fn a_released_seat_for_datagrams_gets_none_though_a_process_that_lives_on_has_it() {
    let mut listeners = open(udp("127.0.0.1:0"), &[ONE, TWO]);
    let kept = seat(&listeners, ONE).try_clone_to_owned().unwrap();
    listeners.steer(TWO);
    listeners.release(ONE);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for generation in [TWO, THREE] {
        client.send_to(b"x", address(&listeners)).unwrap();
        assert!(waits(seat(&listeners, generation), 1000), "{generation}");
        listeners.make_seats(GenerationId(generation.0 + 1)).unwrap();
        listeners.steer(THREE);
    }
    assert!(!waits(kept.as_fd(), 0));
}

/// A client that connects again and again, and sends the generation that served right before each time.
fn connect_again_and_again(at: SocketAddr, serving: &AtomicU32, end: &AtomicBool) {
    while !end.load(SeqCst) {
        let begun = serving.load(SeqCst);
        // A SYN that is dropped is sent again after a second; this asks sooner.
        if let Ok(mut stream) = TcpStream::connect_timeout(&at, Duration::from_millis(100)) {
            stream.write_all(&begun.to_le_bytes()).ok();
        }
    }
}

/// Those who wait at a generation's seat.
fn clients(listeners: &Listeners, of: GenerationId) -> impl Iterator<Item = TcpStream> {
    let seat = seat(listeners, of);
    std::iter::from_fn(move || (crate::sys::socket::accept_queue(seat).unwrap() > 0).then(|| accept(seat)))
}

/// Whether a client began to connect after this generation had been replaced. Not every one that comes then did: where the
/// processors are busy, the kernel lets a handshake wait half done. One that came through a full queue may have given up by
/// then, and says nothing any more.
fn is_stray(mut client: TcpStream, of: GenerationId) -> bool {
    client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut begun = [0; 4];
    client.read_exact(&mut begun).is_ok() && u32::from_le_bytes(begun) > of.0
}

#[test]
fn nobody_comes_to_a_stopped_seat_while_another_one_is_shut() {
    // A short queue: while the clients have a processor and this test has none, they would fill a long one.
    let spec = with(tcp("127.0.0.1:0"), |options| options.backlog = Some(256));
    let mut listeners = open(spec, &[ONE, TWO, THREE]);
    let at = address(&listeners);
    listeners.steer(THREE);
    let (end, serving) = (AtomicBool::new(false), AtomicU32::new(3));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| connect_again_and_again(at, &serving, &end));
        }
        let _until = Until(&end);
        let mut strays = 0;
        for next in 4..300 {
            let [oldest, stopped, before] = [3, 2, 1].map(|back| GenerationId(next - back));
            listeners.shut(oldest);
            strays += clients(&listeners, stopped).map(|client| usize::from(is_stray(client, stopped))).sum::<usize>();
            listeners.release(oldest);
            listeners.make_seats(GenerationId(next)).unwrap();
            listeners.steer(GenerationId(next));
            serving.store(next, SeqCst);
            clients(&listeners, before).for_each(drop);
        }
        assert_eq!(strays, 0);
    });
}
