//! Serving what was inherited: HTTP/1.1 on stream sockets, an echo with our name on datagram sockets.

use super::{Orders, generation, say, sockets};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::socket::{MsgFlags, SockFlag, SockaddrStorage, accept4, recvfrom, sendto};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// The longest it waits before it looks at its orders again.
const MOMENT: Duration = Duration::from_millis(5);

/// So long after accept(2) a connection that has carried nothing is not closed by a stop.
const FRESH: Duration = Duration::from_secs(1);

const STATUS: &str = "HTTP/1.1 200 OK\r\n";

static STOPPING: AtomicBool = AtomicBool::new(false);
static OPEN: AtomicUsize = AtomicUsize::new(0);
static SICK: OnceLock<PathBuf> = OnceLock::new();
static CHOSEN: Mutex<Option<Vec<RawFd>>> = Mutex::new(None);

/// The descriptors to serve, instead of those LISTEN_FDS counts.
pub fn use_these(numbers: Vec<RawFd>) {
    *CHOSEN.lock().unwrap() = Some(numbers);
}

/// Asks [`serve`] to end.
pub fn stop() {
    STOPPING.store(true, Ordering::SeqCst);
}

/// Whether it was told to stop.
pub fn stopping() -> bool {
    STOPPING.load(Ordering::SeqCst)
}

/// Every open descriptor and what it is.
pub fn open_descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut all: Vec<(i32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let to = fs::read_link(entry.path()).ok()?.display().to_string();
            (!to.starts_with("/proc/")).then_some((number, to))
        })
        .collect();
    all.sort();
    all.into_iter().map(|(number, to)| format!("{number} {}", to.split(':').next().unwrap())).collect()
}

fn inherited() -> Vec<OwnedFd> {
    let count: RawFd = env::var("LISTEN_FDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let numbers = CHOSEN.lock().unwrap().take().unwrap_or_else(|| (3..3 + count).collect());
    // SAFETY: whoever set the variables has opened these for us, and nothing else here uses them.
    numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect()
}

/// Tells about every inherited socket.
pub fn describe_inherited() {
    for (number, socket) in (3..).zip(inherited()) {
        sockets::describe(number, socket.as_fd());
        // It is still to be served.
        std::mem::forget(socket);
    }
}

/// Serves until it is told to stop, then finishes what is open.
pub fn serve(orders: &Orders) {
    if let Some(file) = &orders.sick {
        let _ = SICK.set(file.clone());
    }
    let sockets = match &orders.bind {
        Some(address) => match TcpListener::bind(address) {
            Ok(listener) => vec![OwnedFd::from(listener)],
            Err(error) => {
                say(&format!("cannot bind {address}: {error}"));
                process::exit(98);
            }
        },
        None => inherited(),
    };
    say("serves");
    if let (true, Some(socket)) = (orders.blocking, sockets.first()) {
        accept_until_shut(socket.as_fd());
    }
    while !stopping() {
        if orders.crash.as_ref().is_some_and(|file| file.exists()) {
            say("crashes");
            process::exit(9);
        }
        let mut set: Vec<PollFd> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        if orders.deaf {
            set.clear();
        }
        // No signal is blocked while it waits.
        let _ = ppoll(&mut set, Some(TimeSpec::from_duration(MOMENT)), Some(SigSet::empty()));
        // A seat that is shut down is ready for ever.
        if set.iter().any(|fd| fd.revents().is_some_and(|got| got.contains(PollFlags::POLLHUP))) {
            thread::sleep(MOMENT);
        }
        let ready: Vec<bool> =
            set.iter().map(|fd| fd.revents().is_some_and(|got| got.contains(PollFlags::POLLIN))).collect();
        for (socket, _) in sockets.iter().zip(ready).filter(|(_, ready)| *ready) {
            take_one(socket.as_fd(), orders.loud);
            thread::sleep(orders.slow);
        }
    }
    drop(sockets);
    super::protocols::released();
    while OPEN.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(2));
    }
    say("has finished");
    process::exit(0);
}

/// One accept(2) after the other. A seat that is shut down makes it return with an error: then it is time to go.
fn accept_until_shut(socket: BorrowedFd<'_>) {
    loop {
        match accept4(socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            Ok(connection) => answer(connection, false),
            Err(errno) => {
                say(&format!("accept: {errno}"));
                return;
            }
        }
    }
}

fn take_one(socket: BorrowedFd<'_>, at_once: bool) {
    if getsockopt(&socket, sockopt::SockType) == Ok(SockType::Datagram) {
        let mut text = [0u8; 512];
        if let Ok((length, from)) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), &mut text) {
            let name = format!("{} {} {}", generation(), process::id(), String::from_utf8_lossy(&text[..length]));
            if let Some(from) = from {
                let _ = sendto(socket.as_raw_fd(), name.as_bytes(), &from, MsgFlags::empty());
            }
        }
        return;
    }
    if let Ok(connection) = accept4(socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
        answer(connection, at_once);
    }
}

/// Answers beside the loop; `at_once`: the first line goes out here and now, and there is one answer only.
fn answer(connection: RawFd, at_once: bool) {
    OPEN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: accept4(2) just made it for us.
    let connection = File::from(unsafe { OwnedFd::from_raw_fd(connection) });
    if at_once {
        let _ = (&connection).write_all(STATUS.as_bytes());
    }
    thread::spawn(move || {
        answer_all(&connection, at_once);
        drop(connection);
        OPEN.fetch_sub(1, Ordering::SeqCst);
    });
}

/// Answers one request after the other; the last one says so. `/sleep/N` takes N milliseconds.
fn answer_all(connection: &File, begun: bool) {
    let mut path = String::new();
    let mut lines = BufReader::new(connection).lines();
    // A client that has just come may be about to ask.
    let (began, mut asked) = (Instant::now(), false);
    loop {
        let fresh = !asked && began.elapsed() < FRESH;
        if stopping() && path.is_empty() && !fresh && !readable(connection) {
            return;
        }
        if path.is_empty() && !readable(connection) {
            continue;
        }
        let Some(Ok(line)) = lines.next() else { return };
        asked = true;
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        if !line.is_empty() {
            continue;
        }
        if let Some(millis) = path.strip_prefix("/sleep/").and_then(|text| text.parse().ok()) {
            thread::sleep(Duration::from_millis(millis));
        }
        let body = format!("Hello, world {} {}!\n", generation(), process::id());
        let last = stopping() || begun;
        let close = if last { "Connection: close\r\n" } else { "" };
        let status = if begun { "" } else { status() };
        let text = format!("{status}{close}Content-Length: {}\r\n\r\n{body}", body.len());
        if (&mut &*connection).write_all(text.as_bytes()).is_err() || last {
            return;
        }
        path.clear();
    }
}

fn status() -> &'static str {
    if SICK.get().is_none_or(|file| file.exists()) {
        return STATUS;
    }
    say("answered 500");
    "HTTP/1.1 500 Internal Server Error\r\n"
}

/// Whether something arrived; looks for a moment.
fn readable(connection: &File) -> bool {
    let mut set = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
    poll(&mut set, PollTimeout::from(20u8)).is_ok_and(|count| count > 0)
}
