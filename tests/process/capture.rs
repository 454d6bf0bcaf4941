//! Programs that bind by themselves and know nothing of endless.

use crate::claimed::{AT_A_PATH, python_server};
use crate::support::client::{At, Loss, connect, get, greeting, request};
use crate::support::load::{Kind, Load};
use crate::support::talk::Talk;
use crate::support::{Endless, Setup, endless, example, free_port, processes, until};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::accept;
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Restarts under load from here to there; nothing may be lost.
#[track_caller]
pub fn restarts_lose_nothing(endless: &mut Endless, kind: Kind, generations: std::ops::RangeInclusive<u32>) {
    endless.wait_with(&["is ready", "it accepted a connection"]);
    let at = endless.address(0);
    restarts_lose_nothing_at(endless, at, kind, generations, |_| ());
}

/// The same at another kind of address; `before_the_end` looks at what came of it.
#[track_caller]
pub fn restarts_lose_nothing_at(
    endless: &mut Endless,
    at: impl Into<At>,
    kind: Kind,
    generations: std::ops::RangeInclusive<u32>,
    before_the_end: impl FnOnce(&Endless),
) {
    let load = Load::start(at, &[(kind, 4)]);
    for generation in generations {
        load.wait_for_more(50);
        endless.restart(generation);
        endless.wait(&format!("generation {} is gone", generation - 1));
    }
    load.wait_for_more(50);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    before_the_end(endless);
    assert_eq!(endless.stop(), 0);
}

/// Kills the only copy under load, and each one that takes its place: those become these generations.
#[track_caller]
pub fn kill_each(endless: &mut Endless, mut copy: Pid, load: &Load, generations: std::ops::RangeInclusive<u32>) {
    for generation in generations {
        load.wait_for_more(50);
        kill(copy, Signal::SIGKILL).unwrap();
        copy = endless.ready(generation);
    }
    load.wait_for_more(50);
}

#[test]
fn a_program_that_binds_by_itself_loses_nothing() {
    let bind_itself = example("bind_itself").display().to_string();
    let mut endless = endless("--probation 1").start_command(&[&bind_itself, &format!("127.0.0.1:{}", free_port())]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=6);
}

#[test]
fn python_http_server_loses_nothing() {
    let command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", &free_port()];
    let mut endless = endless("--probation 1").start_command(&command);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=4);
}

pub const NODE: &str = "require('http').createServer((_, to) => to.end('hello')).listen(+process.argv[1], '127.0.0.1')";

#[test]
fn node_loses_nothing() {
    let mut endless = endless("--probation 1").start_command(&["node", "-e", NODE, &free_port()]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=4);
}

#[test]
fn a_node_cluster_loses_nothing() {
    let server = "const cluster = require('cluster');
        if (cluster.isPrimary) { cluster.fork(); cluster.fork(); process.on('SIGTERM', () => process.exit(0)); }
        else require('http').createServer((_, to) => to.end('hello')).listen(+process.argv[1], '127.0.0.1')";
    let mut endless = endless("--probation 1").start_command(&["node", "-e", server, &free_port()]);
    restarts_lose_nothing(&mut endless, Kind::New, 2..=4);
}

/// nginx with two workers and this line for its listener.
pub fn nginx(setup: Setup, listen: &str) -> Endless {
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|one| format!("{one}_temp_path {one}; "));
    let configuration = format!(
        "daemon off; user root; worker_processes 2; pid nginx.pid; error_log stderr; events {{ }}
        http {{ access_log off; {} server {{ {listen} location / {{ return 200 hello; }} }} }}",
        places.concat()
    );
    std::fs::write(setup.dir().join("nginx.conf"), configuration).unwrap();
    setup.start_command(&["nginx", "-e", "stderr", "-p", "{dir}", "-c", "{dir}/nginx.conf"])
}

#[test]
fn nginx_loses_nothing() {
    let mut endless = nginx(endless("--probation 1"), &format!("listen 127.0.0.1:{};", free_port()));
    restarts_lose_nothing(&mut endless, Kind::New, 2..=5);
}

#[test]
fn nginx_with_a_socket_for_each_worker_loses_nothing() {
    let mut endless = nginx(endless("--probation 1"), &format!("listen 127.0.0.1:{} reuseport;", free_port()));
    restarts_lose_nothing(&mut endless, Kind::New, 2..=5);
}

