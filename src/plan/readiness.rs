//! How a copy is known to serve: `--ready`, `--settle`.

use super::error::{Error, Fault};
use super::listener::{self, Address, ListenerSpec, Resolver, UnixKind, UnixName};
use super::protocol::{TABLEFLIP_NAMES, TABLEFLIP_READY};
use super::{HandoffPlan, Protocol, signals, value};
use crate::cli::ReadinessArgs;
use crate::words::Sig;
use std::net::SocketAddr;
use std::time::Duration;

/// How a copy is known to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `--ready`.
    pub mode: ReadyMode,
    /// `--settle`: how long the other listeners get after the first was accepted, and how long a guess waits.
    pub settle: Duration,
}

impl Readiness {
    /// The number of the descriptor that the copy writes to (`--ready fd=N`).
    pub(super) fn descriptor(&self) -> Option<i32> {
        match self.mode {
            ReadyMode::Fd(number) => Some(number),
            _ => None,
        }
    }
}

/// `--ready MODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyMode {
    /// The first of READY=1, a sign of a protocol in use and an accepted connection; a guess where endless cannot connect.
    Auto,
    /// READY=1 (sd_notify(3)) from a process of that copy.
    Notify,
    /// endless' connection was accepted on every TCP and Unix stream listener.
    Accept,
    /// `probe=http:PATH`: a GET through the first listener that can be probed, answered 2xx or 3xx by the candidate itself.
    ProbeHttp(String),
    /// `signal=SIG`: this signal to endless from a process of that copy.
    Signal(Sig),
    /// `delay=DUR`: alive for this long.
    Delay(Duration),
    /// `fd=N`: a byte on this descriptor, the end of a pipe.
    Fd(i32),
    /// `exec=CMD`: this exits with 0.
    Exec(String),
    /// `http=URL`: a GET answered 2xx or 3xx at an address of the copy's own.
    Http(Url),
    /// `tcp=ADDR`: a connection to an address of the copy's own.
    Tcp(SocketAddr),
}

/// `http://HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The address, resolved.
    pub at: SocketAddr,
    /// HOST[:PORT] as typed, for the Host header.
    pub host: String,
    /// The path, which begins with `/`.
    pub path: String,
}

/// The modes there are, for hints.
const MODES: &str =
    "auto, notify, accept, probe=http:PATH, signal=SIG, fd=N, exec=CMD, http=URL, tcp=ADDR or delay=DUR";

/// Reads `--ready` and `--settle`. The listeners tell whether the mode can work.
pub(super) fn read(
    args: &ReadinessArgs,
    listeners: &[ListenerSpec],
    handoff: &HandoffPlan,
    ipv6: fn() -> bool,
) -> Result<Readiness, Error> {
    let settle = value::or("--settle", args.settle.as_deref(), Duration::from_secs(1), value::duration)?;
    let mode = value::or("--ready", args.ready.as_deref(), ReadyMode::Auto, |text| {
        let mode = mode(text, ipv6)?;
        refuse_without_listener(&mode, listeners)?;
        refuse_taken(&mode, listeners, handoff)?;
        Ok(mode)
    })?;
    Ok(Readiness { mode, settle })
}

