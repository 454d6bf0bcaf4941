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
    /// True when the value came from the option's ENDLESS_ variable.
    pub from_environment: bool,
    /// The preset the value came from.
    pub preset: Option<Box<str>>,
    /// The exit status this error deserves: 2, or 126 and 127 for a COMMAND that cannot be executed or is not there.
    pub code: u8,
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
        if let Some(preset) = &self.preset {
            let value = self.value.as_deref().unwrap_or_default();
            return write!(f, "--preset {preset} ({} {value}): {}\nhint: {}", self.flag, self.reason, self.hint);
        }
        match (&self.value, self.from_environment) {
            (Some(value), true) => write!(f, "{}={value}", self.variable())?,
            (None, true) => write!(f, "{}", self.variable())?,
            (Some(value), false) => write!(f, "{} {value}", self.flag)?,
            (None, false) => write!(f, "{}", self.flag)?,
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
            from_environment: false,
            preset: None,
            code: CODE_USAGE,
        }
    }

    /// The fault of a switch, which has no value.
    #[must_use]
    pub fn at_switch(self, flag: &str) -> Error {
        Error { value: None, ..self.at(flag, "") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhint: {}", self.reason, self.hint)
    }
}

impl std::error::Error for Fault {}