#[test]
fn redis_loses_nothing() {
    let port = free_port();
    let command = ["redis-server", "--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let mut endless = endless("--probation 1").start_command(&command);
    restarts_lose_nothing(&mut endless, Kind::Talk(Talk::Redis), 2..=4);
}

/// A Go program, built without the C library: nothing but system calls to take hold of.
pub fn go_server(dir: &Path) -> String {
    let source = dir.join("server.go");
    let text = r#"package main
import ("net/http"; "os")
func main() {
    http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("hello")) })
    panic(http.ListenAndServe(os.Args[1], nil))
}"#;
    std::fs::write(&source, text).unwrap();
    let binary = dir.join("server").display().to_string();
    let mut build = std::process::Command::new("go");
    build.args(["build", "-o", &binary]).arg(&source).env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    build.env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache"));
    assert!(build.status().unwrap().success());
    binary
}

#[test]
fn a_static_go_server_loses_nothing_on_one_address_and_on_all() {
    for host in ["127.0.0.1", ""] {
        let setup = endless("--probation 1");
        let server = go_server(setup.dir());
        let mut endless = setup.start_command(&[&server, &format!("{host}:{}", free_port())]);
        restarts_lose_nothing(&mut endless, Kind::New, 2..=5);
    }
}

#[test]
fn when_the_only_copy_is_killed_nobody_is_refused() {
    let bind_itself = example("bind_itself").display().to_string();
    let setup = endless("--respawn-limit off");
    let mut endless = setup.start_command(&[&bind_itself, &format!("127.0.0.1:{}", free_port())]);
    let copy = endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    kill_each(&mut endless, copy, &load, 2..=5);
    let count = load.finish();
    assert_eq!(count.lost_as(Loss::Refused), 0, "of {}; {:#?}", count.answered, endless.said());
    assert!(count.lost.len() <= 16, "more than was in flight: {:?}", count.lost);
    assert_eq!(endless.stop(), 0);
}

