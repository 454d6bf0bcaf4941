//! How a copy is known to serve: `--ready`, `--settle`.

use super::error::{Error, Fault};
use super::listener::{Address, ListenerSpec, UnixKind};
use super::{signals, value};
use crate::cli::ReadinessArgs;
use crate::words::Sig;
use std::time::Duration;

/// How a copy is known to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `--ready`.
    pub mode: ReadyMode,
    /// `--settle`: how long the other listeners get after the first was accepted, and how long a guess waits.
    pub settle: Duration,
}

/// `--ready MODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyMode {
    /// The first of READY=1 and an accepted connection; a guess where neither can be.
    Auto,
    /// READY=1 (sd_notify(3)) from a process of that copy.
    Notify,
    /// endless' connection was accepted on every TCP and Unix stream listener.
    Accept,
    /// `probe=http:PATH`: a GET through the public port answered 2xx or 3xx by the candidate itself.
    ProbeHttp(String),
    /// `signal=SIG`: this signal to endless from a process of that copy.
    Signal(Sig),
    /// `delay=DUR`: alive for this long.
    Delay(Duration),
}

/// The modes there are, for hints.
const MODES: &str = "auto, notify, accept, probe=http:PATH, signal=SIG or delay=DUR";

/// Reads `--ready` and `--settle`. The listeners tell whether the mode can work.
pub(super) fn read(args: &ReadinessArgs, listeners: &[ListenerSpec]) -> Result<Readiness, Error> {
    let settle = value::or("--settle", args.settle.as_deref(), Duration::from_secs(1), value::duration)?;
    let mode = value::or("--ready", args.ready.as_deref(), ReadyMode::Auto, |text| {
        let mode = mode(text)?;
        refuse_without_listener(&mode, listeners)?;
        Ok(mode)
    })?;
    Ok(Readiness { mode, settle })
}

fn mode(text: &str) -> Result<ReadyMode, Fault> {
    match text.split_once('=') {
        None => match text {
            "auto" => Ok(ReadyMode::Auto),
            "notify" => Ok(ReadyMode::Notify),
            "accept" => Ok(ReadyMode::Accept),
            "probe" => Err(Fault::new("it is not said what to ask for", "probe=http:/PATH")),
            "signal" => Err(Fault::new("it is not said which signal", "signal=USR1")),
            "delay" => Err(Fault::new("it is not said how long", "delay=2s")),
            _ => Err(unknown(text)),
        },
        Some(("probe", target)) => match target.strip_prefix("http:") {
            Some(path) => probe_path(path).map(ReadyMode::ProbeHttp),
            None => Err(Fault::new(format!("`{target}` cannot be probed"), "probe=http:/PATH")),
        },
        Some(("signal", signal)) => signals::catchable(signal).map(ReadyMode::Signal),
        Some(("delay", length)) => value::duration(length).map(ReadyMode::Delay),
        Some((mode @ ("fd" | "exec" | "http" | "tcp"), _)) => {
            Err(Fault::new(format!("the mode `{mode}` is not in this version"), MODES))
        }
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

fn refuse_without_listener(mode: &ReadyMode, listeners: &[ListenerSpec]) -> Result<(), Fault> {
    let has = |fits: fn(&Address) -> bool| listeners.iter().any(|spec| fits(&spec.address));
    match mode {
        ReadyMode::ProbeHttp(_) if !has(|at| matches!(at, Address::Tcp { .. } | Address::Inherited(_))) => {
            Err(Fault::new(
                "the probe needs a TCP listener, and there is none",
                "add one with --listen, or choose another mode: notify, signal=SIG or delay=DUR",
            ))
        }
        ReadyMode::Accept if !has(accepts) => Err(Fault::new(
            "only TCP and Unix stream listeners accept connections, and there is none",
            "add one with --listen, or choose another mode: notify, signal=SIG or delay=DUR",
        )),
        _ => Ok(()),
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
            ReadyMode::Delay(length) => write!(f, "delay={}", humantime::format_duration(*length)),
        }
    }
}
