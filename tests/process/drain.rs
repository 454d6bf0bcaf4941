//! Old copies are waited for until nothing is asked of them: a server that dies of its stop signal loses nothing.

use crate::support::client::{greeting, read_answer};
use crate::support::crowd::{Crowd, connect, get, late, pausing};
use crate::support::load::{Kind, Load};
use crate::support::{Endless, Setup, endless, until};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of the standard library, and without any handler: SIGTERM ends it wherever it is. PROTOCOL is that of HTTP.
const PYTHON: &str = "
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'PROTOCOL'
    wbufsize = 65536
    def do_GET(self):
        body = f\"Hello, world {os.environ['ENDLESS_GENERATION']} {os.getpid()}!\\n\".encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
";

const NODE: &str = "
require('http').createServer((_, answer) =>
  answer.end(`Hello, world ${process.env.ENDLESS_GENERATION} ${process.pid}!\\n`)).listen({fd: 3})
";

/// Restarts and waits until the copy before is gone.
#[track_caller]
fn replace(endless: &Endless, generation: u32) {
    endless.restart(generation);
    endless.gone(generation - 1);
}

#[track_caller]
fn loses_nothing(mut endless: Endless, load: Load, restarts: u32) {
    for generation in 2..2 + restarts {
        load.wait_for_more(20);
        replace(&endless, generation);
    }
    load.wait_for_more(20);
    let count = load.finish();
    assert!(count.lost.is_empty(), "{:?} of {}; {:#?}", count.lost, count.answered, endless.said());
    assert_eq!(endless.stop(), 0);
}

/// A target that SIGTERM kills wherever it is.
fn mortal(options: &str) -> Endless {
    let endless = endless(options).start(&["mortal"]);
    endless.ready(1);
    endless
}

#[test]
fn a_server_that_dies_at_sigterm_loses_nothing() {
    let endless = mortal("-l 127.0.0.1:0 --probation 0");
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    loses_nothing(endless, load, 20);
}

#[test]
fn requests_that_take_long_are_waited_for() {
    let endless = mortal("-l 127.0.0.1:0 --probation 0");
    let load = Load::start(endless.address(0), &[(Kind::Slow, 4)]);
    loses_nothing(endless, load, 10);
}