/// The second generation binds when there is something to read in `go`.
fn killed_while_the_next_one_starts(command: &[&str], at: impl FnOnce(&Endless) -> At) {
    let setup = endless("");
    nix::unistd::mkfifo(&setup.dir().join("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = "[ $ENDLESS_GENERATION != 2 ] || read line < go; exec \"$@\"";
    let mut endless = setup.start_command(&[&["sh", "-c", script, "sh"], command].concat());
    let first = endless.ready(1);
    let at = at(&endless);
    endless.signal(Signal::SIGHUP);
    endless.wait("starting generation 2");
    kill(first, Signal::SIGKILL).unwrap();
    endless.gone(1);
    let mut client = connect(at.clone()).expect("not refused");
    let asked = std::thread::spawn(move || request(&mut client, "/"));
    std::fs::write(endless.file("go"), "go\n").unwrap();
    let second = endless.ready(2);
    assert_eq!(greeting(&asked.join().unwrap().unwrap()), (2, second));
    assert_eq!(greeting(&get(at, "/").unwrap()), (2, second));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn what_a_copy_killed_during_a_restart_had_bound_waits_for_the_candidate() {
    let address = format!("127.0.0.1:{}", free_port());
    let bind_itself = example("bind_itself").display().to_string();
    killed_while_the_next_one_starts(&[&bind_itself, &address], |endless| At::Tcp(endless.address(0)));
    killed_while_the_next_one_starts(&["python3", "-c", AT_A_PATH, "s"], |endless| At::Unix(endless.file("s")));
}

#[test]
fn a_copy_that_fails_leaves_the_old_one_and_its_address_alone() {
    let bind_itself = example("bind_itself").display().to_string();
    let script = "[ $ENDLESS_GENERATION != 2 ] || exit 3; exec \"$0\" \"$1\"";
    let command = ["sh", "-c", script, &bind_itself, &format!("127.0.0.1:{}", free_port())];
    let mut endless = endless("--probation 1").start_command(&command);
    let first = endless.ready(1);
    endless.signal(Signal::SIGHUP);
    endless.wait("generation 2 failed: it ended before it was ready (exit status 3)");
    assert_eq!(endless.ask(), (1, first));
    let third = endless.restart(3);
    endless.wait("generation 1 is gone");
    assert_eq!(endless.ask(), (3, third));
    assert_eq!(endless.stop(), 0);
}

#[test]
fn without_capture_there_is_no_filter() {
    let bind_itself = example("bind_itself").display().to_string();
    for (when, mode) in [("always", "2"), ("never", "0")] {
        let at = format!("127.0.0.1:{}", free_port());
        let mut endless = endless(&format!("--capture {when} --ready tcp={at}")).start_command(&[&bind_itself, &at]);
        let copy = endless.ready(1);
        assert_eq!(processes::status(copy, "Seccomp").as_deref(), Some(mode), "--capture {when}");
        assert_eq!(endless.stop(), 0);
    }
}

#[test]
fn a_captured_copy_that_outlives_endless_goes_on_serving() {
    let bind_itself = example("bind_itself").display().to_string();
    let setup = endless("--orphans keep --probation 0");
    let mut endless = setup.start_command(&[&bind_itself, &format!("127.0.0.1:{}", free_port())]);
    endless.ready(1);
    let at = endless.address(0);
    let copy = endless.restart(2);
    endless.gone(1);
    endless.signal(Signal::SIGKILL);
    endless.ended();
    for _ in 0..10 {
        assert_eq!(greeting(&get(at, "/").unwrap()), (2, copy));
    }
}

#[test]
fn a_busy_address_is_an_error_of_the_target_as_ever() {
    let bind_itself = example("bind_itself").display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut endless = endless("").start_command(&[&bind_itself, &taken.local_addr().unwrap().to_string()]);
    endless.wait("Address already in use");
    assert_eq!(endless.ended_clean(), 1);
}

/// A program whose sockets are MPTCP's, as those of Go are from 1.24 on. None where the kernel has none.
fn multipath(options: &str, host: &str) -> Option<Endless> {
    let server = python_server!(
        "family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_STREAM, 262); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], int(sys.argv[2]))); server.listen(99)"
    );
    // Linux has it from 5.6 on, unless it was built, or is set up, without.
    let there = std::fs::read_to_string("/proc/sys/net/mptcp/enabled").is_ok_and(|on| on.trim() == "1");
    there.then(|| endless(options).start_command(&["python3", "-c", server, host, &free_port()]))
}

#[test]
fn an_mptcp_server_loses_nothing() {
    for host in ["127.0.0.1", "::"] {
        let Some(mut endless) = multipath("--probation 0", host) else { return };
        restarts_lose_nothing(&mut endless, Kind::New, 2..=6);
        assert_eq!(endless.count("cannot steer"), 0, "{:#?}", endless.said());
    }
}

#[test]
fn when_the_only_copy_of_an_mptcp_server_is_killed_nobody_is_refused() {
    let Some(mut endless) = multipath("--respawn-limit off", "127.0.0.1") else { return };
    let copy = endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    kill_each(&mut endless, copy, &load, 2..=4);
    let count = load.finish();
    assert_eq!(count.lost_as(Loss::Refused), 0, "of {}; {:#?}", count.answered, endless.said());
    assert!(count.lost.len() <= 3, "more than was in flight: {:?}", count.lost);
    assert_eq!(endless.stop(), 0);
}

/// The names beside a Unix path that are nobody's but endless' own.
fn private_names(endless: &Endless) -> Vec<String> {
    endless.left().into_iter().filter(|name| name.contains(".endless-")).collect()
}

#[track_caller]
fn restarts_lose_nothing_at_a_path(mut endless: Endless) {
    endless.ready(1);
    // On a machine that is busy enough, a guess comes before a slow server listens; and the line that it listens comes when it
    // is about to, for at a Unix path it is the copy's own call that does it.
    let path = endless.file("s");
    until("it listens", || UnixStream::connect(&path).ok());
    restarts_lose_nothing_at(&mut endless, path.as_path(), Kind::New, 2..=5, |_| ());
    assert_eq!(private_names(&endless), Vec::<String>::new());
    assert_eq!(endless.count("back in place"), 0, "{:#?}", endless.said());
}

#[test]
fn nginx_at_a_unix_path_loses_nothing() {
    let setup = endless("--probation 1");
    let path = setup.dir().join("s");
    restarts_lose_nothing_at_a_path(nginx(setup, &format!("listen unix:{};", path.display())));
}

#[test]
fn gunicorn_at_a_unix_path_loses_nothing() {
    let setup = endless("--probation 1");
    let app = "def app(e, start):\n  start('200 OK', [('Content-Length', '5')])\n  return [b'hello']\n";
    std::fs::write(setup.dir().join("app.py"), app).unwrap();
    restarts_lose_nothing_at_a_path(setup.start_command(&["gunicorn", "-w", "2", "--bind", "unix:{dir}/s", "app:app"]));
}

#[test]
fn uvicorn_at_a_unix_path_loses_nothing() {
    let setup = endless("--probation 1");
    let app = "async def app(scope, receive, send):
    if scope['type'] != 'http': return
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'5')]})
    await send({'type': 'http.response.body', 'body': b'hello'})
";
    std::fs::write(setup.dir().join("app.py"), app).unwrap();
    restarts_lose_nothing_at_a_path(setup.start_command(&["uvicorn", "--uds", "s", "app:app"]));
}

