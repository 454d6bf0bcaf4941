//! `--pass`, `--listen-pid` and `--no-expand`.

use super::error::{Error, Fault};
use super::{HandoffPlan, ListenerSpec, Protocol, value};
use crate::cli::Args;
use std::collections::HashSet;

const FLAG: &str = "--pass";

/// The protocols there are, for hints.
const PROTOCOLS: &str = "systemd, server-starter, stdin or none, separated by commas";

/// The protocols that belong to a later version.
const LATER: [&str; 12] = [
    "einhorn",
    "endless",
    "endless-json",
    "goagain",
    "grace",
    "tableflip",
    "overseer",
    "nginx",
    "unicorn",
    "puma",
    "php-fpm",
    "gunicorn",
];

/// Reads how a copy is told about its listeners.
pub(super) fn read(args: &Args, listeners: &[ListenerSpec]) -> Result<HandoffPlan, Error> {
    let listen_pid = listen_pid(args.listeners.listen_pid.as_deref())?;
    let mut plan = HandoffPlan {
        protocols: vec![Protocol::Systemd, Protocol::ServerStarter],
        explicit: false,
        listen_pid,
        expand: !args.listeners.no_expand,
    };
    if let Some(text) = args.listeners.pass.as_deref() {
        plan.protocols = protocols(text).map_err(|fault| fault.at(FLAG, text))?;
        plan.explicit = true;
        if plan.protocols.contains(&Protocol::Stdin) {
            refuse_stdin(args, listeners).map_err(|fault| fault.at(FLAG, text))?;
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

fn protocols(text: &str) -> Result<Vec<Protocol>, Fault> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    for word in text.split(',') {
        let protocol = match word {
            "systemd" => Protocol::Systemd,
            "server-starter" => Protocol::ServerStarter,
            "stdin" => Protocol::Stdin,
            "none" => return Err(Fault::new("`none` stands alone", "none, or the protocols without it")),
            _ if LATER.contains(&word) => {
                return Err(Fault::new(format!("the protocol `{word}` is not in this version"), PROTOCOLS));
            }
            _ => return Err(Fault::new(format!("there is no protocol `{word}`"), PROTOCOLS)),
        };
        if list.contains(&protocol) {
            return Err(Fault::new(format!("`{word}` is given twice"), "once"));
        }
        list.push(protocol);
    }
    if list.contains(&Protocol::Stdin) && list.contains(&Protocol::Systemd) {
        let reason = "the descriptors of systemd begin at 3, and stdin puts the listener at 0";
        return Err(Fault::new(reason, "one of them; stdin and server-starter go together"));
    }
    Ok(list)
}

/// `stdin` puts the one listener at descriptor 0, where nothing else can be then.
fn refuse_stdin(args: &Args, listeners: &[ListenerSpec]) -> Result<(), Fault> {
    let [listener] = listeners else {
        let reason = format!("stdin passes exactly one listener, and there are {}", listeners.len());
        return Err(Fault::new(reason, "one --listen, or another protocol: systemd or server-starter"));
    };
    if listener.options.fd.is_some_and(|fd| fd != 0) {
        let reason =
            format!("stdin puts the listener at descriptor 0, and --listen {} puts it elsewhere", listener.flag);
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
    /// For each listener, in `-l` order, the number of its descriptor in the target: where `fd=N` puts it, else the lowest
    /// from 3 on that is free. With `stdin` the one listener is descriptor 0 (inetd's wait style).
    #[must_use]
    pub fn numbers(&self, listeners: &[ListenerSpec]) -> Vec<i32> {
        if let (true, [only]) = (self.protocols.contains(&Protocol::Stdin), listeners) {
            return vec![only.options.fd.unwrap_or(0)];
        }
        let placed: HashSet<i32> = listeners.iter().filter_map(|spec| spec.options.fd).collect();
        let mut free = (3..).filter(|number| !placed.contains(number));
        listeners.iter().filter_map(|spec| spec.options.fd.or_else(|| free.next())).collect()
    }
}

/// The protocol as it is typed.
impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Protocol::Systemd => "systemd",
            Protocol::ServerStarter => "server-starter",
            Protocol::Stdin => "stdin",
        })
    }
}
