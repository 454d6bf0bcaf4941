//! The words every room shares: what a generation is called, how time is counted, how a process ends.
//!
//! Nothing here decides anything.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// One start of the target, numbered from 1. Every attempt takes a number, failed ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(pub u32);

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A point on the monotonic clock, counted from boot (`CLOCK_MONOTONIC`, clock_gettime(2)).
///
/// Unlike `std::time::Instant` it is a plain number: it can be made up in a test, printed, and written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// How long it is from `earlier` to `self`; zero when `earlier` lies later.
    #[must_use]
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, more: Duration) -> Moment {
        Moment(self.0.saturating_add(more))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, less: Duration) -> Moment {
        Moment(self.0.saturating_sub(less))
    }
}

/// A signal by its number, named as in signal(7); real-time signals are `RTMIN+n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sig(pub i32);

impl Sig {
    /// Hang up: restart.
    pub const HUP: Sig = Sig(1);
    /// Ctrl-C: stop.
    pub const INT: Sig = Sig(2);
    /// Ctrl-\: stop.
    pub const QUIT: Sig = Sig(3);
    /// Cannot be caught: the hammer.
    pub const KILL: Sig = Sig(9);
    /// Nothing of endless' own; hooks run.
    pub const USR1: Sig = Sig(10);
    /// Hammer what is retiring.
    pub const USR2: Sig = Sig(12);
    /// Stop; the usual stop signal of a target.
    pub const TERM: Sig = Sig(15);
    /// A child changed its state.
    pub const CHLD: Sig = Sig(17);
    /// Go on after a stop.
    pub const CONT: Sig = Sig(18);
    /// Cannot be caught.
    pub const STOP: Sig = Sig(19);
    /// Ctrl-Z.
    pub const TSTP: Sig = Sig(20);

    const NAMES: [(&'static str, i32); 31] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("PIPE", 13),
        ("ALRM", 14),
        ("TERM", 15),
        ("STKFLT", 16),
        ("CHLD", 17),
        ("CONT", 18),
        ("STOP", 19),
        ("TSTP", 20),
        ("TTIN", 21),
        ("TTOU", 22),
        ("URG", 23),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("VTALRM", 26),
        ("PROF", 27),
        ("WINCH", 28),
        ("IO", 29),
        ("PWR", 30),
        ("SYS", 31),
    ];

    /// The first and the last real-time signal a program may use with glibc (signal(7)).
    const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

    /// Reads a name with or without `SIG`, in any case, `RTMIN+n`, or a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Sig> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, number)) = Self::NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Sig(*number));
        }
        let number = match name.strip_prefix("RTMIN") {
            Some("") => *Self::REAL_TIME.start(),
            Some(rest) => Self::REAL_TIME.start() + rest.strip_prefix('+')?.parse::<u8>().map(i32::from).ok()?,
            None => name.parse().ok()?,
        };
        let known = Self::NAMES.iter().any(|(_, known)| *known == number);
        (known || Self::REAL_TIME.contains(&number)).then_some(Sig(number))
    }

    /// The name without `SIG`: `HUP`, `RTMIN+3`.
    #[must_use]
    pub fn name(self) -> String {
        match Self::NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => (*name).to_owned(),
            None if self.0 == *Self::REAL_TIME.start() => "RTMIN".to_owned(),
            None => format!("RTMIN+{}", self.0 - Self::REAL_TIME.start()),
        }
    }
}

impl fmt::Display for Sig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}

/// How a process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It exited with this status, 0 to 255.
    Code(u8),
    /// This signal ended it.
    Signal(Sig),
}

impl Exit {
    /// The status a shell would show: the code, or 128 + the signal's number.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128u8.saturating_add(u8::try_from(signal.0).unwrap_or(127)),
        }
    }

    /// True for status 0.
    #[must_use]
    pub fn clean(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "killed by {signal}"),
        }
    }
}

/// endless' own failure (as in env(1) and timeout(1)).
pub const CODE_FAILURE: u8 = 125;
/// The command was found and cannot be executed.
pub const CODE_NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const CODE_NOT_FOUND: u8 = 127;
/// The hammer was needed for the active generation.
pub const CODE_HAMMERED: u8 = 137;
/// Wrong use: bad flags or values.
pub const CODE_USAGE: u8 = 2;

