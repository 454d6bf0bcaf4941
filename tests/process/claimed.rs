//! Programs that bind an address of `--listen` by themselves: they get their seat there.

use crate::capture::{kill_each, restarts_lose_nothing, restarts_lose_nothing_at};
use crate::confined::in_container_without;
use crate::support::client::{get, greeting};
use crate::support::load::{Kind, Load};
use crate::support::{endless, example, free_port, processes, until};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::geteuid;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

fn bind_itself() -> String {
    example("bind_itself").display().to_string()
}

#[test]
fn python_http_server_binds_every_address_and_gets_the_planned_one() {
    let port = free_port();
    let options = format!("-l localhost:{port} --capture always --probation 1");
    let mut endless = endless(&options).start_command(&["python3", "-m", "http.server", &port]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=4);
}

#[test]
fn a_copy_that_binds_gets_its_seat_where_that_needs_no_rights_taken_away() {
    let at = format!("127.0.0.1:{}", free_port());
    let auto = if geteuid().is_root() { "auto" } else { "always" };
    let options = format!("-l {at} --capture {auto} --probation 1");
    let mut endless = endless(&options).start_command(&[&bind_itself(), &at]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=5);
}

#[test]
fn the_queue_of_a_killed_copy_goes_to_the_next_one() {
    let at = format!("127.0.0.1:{}", free_port());
    let setup = endless(&format!("-l {at} --capture always --respawn-limit off"));
    let mut endless = setup.start_command(&[&bind_itself(), &at]);
    let copy = endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    kill_each(&mut endless, copy, &load, 2..=4);
    let count = load.finish();
    // Those in flight died with their copy; nobody else noticed.
    assert!(count.lost.len() <= 12, "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(count.lost_as(crate::support::client::Loss::Refused), 0, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_listener_for_ipv6_alone_is_none_for_ipv4() {
    let port = free_port();
    for (planned, asked, from) in
        [("[::]", "0.0.0.0", "127.0.0.1"), ("[::]", "127.0.0.1", "127.0.0.1"), ("[::]", "[::]", "[::1]")]
    {
        let options = format!("-l {planned}:{port},v6only=yes --capture always");
        let mut endless = endless(&options).start(&[&format!("bind={asked}:{port}")]);
        endless.wait("serves");
        let at: std::net::SocketAddr = format!("{from}:{port}").parse().unwrap();
        assert!(get(at, "/").unwrap().contains("Hello, world 1"), "{planned} {asked}");
        assert_eq!(endless.stop(), 0);
    }
}

#[test]
fn who_says_that_it_takes_its_sockets_runs_without_a_filter() {
    let filtered = if geteuid().is_root() { "2" } else { "0" };
    for (options, word, mode) in [
        ("", "notify", filtered),
        ("--pass systemd", "notify", "0"),
        ("--capture always --pass systemd", "notify", "2"),
        ("", "print={fd}", "0"),
        ("--capture always --no-expand", "print={fd}", "2"),
    ] {
        let mut endless = endless(&format!("-l 127.0.0.1:0 {options}")).start(&[word]);
        let copy = endless.ready(1);
        assert_eq!(processes::status(copy, "Seccomp").as_deref(), Some(mode), "{options} {word}");
        assert_eq!(endless.stop(), 0);
    }
}

/// A Python server that answers one client after the other, once these lines have made its `server`.
macro_rules! python_server {
    ($made:literal) => {
        concat!(
            "import os, socket, sys\n",
            $made,
            "
answer = 'Hello, world %s %d!' % (os.environ['ENDLESS_GENERATION'], os.getpid())
answer = 'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s' % (len(answer), answer)
while True:
  client = server.accept()[0]
  if client.recv(999): client.sendall(answer.encode())
  client.close()"
        )
    };
}
pub(crate) use python_server;

/// Has its socket in an epoll(7) set before it binds it, as Netty does on Linux.
const POLLED_FIRST: &str = python_server!(
    "import select
server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
polled = select.epoll(); polled.register(server, select.EPOLLIN)
server.bind(('127.0.0.1', int(sys.argv[1]))); server.listen()
accept = server.accept
class Polled:
  def accept(self): polled.poll(); return accept()
server = Polled()"
);

#[test]
fn a_socket_that_is_in_an_epoll_set_already_is_not_replaced() {
    let at: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let port = at.port().to_string();
    let command = ["python3", "-c", POLLED_FIRST, &port];
    let mut endless = endless("--probation 0").start_command(&command);
    kill(endless.ready(1), Signal::SIGKILL).unwrap();
    let second = endless.ready(2);
    until("the successor answers", || Some(greeting(&get(at, "/").ok()?)).filter(|by| *by == (2, second)));
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
    let Some(setup) = in_container_without(libc::SYS_pidfd_getfd, "--probation 0") else { return };
    let mut endless = setup.start_command(&command);
    endless.wait("it has them in an epoll(7) set before it binds them");
    endless.ready(1);
    until("it answers", || Some(greeting(&get(at, "/").ok()?)).filter(|by| by.0 == 1));
    assert_eq!(endless.stop(), 0);
}

/// Binds a path as most servers do: what lies there is removed first, and its mode is set afterwards.
pub const AT_A_PATH: &str = python_server!(
    "if os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o606); server.listen()"
);

#[test]
fn a_path_of_the_plan_is_kept_while_copies_remove_and_bind_it() {
    let options = "-l {dir}/s --capture always --probation 1";
    let mut endless = endless(options).start_command(&["python3", "-c", AT_A_PATH, "s"]);
    endless.ready(1);
    let path = endless.file("s");
    restarts_lose_nothing_at(&mut endless, path.as_path(), Kind::New, 2..=3, |endless| {
        assert_eq!(greeting(&get(path.as_path(), "/").unwrap()).0, 3);
        assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o606);
        assert_eq!(endless.count("back in place"), 0, "{:#?}", endless.said());
    });
    assert_eq!(endless.left(), Vec::<String>::new());
}