fn mode(text: &str, ipv6: fn() -> bool) -> Result<ReadyMode, Fault> {
    match text.split_once('=') {
        None => match text {
            "auto" => Ok(ReadyMode::Auto),
            "notify" => Ok(ReadyMode::Notify),
            "accept" => Ok(ReadyMode::Accept),
            "probe" => Err(Fault::new("it is not said what to ask for", "probe=http:/PATH")),
            "signal" => Err(Fault::new("it is not said which signal", "signal=USR1")),
            "delay" => Err(Fault::new("it is not said how long", "delay=2s")),
            "fd" => Err(Fault::new("it is not said which descriptor", "fd=10")),
            "exec" => Err(Fault::new("there is no command", "exec='./check-it', for example")),
            "http" => Err(Fault::new("there is no URL", "http=http://localhost:9090/ready")),
            "tcp" => Err(Fault::new("there is no address", "tcp=localhost:9090")),
            _ => Err(unknown(text)),
        },
        Some(("probe", target)) => match target.strip_prefix("http:") {
            Some(path) => probe_path(path).map(ReadyMode::ProbeHttp),
            None => Err(Fault::new(format!("`{target}` cannot be probed"), "probe=http:/PATH")),
        },
        Some(("signal", signal)) => signals::catchable(signal).map(ReadyMode::Signal),
        Some(("delay", length)) => value::duration(length).map(ReadyMode::Delay),
        Some(("fd", number)) => value::number(number, 3, 1023).map(ReadyMode::Fd),
        Some(("exec", command)) if command.trim().is_empty() => {
            Err(Fault::new("there is no command", "exec='./check-it', for example"))
        }
        Some(("exec", command)) => Ok(ReadyMode::Exec(command.to_owned())),
        Some(("http", url)) => self::url(url, ipv6).map(ReadyMode::Http),
        Some(("tcp", at)) => outside(at, ipv6).map(ReadyMode::Tcp),
        Some((mode @ ("auto" | "notify" | "accept"), _)) => {
            Err(Fault::new(format!("the mode `{mode}` takes no value"), mode))
        }
        Some((mode, _)) => Err(unknown(mode)),
    }
}

fn unknown(mode: &str) -> Fault {
    Fault::new(format!("there is no mode `{mode}`"), MODES)
}

fn probe_path(path: &str) -> Result<String, Fault> {
    if path.starts_with("//") {
        return Err(Fault::new("it asks the listeners themselves, so a host has no place in it", "probe=http:/PATH"));
    }
    if !path.starts_with('/') {
        return Err(Fault::new(format!("the path `{path}` does not begin with `/`"), format!("probe=http:/{path}")));
    }
    if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Fault::new("there is a blank in the path", "write a blank in a path as %20"));
    }
    Ok(path.to_owned())
}

/// Whether a connection can be made to one copy's socket alone.
fn asked_alone(spec: &ListenerSpec) -> bool {
    matches!(spec.address, Address::Tcp { .. }) && !spec.options.share && spec.options.device.is_none()
}

/// The same, by a TCP or a Unix stream listener.
fn accepted_alone(spec: &ListenerSpec) -> bool {
    let at_path = matches!(spec.address, Address::Unix { kind: UnixKind::Stream, name: UnixName::Path(_) });
    asked_alone(spec) || at_path && !spec.options.share
}

fn refuse_without_listener(mode: &ReadyMode, listeners: &[ListenerSpec]) -> Result<(), Fault> {
    let has = |fits: fn(&Address) -> bool| listeners.iter().any(|spec| fits(&spec.address));
    match mode {
        ReadyMode::ProbeHttp(_) if !has(|at| matches!(at, Address::Tcp { .. } | Address::Inherited(_))) => {
            Err(Fault::new(
                "the probe needs a TCP listener, and there is none",
                "add one with --listen, or choose another mode: notify, signal=SIG or delay=DUR",
            ))
        }
        ReadyMode::ProbeHttp(_) if !listeners.iter().any(asked_alone) => Err(Fault::new(
            "the probe cannot ask the new copy alone: all copies have one socket where it was passed in or has share=yes, and one \
             that is bound to a device is not reached from here",
            "a TCP listener with an address of its own, or another mode: notify, exec=CMD or http=URL",
        )),
        ReadyMode::Accept if !has(accepts) => Err(Fault::new(
            "only TCP and Unix stream listeners accept connections, and there is none",
            "add one with --listen, or choose another mode: notify, signal=SIG or delay=DUR",
        )),
        ReadyMode::Accept if !listeners.iter().any(accepted_alone) => Err(Fault::new(
            "no connection reaches the new copy alone: all copies have one socket where it was passed in or has share=yes, and one \
             that is bound to a device is not reached from here",
            "a listener with an address of its own, or another mode: notify, signal=SIG or delay=DUR",
        )),
        _ => Ok(()),
    }
}