#[test]
fn when_the_only_copy_at_a_unix_path_is_killed_its_successor_takes_the_queue() {
    let setup = endless("--respawn-limit off");
    let mut endless = setup.start_command(&["python3", "-c", AT_A_PATH, "s"]);
    let path = endless.file("s");
    let copy = endless.ready(1);
    let load = Load::start(path.as_path(), &[(Kind::New, 2)]);
    kill_each(&mut endless, copy, &load, 2..=4);
    let copy = endless.restart(5);
    endless.gone(4);
    let count = load.finish();
    assert_eq!(count.lost_as(Loss::Refused), 0, "of {}; {:#?}", count.answered, endless.said());
    assert!(count.lost.len() <= 6, "more than was in flight: {:?}", count.lost);
    assert_eq!(greeting(&get(path.as_path(), "/").unwrap()), (5, copy));
    // What the copy did to its mode goes on, although the file is another one.
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o606);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_pid_file_of_the_new_copy_survives_the_end_of_the_old_one() {
    let mut endless = nginx(endless("--probation 0"), &format!("listen 127.0.0.1:{};", free_port()));
    endless.ready(1);
    for generation in 2..=4 {
        let copy = endless.restart(generation);
        endless.gone(generation - 1);
        assert_eq!(std::fs::read_to_string(endless.file("nginx.pid")).unwrap().trim(), copy.to_string());
    }
    assert_eq!(endless.stop(), 0);
    assert!(!endless.file("nginx.pid").exists(), "its own end removes it");
}