#[test]
fn where_pidfd_getfd_is_forbidden_a_copy_gets_its_seat_too() {
    let at = format!("127.0.0.1:{}", free_port());
    let options = |at: &str| format!("-l {at} --capture always --probation 0");
    let Some(setup) = in_container_without(libc::SYS_pidfd_getfd, &options(&at)) else { return };
    let mut endless = setup.start_command(&[&bind_itself(), &at]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=4);
    let setup = in_container_without(libc::SYS_pidfd_getfd, &options("{dir}/s")).unwrap();
    let mut endless = setup.start_command(&["python3", "-c", AT_A_PATH, "s"]);
    endless.ready(1);
    let path = endless.file("s");
    restarts_lose_nothing_at(&mut endless, path.as_path(), Kind::New, 2..=3, |_| ());
}

#[test]
fn the_rights_that_a_listener_asks_for_hold_where_copies_bind_it_by_themselves() {
    let setup = endless("--probation 0 --capture always --config {dir}/config");
    let config = |mode: &str| format!("-l unix:s,mode={mode} -- python3 {} s", setup.dir().join("server.py").display());
    std::fs::write(setup.dir().join("server.py"), AT_A_PATH).unwrap();
    std::fs::write(setup.dir().join("config"), config("0660")).unwrap();
    let (file, tighter) = (setup.dir().join("config"), config("0600"));
    let mut endless = setup.start_command(&[]);
    endless.ready(1);
    std::fs::write(file, tighter).unwrap();
    endless.restart(2);
    assert_eq!(std::fs::symlink_metadata(endless.file("s")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(greeting(&get(endless.file("s").as_path(), "/").unwrap()).0, 2);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_program_for_ipv4_alone_is_told_which_listener_it_can_have() {
    let port = free_port();
    let options = |host: &str| format!("-l {host}:{port} --capture always --probation 0");
    let bind = format!("bind=0.0.0.0:{port}");
    let mut endless = endless(&options("")).start(&[&bind]);
    endless.wait(&format!("-l 0.0.0.0:{port} is what it can have"));
    assert_ne!(endless.ended_clean(), 0);
    let mut endless = crate::support::endless(&options("0.0.0.0")).start(&[&bind]);
    endless.ready(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_listener_at_an_ipv4_address_in_ipv6_is_asked_at_the_candidate_alone() {
    let options = "-l [::ffff:127.0.0.1]:0 --capture never --probation 0 --ready-timeout 8s --ready accept";
    let mut endless = endless(options).start(&["2:deaf"]);
    let first = endless.ready(1);
    endless.signal(nix::sys::signal::Signal::SIGHUP);
    endless.wait("generation 2 failed");
    assert_eq!(endless.ask(), (1, first));
    endless.restart(3);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_copies_do_to_their_path_goes_on_but_for_what_is_asked() {
    if !geteuid().is_root() {
        return;
    }
    let options = "-l unix:s,user=65534 --capture always --probation 0";
    let mut endless = endless(options).start_command(&["python3", "-c", AT_A_PATH, "s"]);
    endless.ready(1);
    endless.restart(2);
    let file = std::fs::symlink_metadata(endless.file("s")).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&file);
    assert_eq!((file.permissions().mode() & 0o777, owner), (0o606, 65534));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn where_pidfd_getfd_is_forbidden_the_listener_it_can_have_is_told_too() {
    let port = free_port();
    let options = format!("-l :{port} --capture always --probation 0");
    let Some(setup) = in_container_without(libc::SYS_pidfd_getfd, &options) else { return };
    let mut endless = setup.start_command(&[&bind_itself(), &format!("0.0.0.0:{port}")]);
    endless.wait(&format!("-l 0.0.0.0:{port} is what it can have"));
    assert_ne!(endless.ended_clean(), 0);
}