/// Why a generation did not come to serve, or an asked-for restart did not take place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its main process ended before it was ready.
    Exited(Exit),
    /// It was not ready in time.
    NotReady(Duration),
    /// It was ready and ended while the older generation still stood guard.
    Crashed(Exit),
    /// The process could not be made: what was tried, and the kernel's answer (`errno`).
    NotMade {
        /// The step, as a verb phrase: "fork", "make a seat at -l :80".
        step: String,
        /// The error number, 0 when there is none.
        errno: i32,
    },
    /// A process was made and could not become the target.
    NotExecuted {
        /// The step in the child, as a verb phrase: "execute /srv/app", "change the directory to /srv".
        step: String,
        /// The error number.
        errno: i32,
    },
    /// A hook said no.
    Vetoed(String),
    /// A newer request took its place.
    Superseded,
    /// endless is stopping.
    Stopping,
}

impl Failure {
    /// The exit status endless has when this failure ends it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Exited(exit) | Failure::Crashed(exit) if exit.clean() => CODE_FAILURE,
            Failure::Exited(exit) | Failure::Crashed(exit) => exit.shell_code(),
            Failure::NotExecuted { errno, step } if step.starts_with("execute") => {
                if *errno == nix::errno::Errno::ENOENT as i32 { CODE_NOT_FOUND } else { CODE_NOT_EXECUTABLE }
            }
            _ => CODE_FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Exited(exit) => write!(f, "it ended before it was ready ({exit})"),
            Failure::NotReady(after) => write!(f, "it was not ready after {}", humantime::format_duration(*after)),
            Failure::Crashed(exit) => write!(f, "it ended during its probation ({exit})"),
            Failure::NotMade { step, errno: 0 } => write!(f, "cannot {step}"),
            Failure::NotMade { step, errno } | Failure::NotExecuted { step, errno } => {
                write!(f, "cannot {step}: {}", nix::errno::Errno::from_raw(*errno).desc())
            }
            Failure::Vetoed(why) => write!(f, "{why}"),
            Failure::Superseded => write!(f, "a newer restart took its place"),
            Failure::Stopping => write!(f, "endless is stopping"),
        }
    }
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPoint {
    /// Before what a signal asks for; failing vetoes it.
    Pre(Sig),
    /// After what a signal asked for was done or has failed.
    Post(Sig),
    /// A generation is about to be started; failing vetoes it.
    Begin,
    /// A generation became active.
    Ready,
    /// A generation is gone after its retirement.
    Retired,
    /// A start or a restart failed.
    Failed,
    /// Everything is gone; endless is about to exit.
    Exit,
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HookPoint::Pre(signal) => write!(f, "pre:{}", signal.name()),
            HookPoint::Post(signal) => write!(f, "post:{}", signal.name()),
            HookPoint::Begin => write!(f, "begin"),
            HookPoint::Ready => write!(f, "ready"),
            HookPoint::Retired => write!(f, "retired"),
            HookPoint::Failed => write!(f, "failed"),
            HookPoint::Exit => write!(f, "exit"),
        }
    }
}

/// How a generation was known to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadySign {
    /// `READY=1` on its notify socket (sd_notify(3)).
    Notified,
    /// It accepted the connection endless made for it.
    Accepted,
    /// It answered the probe with this HTTP status.
    Answered(u16),
    /// This signal came from it.
    Signalled(Sig),
    /// It lived for this long, as asked.
    Delayed(Duration),
    /// It lived for this long; nothing better can be known here.
    Guessed(Duration),
}

impl fmt::Display for ReadySign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadySign::Notified => write!(f, "READY=1"),
            ReadySign::Accepted => write!(f, "it accepted a connection"),
            ReadySign::Answered(status) => write!(f, "it answered the probe with {status}"),
            ReadySign::Signalled(signal) => write!(f, "it sent {signal}"),
            ReadySign::Delayed(after) => write!(f, "alive for {}", humantime::format_duration(*after)),
            ReadySign::Guessed(after) => write!(f, "a guess: alive for {}", humantime::format_duration(*after)),
        }
    }
}
