//! What the process tests run under endless: a small server whose every step is ordered by its arguments.
//!
//! Each argument is a WORD, carried out in order; `2:WORD` only in generation 2, `2+:WORD` from generation 2 on. When all
//! are done it serves HTTP, datagrams or both on what it inherited (LISTEN_FDS), until SIGTERM, SIGINT or SIGQUIT.
//! It prints one line for all it does, `target GENERATION PID: …`, so that a test waits for lines and never sleeps.
//!
//! | word | what it does |
//! |---|---|
//! | `exit=N`, `die=SIG` | ends at once, with this status or by this signal |
//! | `hang` | does nothing more, and never serves |
//! | `wait=FILE` | goes on when the file is there, or it is told to stop |
//! | `notify`, `notify=TEXT` | sends READY=1, or this, to NOTIFY_SOCKET |
//! | `deaf` | serves without ever accepting |
//! | `slow=MS` | takes a client only every so many milliseconds |
//! | `ignore=SIG` | prints that signal and does nothing |
//! | `mortal` | SIGTERM kills it at once, with all it has accepted |
//! | `mortal=loud` | the same; with accept goes the first line of the answer, so that a client knows |
//! | `crash=FILE` | while it serves: exit status 9 when the file is there |
//! | `parent=SIG` | sends this signal to its parent |
//! | `grandchild`, `daemon` | leaves behind a process that ignores SIGTERM; `daemon` in a session of its own |
//! | `orphan` | leaves behind a process that ends at once |
//! | `unlink=PATH` | removes this path when it is told to stop |
//! | `bind=ADDRESS` | serves at a TCP socket of its own, not at what it inherited |
//! | `env=NAME`, `fds`, `print=TEXT`, `cwd`, `limits` | prints a variable, the open descriptors, this, the directory, the limit of open files |
//! | `sick=FILE` | answers 500 until the file is there |
//! | `options` | prints a line about each inherited socket |
//! | `as=PROTOCOL` | takes its sockets and says that it serves as a program of that protocol does: `endless`, `tableflip`, … |
//! | `store=NAME` | leaves a pipe, whose other end says its generation, with endless under this name |
//! | `stored=NAME` | prints what a pipe that was left says |
//! | `alive=MS` | sends WATCHDOG=1 every so many milliseconds, until the file `silent` is there |
//! | `barrier` | sends BARRIER=1 and waits until it is answered |
//! | `socket=N` | serves this descriptor |
//! | `stop=SIG` | ends by this signal too |
//! | `write=N` | writes a newline to descriptor N |
//! | `blocking` | waits in accept(2), as servers do that do not poll |

#![allow(clippy::disallowed_methods, clippy::exit, reason = "a program to be run by endless, not a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that finds it broken must see it")]

mod notify;
mod protocols;
mod serve;
mod sockets;

use nix::sys::signal::{SigHandler, SigSet, Signal, kill, raise, signal};
use nix::unistd::{ForkResult, fork, getppid, setsid};
use signal_hook::iterator::Signals;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, process, thread};

/// What the words that are about serving and stopping ask for.
#[derive(Debug, Default, Clone)]
pub struct Orders {
    deaf: bool,
    slow: Duration,
    blocking: bool,
    mortal: bool,
    loud: bool,
    crash: Option<PathBuf>,
    sick: Option<PathBuf>,
    bind: Option<String>,
    unlink: Vec<PathBuf>,
    ignore: HashSet<i32>,
    stop: Option<i32>,
}

fn main() {
    let generation = generation();
    let words: Vec<String> = env::args().skip(1).filter_map(|word| mine(&word, generation)).collect();
    let mut orders = Orders::default();
    for word in &words {
        note_order(word, &mut orders);
    }
    listen_to_signals(orders.clone());
    say("begins");
    for word in &words {
        carry_out(word);
    }
    serve::serve(&orders);
}