fn url(text: &str, ipv6: fn() -> bool) -> Result<Url, Fault> {
    let Some(rest) = text.strip_prefix("http://") else {
        return Err(Fault::new("the URL does not begin with http://", "http=http://localhost:9090/ready"));
    };
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let at = outside(&if has_port { host.to_owned() } else { format!("{host}:80") }, ipv6)?;
    Ok(Url { at, host: host.to_owned(), path: probe_path(path)? })
}

/// An address to connect to; without a host, one of this machine's to itself.
fn outside(text: &str, ipv6: fn() -> bool) -> Result<SocketAddr, Fault> {
    let hint = "HOST:PORT, such as localhost:9090";
    match listener::address::parse(text, &mut Resolver::of_system(ipv6))? {
        Address::Tcp { at, .. } if at.port() == 0 => Err(Fault::new("nobody answers at port 0", hint)),
        Address::Tcp { at, .. } => Ok(at),
        _ => Err(Fault::new("this is no TCP address", hint)),
    }
}

/// A descriptor a listener has, or an address that is one: the older copy would answer there.
fn refuse_taken(mode: &ReadyMode, listeners: &[ListenerSpec], handoff: &HandoffPlan) -> Result<(), Fault> {
    let at = match mode {
        ReadyMode::Http(url) => url.at,
        ReadyMode::Tcp(at) => *at,
        ReadyMode::Fd(number) => {
            let numbers = handoff.numbers(listeners);
            let pipes = handoff.speaks(Protocol::Tableflip) && (TABLEFLIP_READY..=TABLEFLIP_NAMES).contains(number);
            if !pipes && !numbers.contains(number) {
                return Ok(());
            }
            let highest = numbers.iter().copied().chain([TABLEFLIP_NAMES]).max().unwrap_or_default();
            let reason = format!("descriptor {number} is taken: the listeners are handed over from 3 on");
            return Err(Fault::new(reason, format!("another number, such as fd={}", highest.max(9) + 1)));
        }
        _ => return Ok(()),
    };
    let answers = |spec: &&ListenerSpec| match spec.address {
        Address::Tcp { at: listens, .. } => {
            let any = listens.ip().is_unspecified() || at.ip().is_unspecified();
            listens.port() == at.port() && (listens.ip() == at.ip() || any)
        }
        _ => false,
    };
    match listeners.iter().find(answers) {
        None => Ok(()),
        Some(spec) => Err(Fault::new(
            format!("this is --listen {} itself, where the older copy would answer", spec.flag),
            "probe=http:PATH asks the new copy itself, through the listener",
        )),
    }
}

fn accepts(address: &Address) -> bool {
    matches!(address, Address::Tcp { .. } | Address::Inherited(_) | Address::Unix { kind: UnixKind::Stream, .. })
}

/// The mode as it is typed.
impl std::fmt::Display for ReadyMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadyMode::Auto => f.write_str("auto"),
            ReadyMode::Notify => f.write_str("notify"),
            ReadyMode::Accept => f.write_str("accept"),
            ReadyMode::ProbeHttp(path) => write!(f, "probe=http:{path}"),
            ReadyMode::Signal(signal) => write!(f, "signal={}", signal.name()),
            ReadyMode::Fd(number) => write!(f, "fd={number}"),
            ReadyMode::Exec(command) => write!(f, "exec={command}"),
            ReadyMode::Http(url) => write!(f, "http=http://{}{}", url.host, url.path),
            ReadyMode::Tcp(at) => write!(f, "tcp={at}"),
            ReadyMode::Delay(length) => write!(f, "delay={}", humantime::format_duration(*length)),
        }
    }
}
