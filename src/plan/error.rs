//! Why there is no plan.

use crate::words::CODE_USAGE;
use std::fmt;

/// A value that cannot be part of a plan: the flag and the value as typed, why, and the way out.
///
/// It renders as two lines, `FLAG VALUE: REASON` and `hint: WAY OUT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The long form of the option, `--listen`, or `COMMAND`.
    pub flag: String,
    /// What was typed; None for a switch.
    pub value: Option<String>,
    /// Why it cannot be.
    pub reason: String,
    /// What to do instead.
    pub hint: String,
    /// Where the value came from.
    pub origin: Origin,
    /// The name of that preset or file.
    pub place: Box<str>,
    /// The exit status this error deserves: 2, or 126 and 127 for a COMMAND that cannot be executed or is not there.
    pub code: u8,
}

/// Where a value was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Line,
    /// In the option's ENDLESS_ variable.
    Variable,
    /// In a preset.
    Preset,
    /// In the file of `--config`.
    File,
}

impl Error {
    /// The variable that sets the option, `ENDLESS_LISTEN`.
    fn variable(&self) -> String {
        let name = self.flag.trim_start_matches('-').replace('-', "_");
        format!("ENDLESS_{}", name.to_ascii_uppercase())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, flag, place) = (self.value.as_deref(), &self.flag, &self.place);
        match (self.origin, value) {
            (Origin::Preset, value) => write!(f, "--preset {place} ({flag} {})", value.unwrap_or_default())?,
            (Origin::Variable, Some(value)) => write!(f, "{}={value}", self.variable())?,
            (Origin::Variable, None) => write!(f, "{}", self.variable())?,
            (Origin::File, Some(value)) => write!(f, "--config {place}: {flag} {value}")?,
            (Origin::File, None) => write!(f, "--config {place}: {flag}")?,
            (Origin::Line, Some(value)) => write!(f, "{flag} {value}")?,
            (Origin::Line, None) => write!(f, "{flag}")?,
        }
        write!(f, ": {}\nhint: {}", self.reason, self.hint)
    }
}

impl std::error::Error for Error {}

/// What is wrong with a value, before it is known where the value stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Why it cannot be.
    pub reason: String,
    /// What to do instead.
    pub hint: String,
}

impl Fault {
    /// A reason and a way out.
    pub fn new(reason: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { reason: reason.into(), hint: hint.into() }
    }

    /// The fault of this flag's value.
    #[must_use]
    pub fn at(self, flag: &str, value: impl Into<String>) -> Error {
        Error {
            flag: flag.to_owned(),
            value: Some(value.into()),
            reason: self.reason,
            hint: self.hint,
            origin: Origin::Line,
            place: Box::default(),
            code: CODE_USAGE,
        }
    }

    /// The fault of a switch, which has no value.
    #[must_use]
    pub fn at_switch(self, flag: &str) -> Error {
        Error { value: None, ..self.at(flag, "") }
    }
}