/// Which generation we are; 0 without endless.
pub fn generation() -> u32 {
    env::var("ENDLESS_GENERATION").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// One line in one write, so that lines of several processes do not mix.
pub fn say(what: &str) {
    let line = format!("target {} {}: {what}\n", generation(), process::id());
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// The word without its `2:` or `2+:`, when it is for this generation.
fn mine(word: &str, generation: u32) -> Option<String> {
    let Some((mark, rest)) = word.split_once(':') else { return Some(word.to_owned()) };
    let (number, open) = mark.strip_suffix('+').map_or((mark, false), |number| (number, true));
    match number.parse::<u32>() {
        Ok(number) if number == generation || open && generation > number => Some(rest.to_owned()),
        Ok(_) => None,
        Err(_) => Some(word.to_owned()),
    }
}

fn note_order(word: &str, orders: &mut Orders) {
    match word.split_once('=').unwrap_or((word, "")) {
        ("deaf", _) => orders.deaf = true,
        ("slow", millis) => orders.slow = Duration::from_millis(millis.parse().unwrap()),
        ("blocking", _) => orders.blocking = true,
        ("mortal", how) => (orders.mortal, orders.loud) = (true, how == "loud"),
        ("crash", file) => orders.crash = Some(file.into()),
        ("bind", address) => orders.bind = Some(address.to_owned()),
        ("unlink", path) => orders.unlink.push(path.into()),
        ("sick", file) => orders.sick = Some(file.into()),
        ("stop", name) => orders.stop = Some(number(name) as i32),
        ("as", protocol) => orders.stop = protocols::stops_by(protocol).map(|signal| signal as i32),
        ("ignore", name) => drop(orders.ignore.insert(number(name) as i32)),
        _ => {}
    }
}

fn carry_out(word: &str) {
    match word.split_once('=').unwrap_or((word, "")) {
        ("exit", code) => process::exit(code.parse().unwrap()),
        ("die", name) => drop(raise(number(name))),
        ("hang", _) => hang(),
        ("wait", file) => wait_for(Path::new(file)),
        ("notify", "") => notify::say_it("READY=1"),
        ("notify", text) => notify::say_it(&text.replace("\\n", "\n").replace("=PID", &format!("={}", process::id()))),
        ("parent", name) => {
            say(&format!("sends {name} to {}", getppid()));
            kill(getppid(), number(name)).unwrap();
        }
        ("as", protocol) => protocols::speak(protocol),
        ("grandchild", _) => leave_behind(false),
        ("daemon", _) => leave_behind(true),
        ("orphan", _) => orphan(),
        ("store", name) => notify::store(name),
        ("stored", name) => notify::stored(name),
        ("alive", millis) => notify::alive(millis.parse().unwrap()),
        ("barrier", _) => notify::barrier(),
        ("socket", number) => serve::use_these(vec![number.parse().unwrap()]),
        ("write", number) => write_newline(number.parse().unwrap()),
        ("env", name) => say(&format!("{name}={}", env::var(name).unwrap_or_else(|_| "(unset)".to_owned()))),
        ("print", text) => say(text),
        ("cwd", _) => say(&format!("cwd {}", env::current_dir().unwrap().display())),
        ("fds", _) => say(&format!("fds {:?}", serve::open_descriptors())),
        ("limits", _) => say(&format!(
            "nofile {:?}",
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap()
        )),
        ("options", _) => serve::describe_inherited(),
        ("sick" | "stop" | "deaf" | "slow" | "blocking" | "mortal" | "crash" | "bind" | "unlink" | "ignore", _) => {}
        _ => panic!("no word `{word}`"),
    }
}

fn number(name: &str) -> Signal {
    format!("SIG{name}").parse().unwrap()
}

fn write_newline(number: i32) {
    use std::os::fd::FromRawFd;
    // SAFETY: the word says that it was opened for us, and nothing else here uses it.
    let mut pipe = unsafe { fs::File::from_raw_fd(number) };
    pipe.write_all(b"\n").unwrap();
    say(&format!("wrote to {number}"));
}

fn hang() {
    say("hangs");
    loop {
        thread::park();
    }
}

fn wait_for(file: &Path) {
    say(&format!("waits for {}", file.display()));
    while !file.exists() && !serve::stopping() {
        thread::sleep(Duration::from_millis(2));
    }
}

/// A process that ignores SIGTERM and holds all that we hold. It is forked before there is any other thread of ours but
/// the one for signals, and does nothing but sleep.
fn leave_behind(own_session: bool) {
    // SAFETY: the child calls only what may be called after fork(2): setsid, signal and pause.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => say(&format!("left behind {child}")),
        ForkResult::Child => {
            if own_session {
                let _ = setsid();
            }
            for deaf in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                // SAFETY: it installs no function.
                let _ = unsafe { signal(deaf, SigHandler::SigIgn) };
            }
            loop {
                nix::unistd::pause();
            }
        }
    }
}

/// A grandchild whose parent ends first, and that ends itself: somebody else has to reap it.
fn orphan() {
    // SAFETY: the children only fork again and end.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            nix::sys::wait::waitpid(child, None).unwrap();
            say("left an orphan");
        }
        ForkResult::Child => {
            // SAFETY: as above.
            let _ = unsafe { fork() };
            // SAFETY: ends the process without running what the parent set up.
            unsafe { nix::libc::_exit(0) };
        }
    }
}

/// Prints every signal. The stop signals end serving, unless they are ignored.
fn listen_to_signals(orders: Orders) {
    let mut numbers = vec![1, 2, 3, 10, 12, 15, 18, 28];
    if orders.mortal {
        // In all threads; it is let in where `serve` waits, and so never between accept and the first line.
        SigSet::from(Signal::SIGTERM).thread_block().unwrap();
        numbers.retain(|number| *number != 15);
    }
    let mut signals = Signals::new(numbers).unwrap();
    thread::spawn(move || {
        for number in signals.forever() {
            let name = Signal::try_from(number).unwrap();
            say(&format!("got {name}"));
            if ([2, 3, 15].contains(&number) || orders.stop == Some(number)) && !orders.ignore.contains(&number) {
                for path in &orders.unlink {
                    let _ = fs::remove_file(path);
                }
                serve::stop();
            }
        }
    });
}