#[test]
fn a_socket_that_was_shut_down_and_listens_again_is_one() {
    let port = free_port();
    let script = "import os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen()
if os.environ['ENDLESS_GENERATION'] == '1':
    s.shutdown(socket.SHUT_RDWR)
    s.listen()
while True:
    c, _ = s.accept()
    c.recv(4096)
    text = 'Hello, world %s %d!' % (os.environ['ENDLESS_GENERATION'], os.getpid())
    c.sendall(('HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' % (len(text), text)).encode())
    c.close()
";
    let mut endless = endless("--probation 0").start_command(&["python3", "-c", script, &port]);
    let first = endless.ready(1);
    let at: std::net::SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    assert_eq!(greeting(&get(at, "/").unwrap()).0, 1);
    kill(first, Signal::SIGKILL).unwrap();
    endless.ready(2);
    for _ in 0..5 {
        assert_eq!(greeting(&get(at, "/").unwrap()).0, 2);
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_server_in_another_network_namespace_is_left_alone() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let script = "ip link set lo up; exec python3 -m http.server 8080 --bind 127.0.0.1";
    let mut endless =
        endless("--ready-timeout 20s --probation 0").start_command(&["unshare", "-n", "sh", "-c", script]);
    endless.ready(1);
    endless.wait("are not captured: it is in another network namespace");
    endless.restart(2);
    assert_eq!(endless.count("Address already in use"), 0);
    endless.stop();
}

#[test]
fn clients_of_a_worker_that_has_ended_wait_for_the_others_shortly() {
    let port = free_port();
    let script = "import os, socket, sys, signal
workers = []
for number in range(2):
    pid = os.fork()
    if pid == 0: break
    workers.append(pid)
else:
    os.write(1, b'workers %d %d\\n' % tuple(workers))
    signal.pause()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen()
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nhi')
    c.close()
";
    let endless = endless("").start_command(&["python3", "-c", script, &port]);
    let workers = endless.wait("workers ");
    endless.ready(1);
    let at: std::net::SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    // Until the looks at who waits are as seldom as they become.
    let since = std::time::Instant::now();
    while since.elapsed().as_secs() < 14 {
        get(at, "/").unwrap_or_else(|error| panic!("{error}; {:#?}", endless.said()));
        // As somebody comes now and then: the processors are for others.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let last = workers.split(' ').next_back().unwrap().parse().unwrap();
    kill(Pid::from_raw(last), Signal::SIGKILL).unwrap();
    let since = std::time::Instant::now();
    let answers: Vec<_> = (0..20).map(|_| get(at, "/").map(drop)).collect();
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(answered >= 15, "{answers:?} {:#?}", endless.said());
    assert!(since.elapsed().as_secs() < 9, "{:?}", since.elapsed());
}

#[test]
fn a_stranger_that_joins_a_captured_port_gets_no_connection() {
    let at = crate::support::free_address();
    let mut endless = endless("--probation 0").start(&[&format!("bind={at}")]);
    endless.ready(1);
    let stranger = crate::listeners::join(at);
    for generation in 1..=4 {
        if generation > 1 {
            endless.restart(generation);
            endless.gone(generation - 1);
        }
        for _ in 0..50 {
            let answer = get(at, "/").unwrap_or_else(|error| panic!("{generation}: {error} {:#?}", endless.said()));
            assert_eq!(greeting(&answer).0, generation);
        }
    }
    assert_eq!(accept(std::os::fd::AsRawFd::as_raw_fd(&stranger)), Err(nix::errno::Errno::EAGAIN));
    assert_eq!(endless.stop(), 0);
}

/// Looks for a free port as libraries do: listens at one address after the other and closes each, then serves at the last.
const LOOKS_FIRST: &str = "
const [http, net] = [require('http'), require('net')]
const at = ['::', '0.0.0.0', '127.0.0.1']
const next = () => at.length ? probe(at.shift()) : http.createServer((_, answer) =>
  answer.end(`Hello, world ${process.env.ENDLESS_GENERATION} ${process.pid}!\\n`)).listen(+process.argv[1], '127.0.0.1')
const probe = host => { const server = net.createServer().listen(+process.argv[1], host, () => server.close(next)) }
next()";

#[test]
fn a_program_that_tries_its_port_at_several_addresses_finds_it_free() {
    let port = free_port();
    let mut endless = endless("--capture always --probation 0").start_command(&["node", "-e", LOOKS_FIRST, &port]);
    endless.ready(1);
    let at: std::net::SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    assert!(get(at, "/").unwrap().contains("Hello, world 1"));
    assert_eq!(endless.stop(), 0);
}

/// As servers do that let the path change hands in one step.
const RENAMES: &str = python_server!(
    "server = socket.socket(socket.AF_UNIX); server.bind('s.tmp'); server.listen(); os.rename('s.tmp', 's')"
);

#[test]
fn a_path_that_copies_rename_leads_to_the_newest() {
    let mut endless = endless("--capture always --probation 0").start_command(&["python3", "-c", RENAMES]);
    endless.ready(1);
    for generation in 2..=4 {
        endless.restart(generation);
        endless.gone(generation - 1);
        let answer = get(endless.file("s").as_path(), "/");
        let right = answer.as_ref().is_ok_and(|text| text.contains(&format!("Hello, world {generation}")));
        assert!(right, "{generation}: {answer:?} {:#?} {:?}", endless.said(), endless.left());
    }
    assert_eq!(endless.count("back in place"), 0, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
    assert_eq!(endless.left(), ["s"]);
}

#[test]
fn a_datagram_name_of_a_start_that_failed_is_free_for_the_next() {
    let script = "
import os, socket, sys
generation = int(os.environ['ENDLESS_GENERATION'])
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
if generation == 1:
  server.settimeout(0.05)
  while not os.path.exists('crash'):
    try: server.accept()
    except TimeoutError: pass
  sys.exit(9)
name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); name.bind('\\0' + sys.argv[2])
if generation == 2: sys.exit(9)
while True: server.accept()";
    let name = format!("endless-test-{}", std::process::id());
    let options = "--capture always --probation 0 --respawn-limit off";
    let mut endless = endless(options).start_command(&["python3", "-c", script, &free_port(), &name]);
    endless.ready(1);
    endless.touch("crash");
    endless.wait("generation 2 failed");
    endless.ready(3);
    endless.signal(Signal::SIGKILL);
    endless.ended();
}

/// Serves at one address at once, and at the other one after a while.
const SIDE_FIRST: &str = "import socketserver, sys, threading, time
from http.server import BaseHTTPRequestHandler
class Handler(BaseHTTPRequestHandler):
  def log_message(self, *args): pass
  def do_GET(self):
    self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'ok')
class Server(socketserver.ThreadingTCPServer):
  allow_reuse_address = True
side = Server(('127.0.0.1', int(sys.argv[1])), Handler)
threading.Thread(target=side.serve_forever, daemon=True).start()
time.sleep(5)
Server(('127.0.0.1', int(sys.argv[2])), Handler).serve_forever()";

#[test]
fn the_main_socket_of_a_server_that_begins_with_another_one_is_waited_for() {
    let (side, main) = (free_port(), free_port());
    let mut endless = endless("--probation 0").start_command(&["python3", "-c", SIDE_FIRST, &side, &main]);
    endless.ready(1);
    endless.wait(&format!("listening on 127.0.0.1:{main}"));
    let at: SocketAddr = format!("127.0.0.1:{main}").parse().unwrap();
    restarts_lose_nothing_at(&mut endless, at, Kind::New, 2..=2, |endless| {
        assert_eq!(endless.count("does not listen at"), 0, "{:#?}", endless.said());
    });
}
