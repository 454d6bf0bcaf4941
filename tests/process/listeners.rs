//! Where endless listens: every kind of address, sockets it was given, addresses that are taken.

use crate::confined::as_nobody;
use crate::support::client::{At, ask_udp, get, greeting, uninterrupted};
use crate::support::{DEADLINE, Endless, Setup, endless, example, processes, until};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrIn, UnixAddr, VsockAddr, accept, bind, connect,
    getsockname, listen, recv, send, setsockopt, socket, sockopt,
};
use nix::unistd::{dup2_raw, geteuid};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The generation that answers there.
#[track_caller]
pub fn generation_at(endless: &Endless, at: impl Into<At>) -> u32 {
    greeting(&get(at, "/").unwrap_or_else(|error| panic!("{error}; {:#?}", endless.said()))).0
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn every_form_of_a_tcp_address_is_served_and_keeps_its_port() {
    let v6 = if has_ipv6() { "[::1]:0" } else { "127.0.0.2:0" };
    let options = format!("-l 127.0.0.1:0 -l {v6} -l localhost:0 -l :0 -l any=*:0 --probation 0");
    let mut endless = endless(&options).start(&[]);
    endless.ready(1);
    let addresses: Vec<SocketAddr> = (0..5).map(|number| endless.address(number)).collect();
    assert_eq!(addresses[2].ip(), Ipv4Addr::LOCALHOST, "IPv4 comes first, as in Go");
    assert_eq!(addresses[3].is_ipv6() && addresses[4].is_ipv6(), has_ipv6());
    let mut reachable = addresses[..3].to_vec();
    for any in &addresses[3..] {
        assert!(any.ip().is_unspecified() && any.port() != 0, "{any}");
        reachable.push((Ipv4Addr::LOCALHOST, any.port()).into());
        if has_ipv6() {
            reachable.push((std::net::Ipv6Addr::LOCALHOST, any.port()).into());
        }
    }
    for generation in 1..=3 {
        if generation > 1 {
            endless.restart(generation);
        }
        for at in &reachable {
            assert_eq!(generation_at(&endless, *at), generation, "{at}");
        }
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn v6only_leaves_ipv4_alone() {
    if !has_ipv6() {
        return;
    }
    let endless = endless("-l [::]:0,v6only=yes -l both=[::]:0,v6only=no").start(&["options"]);
    let pid = endless.ready(1);
    endless.wait_with(&["socket 3:", "v6only=true"]);
    endless.wait_with(&["socket 4:", "v6only=false"]);
    let by_ipv4 = |number| SocketAddr::from((Ipv4Addr::LOCALHOST, endless.address(number).port()));
    // Another server may have the port there.
    assert!(!get(by_ipv4(0), "/").is_ok_and(|text| text.contains(&format!(" {pid}!"))));
    assert_eq!(generation_at(&endless, by_ipv4(1)), 1);
}

#[test]
fn every_datagram_is_answered_and_by_the_generation_that_serves() {
    let mut endless = endless("-l udp:127.0.0.1:0 --ready notify --probation 0").start(&["notify"]);
    endless.ready(1);
    let at = endless.address(0);
    let (end, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (end, answered) = (Arc::clone(&end), Arc::clone(&answered));
            thread::spawn(move || {
                let mut last = 0;
                while !end.load(Ordering::SeqCst) {
                    let generation = ask_udp(at).expect("an answer to every datagram");
                    assert!(generation >= last, "generation {generation} after {last}");
                    last = generation;
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for generation in 2..=6 {
        let enough = answered.load(Ordering::SeqCst) + 50;
        until("more datagrams are answered", || (answered.load(Ordering::SeqCst) >= enough).then_some(()));
        endless.restart(generation);
        assert_eq!(ask_udp(at).unwrap(), generation);
    }
    end.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn unix_sockets_of_every_kind_are_served_over_a_restart() {
    let options = "-l {dir}/stream -l unix-dgram:{dir}/dgram -l unix-seqpacket:{dir}/packets --probation 0";
    let abstract_name = format!("endless-test-{}", std::process::id());
    let mut endless = endless(&format!("{options} -l unix:@{abstract_name}")).start(&[]);
    endless.ready(1);
    endless.wait_with(&["packets", "one socket for all generations"]);
    endless.wait_with(&[&format!("@{abstract_name}"), "one socket for all generations"]);
    for generation in 1..=3 {
        if generation > 1 {
            endless.restart(generation);
            endless.wait(&format!("generation {} is gone", generation - 1));
        }
        assert_eq!(generation_at(&endless, endless.file("stream").as_path()), generation);
        assert_eq!(ask_datagram(&endless.file("dgram"), &endless.file("client")), generation);
        assert_eq!(ask_packet(&endless.file("packets")), generation);
        assert_eq!(ask_abstract(&abstract_name), generation);
    }
    assert_eq!(endless.stop(), 0);
}

fn ask_datagram(at: &Path, own: &Path) -> u32 {
    let client = UnixDatagram::bind(own).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.send_to(b"hello", at).unwrap();
    let mut text = [0u8; 256];
    let length = uninterrupted(|| client.recv(&mut text)).unwrap();
    std::fs::remove_file(own).unwrap();
    String::from_utf8_lossy(&text[..length]).split(' ').next().unwrap().parse().unwrap()
}

fn ask_packet(at: &Path) -> u32 {
    let client = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    connect(client.as_raw_fd(), &UnixAddr::new(at).unwrap()).unwrap();
    send(client.as_raw_fd(), b"GET / HTTP/1.1\r\n\r\n", MsgFlags::empty()).unwrap();
    let mut text = [0u8; 512];
    let length = recv(client.as_raw_fd(), &mut text, MsgFlags::empty()).unwrap();
    greeting(&String::from_utf8_lossy(&text[..length])).0
}

fn ask_abstract(name: &str) -> u32 {
    use std::io::Write;
    let mut stream = UnixStream::connect_addr(&UnixSocketAddr::from_abstract_name(name).unwrap()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    greeting(&crate::support::client::read_answer(&mut stream).unwrap()).0
}

/// Has these sockets from descriptor 3 on.
pub fn with_sockets(setup: Setup, sockets: Vec<OwnedFd>) -> Setup {
    with_sockets_from(3, setup, sockets)
}

fn with_sockets_from(first: i32, setup: Setup, sockets: Vec<OwnedFd>) -> Setup {
    // SAFETY: only dup2(2) is called between fork and exec.
    unsafe {
        setup.pre_exec(move || {
            // Above where they go first, so that none is overwritten before its turn.
            let lifted: Vec<i32> = sockets
                .iter()
                .map(|socket| nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(100)))
                .collect::<Result<_, _>>()?;
            for (number, socket) in (first..).zip(lifted) {
                let placed = dup2_raw(std::os::fd::BorrowedFd::borrow_raw(socket), number)?;
                std::mem::forget(placed);
            }
            Ok(())
        })
    }
}

pub fn listening() -> (OwnedFd, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    (listener.into(), at)
}

#[test]
fn a_descriptor_endless_was_started_with_is_served() {
    let ((first, _), (second, at)) = (listening(), listening());
    let mut endless = with_sockets(endless("-l fd:4 --probation 0"), vec![first, second]).start(&[]);
    endless.wait_with(&["listening on", "one socket for all generations"]);
    endless.ready(1);
    assert_eq!(generation_at(&endless, at), 1);
    let second = endless.restart(2);
    endless.wait("generation 1 is gone");
    assert_eq!(generation_at(&endless, at), 2);
    assert_eq!(processes::environment(second)["LISTEN_FDS"], "1");
    assert_eq!(endless.stop(), 0);
}

/// As a service manager starts it: LISTEN_PID is the pid it has after exec.
pub fn activated(pid: &str, options: &str) -> Setup {
    let shell = format!("LISTEN_PID={pid} exec \"$@\"");
    let setup = Setup::behind(&["sh", "-c", &shell, "sh"], options);
    setup.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "web:admin")
}

#[test]
fn the_sockets_of_a_service_manager_are_listeners() {
    let ((web, web_at), (admin, admin_at)) = (listening(), listening());
    let mut endless = with_sockets(activated("$$", "--probation 0"), vec![web, admin]).start(&[]);
    let first = endless.ready(1);
    let environment = processes::environment(first);
    assert_eq!((environment["LISTEN_FDS"].as_str(), environment["LISTEN_FDNAMES"].as_str()), ("2", "web:admin"));
    assert_eq!(environment["LISTEN_PID"], first.to_string());
    endless.restart(2);
    endless.wait("generation 1 is gone");
    assert_eq!((generation_at(&endless, web_at), generation_at(&endless, admin_at)), (2, 2));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_socket_that_was_announced_and_not_passed_in_is_none() {
    let (web, web_at) = listening();
    // Whoever runs the tests may have left a descriptor of its own there.
    let setup = Setup::behind(&["sh", "-c", "exec 4>&-; LISTEN_PID=$$ exec \"$@\"", "sh"], "");
    let setup = setup.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "web:admin");
    let mut endless = with_sockets(setup, vec![web]).start(&[]);
    let first = endless.ready(1);
    assert_eq!(processes::environment(first)["LISTEN_FDNAMES"], "web");
    assert_eq!(generation_at(&endless, web_at), 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_socket_of_a_service_manager_is_picked_by_its_name() {
    let ((web, _), (admin, admin_at)) = (listening(), listening());
    let mut endless = with_sockets(activated("$$", "-l control=fd:admin"), vec![web, admin]).start(&[]);
    let first = endless.ready(1);
    assert_eq!(processes::environment(first)["LISTEN_FDNAMES"], "control");
    assert_eq!(generation_at(&endless, admin_at), 1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn sockets_meant_for_another_process_are_left_alone() {
    let ((web, _), (admin, _)) = (listening(), listening());
    let mut endless = with_sockets(activated("1", "--ready delay=0"), vec![web, admin]).start(&["fds"]);
    let first = endless.ready(1);
    assert_eq!(endless.count("listening on"), 0);
    let environment = processes::environment(first);
    assert!(!environment.keys().any(|name| name.starts_with("LISTEN_")), "{environment:?}");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_taken_port_names_who_has_it_and_nothing_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let mut second = endless(&format!("-l {{dir}}/first -l {at}")).start(&["print=started"]);
    assert_eq!(second.ended_clean(), 125);
    let said = second.everything().join("\n");
    assert!(said.contains(&format!("-l {at}: the address is in use by ")), "{said}");
    assert!(said.contains(&format!("(pid {})", std::process::id())) && said.contains("hint: "), "{said}");
    assert!(!said.contains("started") && !said.contains("starting"), "{said}");
    assert!(!second.file("first").exists(), "all listeners bind or none");
}

#[test]
fn a_second_endless_at_the_same_address_is_refused_and_the_first_goes_on() {
    let first = endless("-l 127.0.0.1:0 -l udp:127.0.0.1:0 --ready notify").start(&["notify"]);
    first.ready(1);
    for at in [first.address(0).to_string(), format!("udp:{}", first.address(1))] {
        let mut second = endless(&format!("-l {at}")).start(&[]);
        assert_eq!(second.ended_clean(), 125);
        let said = second.everything().join("\n");
        assert!(said.contains(&format!("endless (pid {})", first.pid())), "{said}");
    }
    assert_eq!(first.ask().0, 1);
}

#[test]
fn an_address_of_another_machine_is_an_error_with_a_way_out() {
    let mut endless = endless("-l 192.0.2.1:0").start(&[]);
    assert_eq!(endless.ended_clean(), 125);
    let said = endless.everything().join("\n");
    assert!(said.contains("-l 192.0.2.1:0: cannot bind it") && said.contains("hint: no interface"), "{said}");
}

/// Starts the next generation, unless it is the first, and returns how its lines begin.
fn appears(endless: &mut Endless, generation: u32) -> String {
    if generation == 1 {
        endless.ready(1)
    } else {
        endless.restart(generation)
    };
    format!("target {generation} ")
}

#[test]
fn options_are_on_the_socket_of_every_generation() {
    let options = "-l 127.0.0.1:0,backlog=7,nonblock,rcvbuf=65536 -l plain=127.0.0.1:0 --probation 0";
    let mut endless = endless(options).start(&["options"]);
    let longest: u32 = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    for generation in 1..=2 {
        let target = appears(&mut endless, generation);
        endless.wait_with(&[&target, "socket 3: nonblock=true", "rcvbuf=131072 backlog=7"]);
        endless.wait_with(&[&target, "socket 4: nonblock=false", &format!("backlog={longest}")]);
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_a_transparent_proxy_needs_is_on_the_socket_of_every_generation() {
    if !geteuid().is_root() {
        return;
    }
    let options = "-l 192.0.2.1:0,transparent,mark=0x2a,congestion=reno -l [2001:db8::1]:0,transparent -l plain=127.0.0.1:0 \
                   -l udp:192.0.2.1:0,mark=7,transparent --ready notify --probation 0";
    let mut endless = endless(options).start(&["options", "notify"]);
    for generation in 1..=2 {
        let target = appears(&mut endless, generation);
        endless.wait_with(&[&target, "socket 3: ", "mark=42 transparent=true congestion=reno"]);
        endless.wait_with(&[&target, "socket 4: ", "mark=0 transparent=true"]);
        endless.wait_with(&[&target, "socket 5: ", "mark=0 transparent=false"]);
        endless.wait_with(&[&target, "socket 6: ", "mark=7 transparent=true congestion=-"]);
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_a_user_may_not_set_is_an_error_with_a_way_out_before_anything_starts() {
    for (option, reason, hint) in [
        ("transparent", "cannot set transparent: Operation not permitted", "CAP_NET_ADMIN"),
        ("mark=1", "cannot set mark: Operation not permitted", "CAP_NET_ADMIN"),
        ("congestion=nosuch", "cannot set congestion: No such file", "tcp_available_congestion_control"),
    ] {
        let setup = as_nobody(&format!("-l first=127.0.0.1:0 -l 127.0.0.1:0,{option}"));
        let mut endless = setup.start_command(&["echo", "started"]);
        assert_eq!(endless.ended_clean(), 125);
        let said = endless.everything().join("\n");
        assert!(said.contains(&format!("-l 127.0.0.1:0,{option}: {reason}")) && said.contains("hint: "), "{said}");
        assert!(said.contains(hint) && !said.contains("started"), "{said}");
    }
}

#[test]
fn an_option_that_does_not_fit_is_wrong_use_and_nothing_starts() {
    let mut endless = endless("-l {dir}/first -l 127.0.0.1:0,mode=0600").start(&["print=started"]);
    assert_eq!(endless.ended_clean(), 2);
    let said = endless.everything().join("\n");
    assert!(said.contains("--listen 127.0.0.1:0,mode=0600: the option `mode` does not fit"), "{said}");
    assert!(!said.contains("started") && !endless.file("first").exists(), "{said}");
}

#[test]
fn fd_n_puts_a_listener_there_and_the_others_close_up() {
    let mut endless = endless("-l {dir}/a,fd=9 -l 127.0.0.1:0 -l udp:127.0.0.1:0 --ready accept").start(&[]);
    // The target serves what LISTEN_FDS counts, so it never accepts at 9.
    endless.wait("serves");
    let target = endless.others()[0];
    let sockets: Vec<i32> = processes::open_files(target)
        .into_iter()
        .filter(|(number, to)| *number > 2 && to.starts_with("socket:"))
        .map(|(number, _)| number)
        .collect();
    assert!([3, 4, 9].iter().all(|number| sockets.contains(number)), "{sockets:?}");
    assert_eq!(processes::environment(target)["LISTEN_FDS"], "2");
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_shared_socket_is_said_to_be_one() {
    let mut endless = endless("-l 127.0.0.1:0,share=yes --ready notify --probation 0").start(&["notify"]);
    endless.wait_with(&["listening on", "one socket for all generations: share=yes"]);
    endless.ready(1);
    endless.restart(2);
    endless.wait("generation 1 is gone");
    assert_eq!(endless.ask().0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_stranger_that_joins_the_port_gets_no_connection() {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0").start(&[]);
    endless.ready(1);
    let at = endless.address(0);
    let stranger = join(at);
    for generation in 1..=3 {
        if generation > 1 {
            endless.restart(generation);
        }
        for _ in 0..100 {
            assert_eq!(generation_at(&endless, at), generation);
        }
    }
    assert_eq!(accept(stranger.as_raw_fd()), Err(nix::errno::Errno::EAGAIN));
    assert_eq!(endless.stop(), 0);
    // Not even now, when nobody else listens, has it got one of the old connections.
    assert_eq!(accept(stranger.as_raw_fd()), Err(nix::errno::Errno::EAGAIN));
}

pub fn join(at: SocketAddr) -> OwnedFd {
    let SocketAddr::V4(at) = at else { panic!("{at}") };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stranger = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    setsockopt(&stranger, sockopt::ReusePort, &true).unwrap();
    bind(stranger.as_raw_fd(), &SockaddrIn::from(at)).unwrap();
    listen(&stranger, Backlog::new(16).unwrap()).unwrap();
    stranger
}

#[test]
fn addresses_are_free_again_at_the_end() {
    let mut endless = endless("-l 127.0.0.1:0 -l udp:127.0.0.1:0 -l {dir}/s --ready notify").start(&["notify"]);
    endless.ready(1);
    let (tcp, udp) = (endless.address(0), endless.address(1));
    assert_eq!(endless.stop(), 0);
    until("the TCP port is free", || TcpListener::bind(tcp).ok());
    until("the UDP port is free", || UdpSocket::bind(udp).ok());
    assert_eq!(endless.left(), [""; 0], "no file is left");
}

/// Whether this machine has VM sockets; not every kernel has.
fn has_vsock() -> bool {
    socket(AddressFamily::Vsock, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).is_ok()
}

#[test]
fn a_vm_socket_is_one_for_all_generations() {
    if !has_vsock() {
        return;
    }
    let options = "-l vsock:any:0,backlog=5 --ready notify --probation 0 -e WHERE={addr}";
    let mut endless = endless(options).start(&["notify"]);
    let first = endless.ready(1);
    let line = endless.wait_with(&["listening on vsock:any:", "one socket for all generations: vsock"]);
    let at = line.split_whitespace().find(|word| word.starts_with("vsock:any:")).unwrap().to_owned();
    let inode = |pid| std::fs::read_link(format!("/proc/{pid}/fd/3")).unwrap();
    let socket_of_first = inode(first);
    let second = endless.restart(2);
    assert_eq!(inode(second), socket_of_first);
    let environment = processes::environment(second);
    assert_eq!((environment["LISTEN_FDNAMES"].as_str(), &environment["WHERE"]), ("vsock-any-0", &at));
    assert_eq!(endless.status()["listeners"][0]["address"], at.as_str());
    endless.wait("generation 1 is gone");
    let mut other = crate::support::endless(&format!("-l {at}")).start(&["print=started"]);
    assert_eq!(other.ended_clean(), 125);
    assert!(other.everything().join("\n").contains(&format!("-l {at}: the address is in use")), "{:?}", other.said());
    assert_eq!(endless.stop(), 0);
    // It is free again.
    let mut other = crate::support::endless(&format!("-l {at} --ready notify")).start(&["notify"]);
    other.ready(1);
    assert_eq!(other.stop(), 0);
}

#[test]
fn a_vm_socket_that_was_passed_in_is_called_what_it_is() {
    if !has_vsock() {
        return;
    }
    let listener = socket(AddressFamily::Vsock, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &VsockAddr::new(u32::MAX, u32::MAX)).unwrap();
    listen(&listener, Backlog::new(5).unwrap()).unwrap();
    let port = getsockname::<VsockAddr>(listener.as_raw_fd()).unwrap().port();
    let mut endless = with_sockets(endless("-l fd:3 --ready notify"), vec![listener]).start(&["notify"]);
    endless.ready(1);
    endless.wait_with(&[&format!("listening on vsock:any:{port} (fd-3)"), "passed in"]);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_vm_socket_that_cannot_be_bound_says_why() {
    if !has_vsock() {
        return;
    }
    let mut endless = endless("-l vsock:4000000000:5").start(&["print=started"]);
    assert_eq!(endless.ended_clean(), 125);
    let said = endless.everything().join("\n");
    assert!(said.contains("-l vsock:4000000000:5: cannot bind the VM socket: "), "{said}");
    assert!(said.contains("hint: this machine has another CID: any takes") && !said.contains("started"), "{said}");
    if geteuid().is_root() {
        let mut endless = as_nobody("-l vsock:any:5").start_command(&["echo", "started"]);
        assert_eq!(endless.ended_clean(), 125);
        let said = endless.everything().join("\n");
        assert!(said.contains("cannot bind the VM socket: Permission denied") && said.contains("below 1024"), "{said}");
    }
}

#[test]
fn a_passed_in_socket_is_called_by_its_address() {
    let socket: OwnedFd = TcpListener::bind("127.0.0.1:0").unwrap().into();
    let at = std::net::TcpListener::from(socket.try_clone().unwrap()).local_addr().unwrap();
    let setup = endless("-l fd:3 --pass puma,php-fpm --stop-signal TERM --ready delay=0");
    let mut endless = with_sockets(setup, vec![socket]).start(&["env=PUMA_INHERIT_0", "env=FPM_SOCKETS", "socket=3"]);
    endless.wait(&format!("PUMA_INHERIT_0=3:tcp://{at}"));
    endless.wait(&format!("FPM_SOCKETS={at}=3"));
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_passed_in_path_is_what_a_copy_gets_that_binds_it() {
    let setup = endless("-l fd:3 --capture always --probation 0");
    let path = setup.dir().join("s");
    let socket: OwnedFd = std::os::unix::net::UnixListener::bind(&path).unwrap().into();
    let inode = std::fs::symlink_metadata(&path).unwrap().ino();
    let setup = with_sockets(setup, vec![socket]);
    let mut endless = setup.start_command(&["python3", "-c", crate::claimed::AT_A_PATH, "s"]);
    endless.ready(1);
    endless.restart(2);
    endless.gone(1);
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().ino(), inode);
    assert!(get(path.as_path(), "/").unwrap().contains("Hello, world 2"));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_socket_at_the_standard_input_stays_there() {
    let socket: OwnedFd = TcpListener::bind("127.0.0.1:0").unwrap().into();
    let listens = "test -S /proc/self/fd/0 && exec \"$0\" notify print=there";
    let target = example("target").display().to_string();
    let setup = with_sockets_from(0, endless("-l fd:0 --listen-pid none"), vec![socket]);
    let mut endless = setup.start_command(&["sh", "-c", listens, &target]);
    endless.wait("there");
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}
