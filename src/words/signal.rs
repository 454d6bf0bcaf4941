//! Signals and their names.

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A signal by its number, named as in signal(7); real-time signals are `RTMIN+n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// The first and the last real-time signal a program may use with glibc (signal(7)).
    const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

    /// Reads a name with or without `SIG`, in any case, `RTMIN+n`, or a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Sig> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Ok(signal) = format!("SIG{name}").parse::<Signal>() {
            return Some(Sig(signal as i32));
        }
        let number = match name.strip_prefix("RTMIN") {
            Some("") => *Self::REAL_TIME.start(),
            Some(rest) => Self::REAL_TIME.start() + rest.strip_prefix('+')?.parse::<u8>().map(i32::from).ok()?,
            None => name.parse().ok()?,
        };
        (Signal::try_from(number).is_ok() || Self::REAL_TIME.contains(&number)).then_some(Sig(number))
    }

    /// The name without `SIG`: `HUP`, `RTMIN+3`.
    #[must_use]
    pub fn name(self) -> String {
        match Signal::try_from(self.0) {
            Ok(signal) => signal.as_str()["SIG".len()..].to_owned(),
            Err(_) if self.0 == *Self::REAL_TIME.start() => "RTMIN".to_owned(),
            Err(_) => format!("RTMIN+{}", self.0 - Self::REAL_TIME.start()),
        }
    }
}

impl fmt::Display for Sig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}
