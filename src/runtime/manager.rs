//! endless towards the service manager that started it (sd_notify(3)): ready, reloading, stopping, alive.

use crate::sys::clock;
use crate::words::{GenerationId, Moment};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// While something takes its time the manager is asked for this much more,
const MORE: Duration = Duration::from_secs(60);
/// this often.
const EVERY: Duration = Duration::from_secs(30);
/// Where its queue is full, it is told again this much later,
const AGAIN: Duration = Duration::from_millis(100);
/// as much as this.
const MOST_UNSAID: usize = 32;

/// What endless is doing, as the manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Doing {
    Starting,
    Serving,
    Reloading,
    Stopping,
}

/// The manager's socket, and what it was told.
#[derive(Debug)]
pub(super) struct Manager {
    socket: OwnedFd,
    address: UnixAddr,
    watchdog: Option<Duration>,
    told: Told,
    /// What found no room in its queue, and when it is said again.
    unsaid: VecDeque<String>,
    again_at: Option<Moment>,
}

/// What it was told, and what is due.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Told {
    doing: Doing,
    serving: Option<GenerationId>,
    more_at: Option<Moment>,
    alive_at: Option<Moment>,
}

/// The manager's variables.
pub(super) struct Variables<'a> {
    pub(super) socket: Option<&'a OsStr>,
    pub(super) watchdog_usec: Option<&'a str>,
    pub(super) watchdog_pid: Option<&'a str>,
}

impl Manager {
    /// None where no manager listens.
    pub(super) fn find(variables: &Variables<'_>) -> Option<Manager> {
        let name = variables.socket?.as_bytes();
        let address = match name.split_first()? {
            (b'@', name) => UnixAddr::new_abstract(name).ok()?,
            (b'/', _) => UnixAddr::new(OsStr::from_bytes(name)).ok()?,
            _ => return None,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None).ok()?;
        let ours = variables.watchdog_pid.is_none_or(|pid| pid == std::process::id().to_string());
        let length = variables.watchdog_usec.filter(|_| ours).and_then(|text| text.parse().ok());
        // Twice as often as it is due, as sd_watchdog_enabled(3) says.
        let watchdog = length.filter(|length| *length > 0).map(|length| Duration::from_micros(length) / 2);
        let now = clock::now();
        Some(Manager {
            socket,
            address,
            watchdog,
            told: Told {
                doing: Doing::Starting,
                serving: None,
                more_at: Some(now + EVERY),
                alive_at: watchdog.map(|_| now),
            },
            unsaid: VecDeque::new(),
            again_at: None,
        })
    }

    /// What it knows.
    pub(super) fn told(&self) -> Told {
        self.told
    }

    /// It was told this before endless was upgraded.
    pub(super) fn resume(&mut self, told: Told) {
        self.told = told;
    }

    /// A restart was asked for. `Type=notify-reload` waits from its signal on for this.
    pub(super) fn reloading(&mut self, now: Moment) {
        if self.told.doing == Doing::Serving {
            self.told.doing = Doing::Reloading;
            self.told.more_at = Some(now + EVERY);
            self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=restarting", clock::monotonic().as_micros()));
        }
    }

    /// Tells what has become of it since. `starting`: a start or restart is under way.
    pub(super) fn update(&mut self, now: Moment, serving: Option<GenerationId>, starting: bool, stopping: bool) {
        if stopping {
            if self.told.doing != Doing::Stopping {
                self.told.doing = Doing::Stopping;
                self.say("STOPPING=1\nSTATUS=stopping");
                self.ask_for_more(now);
            }
            return;
        }
        let decided = !starting && serving.is_some();
        if decided && matches!(self.told.doing, Doing::Starting | Doing::Reloading) {
            self.told.doing = Doing::Serving;
            self.told.more_at = None;
            self.told.serving = None;
            self.say("READY=1");
        }
        if self.told.doing == Doing::Serving && serving != self.told.serving {
            self.told.serving = serving;
            let status = serving.map_or("nothing serves".to_owned(), |id| format!("generation {id} serves"));
            self.say(&format!("STATUS={status}"));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.told.more_at.into_iter().chain(self.told.alive_at).chain(self.again_at).min()
    }

    /// endless was suspended, and its clock with it; the manager's was not: what it is told now and then is due.
    pub(super) fn continued(&mut self, now: Moment) {
        for at in [&mut self.told.more_at, &mut self.told.alive_at].into_iter().flatten() {
            *at = now;
        }
    }

    /// Says what is due.
    pub(super) fn tick(&mut self, now: Moment) {
        if self.again_at.take_if(|at| *at <= now).is_some() {
            self.say_all(now);
        }
        if self.told.more_at.is_some_and(|at| at <= now) {
            self.ask_for_more(now);
        }
        if let (Some(every), true) = (self.watchdog, self.told.alive_at.is_some_and(|at| at <= now)) {
            self.told.alive_at = Some(now + every);
            self.say("WATCHDOG=1");
        }
    }

    fn ask_for_more(&mut self, now: Moment) {
        self.told.more_at = Some(now + EVERY);
        self.say(&format!("EXTEND_TIMEOUT_USEC={}", MORE.as_micros()));
    }

    /// A manager that does not listen is no reason to fail; one whose queue is full is told a little later.
    fn say(&mut self, text: &str) {
        let repeated = text.starts_with("WATCHDOG=") || text.starts_with("EXTEND_TIMEOUT_USEC=");
        if !repeated || self.unsaid.is_empty() {
            self.unsaid.push_back(text.to_owned());
        }
        if self.unsaid.len() > MOST_UNSAID {
            self.unsaid.pop_front();
        }
        if self.again_at.is_none() {
            self.say_all(clock::now());
        }
    }

    fn say_all(&mut self, now: Moment) {
        while let Some(text) = self.unsaid.front() {
            let sent = sendto(self.socket.as_raw_fd(), text.as_bytes(), &self.address, MsgFlags::MSG_DONTWAIT);
            if matches!(sent, Err(Errno::EAGAIN | Errno::ENOBUFS)) {
                self.again_at = Some(now + AGAIN);
                return;
            }
            self.unsaid.pop_front();
        }
    }
}
