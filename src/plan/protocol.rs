//! The ways to tell a copy about its listeners, and what each of them brings with it: how a copy says that it serves, and
//! the signal it ends gracefully by.

use super::error::Fault;
use crate::words::Sig;
use serde::{Deserialize, Serialize};

/// One way to tell a copy about its listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID (sd_listen_fds(3)).
    Systemd,
    /// SERVER_STARTER_PORT and SERVER_STARTER_GENERATION (Server::Starter).
    ServerStarter,
    /// The single listener as descriptor 0 (inetd's wait style).
    Stdin,
    /// EINHORN_FD_COUNT and the ack socket (einhorn).
    Einhorn,
    /// ENDLESS_CONTINUE and ENDLESS_SOCKET_ORDER (fvbock/endless).
    Endless,
    /// ENDLESS, a JSON array (pedia/endless).
    EndlessJson,
    /// GOAGAIN_FD and its companions (rcrowley/goagain).
    Goagain,
    /// LISTEN_FDS alone (facebookgo/grace).
    Grace,
    /// Two pipes and the sockets after them (cloudflare/tableflip).
    Tableflip,
    /// OVERSEER_IS_SLAVE and OVERSEER_NUM_FDS (jpillora/overseer).
    Overseer,
    /// NGINX.
    Nginx,
    /// UNICORN_FD.
    Unicorn,
    /// PUMA_INHERIT_0 and so on.
    Puma,
    /// FPM_SOCKETS.
    PhpFpm,
    /// GUNICORN_FD and GUNICORN_PID.
    Gunicorn,
}

/// A way in which a copy says that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sign {
    /// READY=1 on its notify socket (sd_notify(3)).
    Notify,
    /// This signal, sent to endless.
    Signal(Sig),
    /// `worker:ack` on its einhorn socket.
    Ack,
    /// A byte on this descriptor of its own, the end of a pipe.
    Pipe(i32),
}

/// Their names, in the order they are listed in.
pub(super) const NAMES: [(&str, Protocol); 15] = [
    ("systemd", Protocol::Systemd),
    ("server-starter", Protocol::ServerStarter),
    ("stdin", Protocol::Stdin),
    ("einhorn", Protocol::Einhorn),
    ("endless", Protocol::Endless),
    ("endless-json", Protocol::EndlessJson),
    ("goagain", Protocol::Goagain),
    ("grace", Protocol::Grace),
    ("tableflip", Protocol::Tableflip),
    ("overseer", Protocol::Overseer),
    ("nginx", Protocol::Nginx),
    ("unicorn", Protocol::Unicorn),
    ("puma", Protocol::Puma),
    ("php-fpm", Protocol::PhpFpm),
    ("gunicorn", Protocol::Gunicorn),
];

/// The signal goagain's programs are told to send (GOAGAIN_SIGNAL): nobody else sends it, and two of them never become one,
/// as ordinary signals do.
pub const GOAGAIN_SIGNAL: Sig = Sig(49);

/// Where the pipe of tableflip's readiness is.
pub const TABLEFLIP_READY: i32 = 3;
/// Where the pipe of tableflip's names is.
pub const TABLEFLIP_NAMES: i32 = 4;

impl Protocol {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, protocol)| *protocol == self).map_or("", |(name, _)| name)
    }

    /// How a copy that speaks it says that it serves.
    #[must_use]
    pub fn sign(self) -> Option<Sign> {
        match self {
            Protocol::Endless | Protocol::Grace => Some(Sign::Signal(Sig::TERM)),
            Protocol::EndlessJson => Some(Sign::Signal(Sig::INT)),
            Protocol::Goagain => Some(Sign::Signal(GOAGAIN_SIGNAL)),
            Protocol::Einhorn => Some(Sign::Ack),
            Protocol::Tableflip => Some(Sign::Pipe(TABLEFLIP_READY)),
            _ => None,
        }
    }

    /// Another signal that its copies send to endless, and that asks for nothing.
    #[must_use]
    pub fn noise(self) -> Option<Sig> {
        match self {
            // "Released": it has closed its listeners.
            Protocol::Overseer => Some(Sig::USR1),
            // Its programs' older call ignores GOAGAIN_SIGNAL.
            Protocol::Goagain => Some(Sig::QUIT),
            _ => None,
        }
    }

    /// The signal its programs end gracefully by.
    #[must_use]
    pub fn stop_signal(self) -> Option<Sig> {
        match self {
            Protocol::EndlessJson => Some(Sig::INT),
            Protocol::Goagain | Protocol::Nginx | Protocol::Unicorn | Protocol::PhpFpm => Some(Sig::QUIT),
            Protocol::Overseer | Protocol::Einhorn => Some(Sig::USR2),
            Protocol::Endless | Protocol::Grace | Protocol::Puma | Protocol::Gunicorn => Some(Sig::TERM),
            Protocol::Systemd | Protocol::ServerStarter | Protocol::Stdin | Protocol::Tableflip => None,
        }
    }

    /// The number its programs count their descriptors from; None where each number is named.
    #[must_use]
    pub fn counts_from(self) -> Option<i32> {
        match self {
            Protocol::Systemd | Protocol::Endless | Protocol::EndlessJson | Protocol::Grace | Protocol::Overseer => {
                Some(3)
            }
            Protocol::Tableflip => Some(5),
            Protocol::Stdin => Some(0),
            _ => None,
        }
    }
}

/// Two protocols that cannot be given together.
pub(super) fn refuse_conflicts(list: &[Protocol]) -> Result<(), Fault> {
    let counting = |list: &[Protocol]| -> Vec<(Protocol, i32)> {
        list.iter().filter_map(|one| Some((*one, one.counts_from()?))).collect()
    };
    if let [(first, from), rest @ ..] = counting(list).as_slice()
        && let Some((other, _)) = rest.iter().find(|(_, number)| number != from)
    {
        let (low, high) = if other.counts_from() < Some(*from) { (other, first) } else { (first, other) };
        let reason = format!("the descriptors of {high} begin at {}, and {low} {}", high.from(), low.place());
        let hint =
            format!("one of them; {low} goes together with protocols that name each number, such as server-starter");
        return Err(Fault::new(reason, hint));
    }
    for twins in [Protocol::Unicorn, Protocol::Puma] {
        if list.contains(&twins) && list.contains(&Protocol::Systemd) {
            let reason = format!("{twins} reads LISTEN_FDS as well and would take each listener twice");
            return Err(Fault::new(reason, "one of them"));
        }
    }
    Ok(())
}

/// The stop signal the protocols bring; an error when they bring different ones and nobody chooses.
pub(super) fn stop_signal(list: &[Protocol]) -> Result<Option<Sig>, Fault> {
    let brought: Vec<(Protocol, Sig)> = list.iter().filter_map(|one| Some((*one, one.stop_signal()?))).collect();
    let Some((first, signal)) = brought.first() else { return Ok(None) };
    match brought.iter().find(|(_, other)| other != signal) {
        None => Ok(Some(*signal)),
        Some((other, another)) => Err(Fault::new(
            format!("programs of {first} end by {signal} and those of {other} by {another}"),
            format!("say which it is: --stop-signal {}", signal.name()),
        )),
    }
}

impl Protocol {
    fn from(self) -> i32 {
        self.counts_from().unwrap_or_default()
    }

    fn place(self) -> String {
        match self {
            Protocol::Stdin => "puts the listener at 0".to_owned(),
            other => format!("counts from {}", other.from()),
        }
    }
}

/// The protocol as it is typed.
impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
