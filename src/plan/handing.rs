//! `--pass`, `--listen-pid` and `--no-expand`.

use super::error::{Error, Fault};
use super::protocol::{self, NAMES, Protocol, Sign};
use super::{Address, ListenerSpec, UnixKind, value};
use crate::cli::Args;
use crate::words::Sig;
use std::collections::HashSet;
use std::ops::Range;

const FLAG: &str = "--pass";

/// What is passed when nothing is asked for.
pub(super) const DEFAULT: [Protocol; 2] = [Protocol::Systemd, Protocol::ServerStarter];

/// How a copy is told about its listeners (`--pass`, `--listen-pid`, `--no-expand`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoffPlan {
    /// The protocols, in the order given. Empty for `none`.
    pub protocols: Vec<Protocol>,
    /// True when `--pass` was typed: then what cannot be passed is an error instead of being left out.
    pub explicit: bool,
    /// False for `--listen-pid none`.
    pub listen_pid: bool,
    /// `--fd-store-max`: how many descriptors the copies may leave with endless.
    pub fd_store_max: usize,
    /// False for `--no-expand`: `{fd}` and the like stay as they are.
    pub expand: bool,
    /// The number that `--ready fd=N` has taken.
    pub ready_at: Option<i32>,
}

/// Reads how a copy is told about its listeners.
pub(super) fn read(args: &Args, listeners: &[ListenerSpec]) -> Result<HandoffPlan, Error> {
    let listen_pid = listen_pid(args.listeners.listen_pid.as_deref())?;
    let mut plan = HandoffPlan {
        protocols: DEFAULT.to_vec(),
        explicit: false,
        listen_pid,
        fd_store_max: value::or("--fd-store-max", args.listeners.fd_store_max.as_deref(), 64, |text| {
            value::number(text, 0, 1024)
        })?,
        expand: !args.listeners.no_expand,
        ready_at: None,
    };
    if let Some(text) = args.listeners.pass.as_deref() {
        plan.protocols = protocols(text).map_err(|fault| fault.at(FLAG, text))?;
        plan.explicit = true;
        for protocol in &plan.protocols {
            suits(*protocol, args, listeners).map_err(|fault| fault.at(FLAG, text))?;
        }
    }
    if let (Some(text), false) = (&args.listeners.listen_pid, plan.protocols.contains(&Protocol::Systemd)) {
        let fault = Fault::new(
            "LISTEN_PID belongs to the protocol systemd, which is not passed",
            "--pass systemd, or take this away",
        );
        return Err(fault.at("--listen-pid", text));
    }
    Ok(plan)
}

fn listen_pid(text: Option<&str>) -> Result<bool, Error> {
    value::or("--listen-pid", text, true, |text| value::one_of(text, &[("auto", true), ("none", false)]))
}

/// The protocols there are, for hints.
fn known() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    format!("{} or none, separated by commas", names.join(", "))
}

fn protocols(text: &str) -> Result<Vec<Protocol>, Fault> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    for word in text.split(',') {
        let found = NAMES.iter().find(|(name, _)| *name == word);
        let protocol = match found {
            Some((_, protocol)) => *protocol,
            None if word == "none" => {
                return Err(Fault::new("`none` stands alone", "none, or the protocols without it"));
            }
            None => return Err(Fault::new(format!("there is no protocol `{word}`"), known())),
        };
        if list.contains(&protocol) {
            return Err(Fault::new(format!("`{word}` is given twice"), "once"));
        }
        list.push(protocol);
    }
    protocol::refuse_conflicts(&list)?;
    Ok(list)
}

/// Whether these listeners can be passed by the protocol.
fn suits(protocol: Protocol, args: &Args, listeners: &[ListenerSpec]) -> Result<(), Fault> {
    match protocol {
        Protocol::Stdin => refuse_stdin(args, listeners)?,
        Protocol::Goagain => {
            one_listener(protocol, listeners)?;
            refuse_kinds(protocol, listeners, "TCP and Unix stream", is_stream)?;
        }
        Protocol::Endless => refuse_kinds(protocol, listeners, "TCP", is_tcp)?,
        Protocol::EndlessJson | Protocol::Grace | Protocol::Overseer => {
            refuse_kinds(protocol, listeners, "TCP and Unix stream", is_stream)?;
        }
        _ => {}
    }
    let counts = protocol.counts_from().filter(|_| !matches!(protocol, Protocol::Systemd | Protocol::Stdin));
    if let (Some(from), Some(spec)) = (counts, listeners.iter().find(|spec| spec.options.fd.is_some())) {
        let reason = format!(
            "{protocol} counts the descriptors from {from} on without a gap, and --listen {} is put elsewhere",
            spec.flag
        );
        return Err(Fault::new(reason, "take the option fd=N away"));
    }
    Ok(())
}