/// What came in the moment of the last restart is in that one's account, too.
#[test]
fn a_request_that_began_in_the_moment_of_a_restart_is_waited_for_when_the_next_one_follows_at_once() {
    let mut endless = mortal("-l 127.0.0.1:0 --probation 0");
    let mut asked = Vec::new();
    for generation in 2..=6 {
        endless.restart(generation);
        let mut client = connect(endless.address(0));
        client.write_all(b"GET /sleep/200 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        asked.push(client);
    }
    endless.restart(7);
    for (client, generation) in asked.iter_mut().zip(2..) {
        let answer = read_answer(client).unwrap_or_else(|error| panic!("{error}: {:#?}", endless.said()));
        assert_eq!(greeting(&answer).0, generation);
    }
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_server_at_a_unix_path_that_dies_at_sigterm_loses_nothing() {
    let endless = mortal("-l {dir}/app.sock --probation 0");
    let load = Load::start(endless.file("app.sock").as_path(), &[(Kind::New, 4), (Kind::Slow, 1)]);
    loses_nothing(endless, load, 10);
}

#[test]
fn python_loses_nothing() {
    let endless = endless("-l 127.0.0.1:0 --probation 0").start_command(&[
        "python3",
        "-c",
        &PYTHON.replace("PROTOCOL", "HTTP/1.0"),
    ]);
    endless.ready(1);
    let load = Load::start(endless.address(0), &[(Kind::New, 4)]);
    loses_nothing(endless, load, 20);
}

/// Twenty restarts under these clients. Returns how many requests were lost.
#[track_caller]
fn restarts_under(endless: &Endless, crowd: Crowd, more: usize) -> usize {
    for generation in 2..=21 {
        crowd.wait_for_more(more);
        replace(endless, generation);
    }
    crowd.wait_for_more(more);
    crowd.finish().1
}

#[test]
fn a_handshake_that_ends_late_is_waited_for() {
    let mut endless = mortal("-l 127.0.0.1:0 --probation 0");
    let at = endless.address(0);
    let lost = restarts_under(&endless, Crowd::start(20, move |_| late(at)), 40);
    assert_eq!(lost, 0, "{:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

/// Twenty clients that keep their connections and pause between requests.
fn few_are_cut(command: &[&str]) {
    let mut endless = endless("-l 127.0.0.1:0 --probation 0 --drain soft").start_command(command);
    endless.ready(1);
    let at = endless.address(0);
    let lost = restarts_under(&endless, Crowd::start(20, move |kept| pausing(kept, at, get)), 400);
    println!("{lost} of 400 cut in the middle of a request");
    assert!(lost <= 5, "{lost}; {:#?}", endless.said());
    assert_eq!(endless.stop(), 0);
}

/// A busy machine lets a server see the end later than a client pauses, so these two measure, and are run by hand.
#[test]
#[ignore = "a measurement: cargo test --test process ends_idle -- --ignored --nocapture"]
fn node_ends_idle_connections_between_requests() {
    few_are_cut(&["node", "-e", NODE]);
}

#[test]
#[ignore = "a measurement: cargo test --test process ends_idle -- --ignored --nocapture"]
fn python_ends_idle_connections_between_requests() {
    few_are_cut(&["python3", "-c", &PYTHON.replace("PROTOCOL", "HTTP/1.1")]);
}

/// Opens a number of connections and keeps them until it is told to end.
const CROWD: &str = "
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
host, port = sys.argv[1].rsplit(':', 1)
kept = [socket.create_connection((host, int(port))) for _ in range(10000)]
print('open', flush=True)
sys.stdin.read()
";

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let mut endless = crowded().start_command(&["python3", "-c", ACCEPT_ALL]);
    endless.ready(1);
    let mut crowd = Command::new("python3")
        .args(["-c", CROWD, &endless.address(0).to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(crowd.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    endless.wait("has 10000");
    let before = processor_time(endless.pid());
    endless.restart(2);
    endless.wait_with(&["retiring generation 1"]);
    let began = Instant::now();
    endless.wait_with(&["sending SIGTERM to generation 1"]);
    let (took, cost) = (began.elapsed(), processor_time(endless.pid()) - before);
    println!("drained in {took:?}; the restart cost {cost:?} of processor time");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(cost < Duration::from_secs(3), "{cost:?}");
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
    assert_eq!(endless.stop(), 0);
}

/// Accepts, and says when it has many.
const ACCEPT_ALL: &str = "
import resource, socket
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
listener, kept = socket.socket(fileno=3), []
while True:
    kept.append(listener.accept()[0])
    if len(kept) == 10000: print('has 10000', flush=True)
";

/// The guard is long enough for the last of many connections to be more than fresh.
fn crowded() -> Setup {
    endless("-l 127.0.0.1:0 --probation 2s")
}

fn processor_time(pid: nix::unistd::Pid) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Sends a line of a request's head again and again until this was said: a request that does not end.
#[track_caller]
fn ask_slowly(stream: &mut TcpStream, endless: &Endless, until_said: &str) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    until("it is said", || {
        // The server may be gone with the line.
        let _ = stream.write_all(b"More: to come\r\n");
        endless.said().into_iter().find(|line| line.contains(until_said))
    })
}

#[test]
fn what_the_limit_cuts_is_told() {
    let mut endless = mortal("-l 127.0.0.1:0 --probation 0 --drain quiet=1s");
    let mut stream = connect(endless.address(0));
    endless.signal(nix::sys::signal::Signal::SIGHUP);
    let line = ask_slowly(&mut stream, &endless, "still has 1 open connection");
    assert!(line.contains("1 in the middle of a request after 1s (--drain)"), "{line}");
    endless.gone(1);
    assert_eq!(endless.stop(), 0);
}

#[test]
fn a_terminal_shows_what_is_waited_for() {
    let pty = "import pty, sys; pty.spawn(sys.argv[1:])";
    let words = ["python3", "-c", pty];
    let endless = Setup::behind(&words, "-l 127.0.0.1:0 --probation 0 --drain quiet=30s").start(&["mortal"]);
    let first = endless.ready(1);
    let mut stream = connect(endless.address(0));
    let parent = crate::support::processes::status(first, "PPid").unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(parent), nix::sys::signal::Signal::SIGHUP).unwrap();
    let line = ask_slowly(&mut stream, &endless, "waiting for generation 1 ");
    assert!(line.contains(": 1 open connection, 1 in the middle of a request; the hammer falls in 5"), "{line}");
    stream.write_all(b"\r\n").unwrap();
    read_answer(&mut stream).unwrap();
    drop(stream);
    endless.gone(1);
}