fn one_listener(protocol: Protocol, listeners: &[ListenerSpec]) -> Result<(), Fault> {
    if listeners.len() == 1 {
        return Ok(());
    }
    let reason = format!("{protocol} passes exactly one listener, and there are {}", listeners.len());
    Err(Fault::new(reason, "one --listen, or another protocol: systemd or server-starter"))
}

fn refuse_kinds(
    protocol: Protocol,
    listeners: &[ListenerSpec],
    kinds: &str,
    fits: fn(&Address) -> bool,
) -> Result<(), Fault> {
    match listeners.iter().find(|spec| !fits(&spec.address)) {
        None => Ok(()),
        Some(spec) => Err(Fault::new(
            format!("{protocol} passes {kinds} listeners only, and --listen {} is none", spec.flag),
            "another protocol, such as systemd, or an endless of its own for that listener",
        )),
    }
}

fn is_tcp(address: &Address) -> bool {
    matches!(address, Address::Tcp { .. } | Address::Inherited(_))
}

fn is_stream(address: &Address) -> bool {
    is_tcp(address) || matches!(address, Address::Unix { kind: UnixKind::Stream, .. })
}

/// `stdin` puts the one listener at descriptor 0, where nothing else can be then.
fn refuse_stdin(args: &Args, listeners: &[ListenerSpec]) -> Result<(), Fault> {
    one_listener(Protocol::Stdin, listeners)?;
    if let Some(spec) = listeners.iter().find(|spec| spec.options.fd.is_some_and(|fd| fd != 0)) {
        let reason = format!("stdin puts the listener at descriptor 0, and --listen {} puts it elsewhere", spec.flag);
        return Err(Fault::new(reason, "take the option fd=N away"));
    }
    if args.process.stdin.is_some() {
        return Err(Fault::new(
            "the listener is the standard input then, and --stdin says otherwise",
            "take --stdin away",
        ));
    }
    Ok(())
}

impl HandoffPlan {
    /// True when this is one of the protocols.
    #[must_use]
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    /// How a copy that speaks these protocols says that it serves.
    pub fn signs(&self) -> impl Iterator<Item = Sign> + '_ {
        self.protocols.iter().filter_map(|protocol| protocol.sign())
    }

    /// The signals a copy sends to endless without asking for anything.
    pub fn noise(&self) -> impl Iterator<Item = Sig> + '_ {
        self.protocols.iter().filter_map(|protocol| protocol.noise())
    }

    /// The stop signal that programs of these protocols expect, when they bring one.
    pub(super) fn stop_signal(&self) -> Result<Option<Sig>, Fault> {
        protocol::stop_signal(&self.protocols)
    }

    /// The numbers of the descriptors that copies have left: after the row of the listeners from 3 on (sd_listen_fds(3)).
    /// None where the protocol systemd is not spoken, or where there is no room for all of them before a number that `fd=N` or
    /// `--ready fd=N` has taken.
    #[must_use]
    pub fn stored_numbers(&self, listeners: &[i32], count: usize) -> Vec<i32> {
        let free = self.storable(listeners, count);
        if self.speaks(Protocol::Systemd) && free.len() == count { free.collect() } else { Vec::new() }
    }

    /// How many descriptors the copies may leave, by what there is room for behind these listeners; and the number that is taken,
    /// where that leaves less room than `--fd-store-max` does.
    #[must_use]
    pub fn store_room(&self, listeners: &[ListenerSpec]) -> (usize, Option<i32>) {
        let free = self.storable(&self.numbers(listeners), self.fd_store_max);
        (free.len(), (free.len() < self.fd_store_max).then_some(free.end))
    }

    /// The numbers behind the row of the listeners, so many at most, up to one that is taken.
    fn storable(&self, listeners: &[i32], most: usize) -> Range<i32> {
        let row: HashSet<i32> = listeners.iter().copied().collect();
        let begin = (3..).find(|number| !row.contains(number)).unwrap_or(3);
        let free = |number: &i32| !row.contains(number) && self.ready_at != Some(*number);
        let last = (begin..).take_while(free).take(most).last();
        begin..last.map_or(begin, |last| last + 1)
    }

    /// For each listener, in `-l` order, the number of its descriptor in the target: where `fd=N` puts it, else the lowest
    /// from 3 on that is free. With `stdin` the one listener is descriptor 0 (inetd's wait style); with `tableflip` they
    /// begin at 5, after its two pipes.
    #[must_use]
    pub fn numbers(&self, listeners: &[ListenerSpec]) -> Vec<i32> {
        if let (true, [only]) = (self.speaks(Protocol::Stdin), listeners) {
            return vec![only.options.fd.unwrap_or(0)];
        }
        let first = if self.speaks(Protocol::Tableflip) { protocol::TABLEFLIP_NAMES + 1 } else { 3 };
        let placed: HashSet<i32> = listeners.iter().filter_map(|spec| spec.options.fd).collect();
        let mut free = (first..).filter(|number| !placed.contains(number));
        listeners.iter().filter_map(|spec| spec.options.fd.or_else(|| free.next())).collect()
    }
}
