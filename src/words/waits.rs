//! What a generation that gets no new connections is still waited for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The connections of an old generation at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Waits {
    /// Handshakes that are not over.
    pub half_open: usize,
    /// Connections it has not accepted.
    pub queued: usize,
    /// Connections in the middle of a request, as far as can be told.
    pub busy: usize,
    /// Connections nothing is asked on.
    pub idle: usize,
}

impl Waits {
    /// The connections it has accepted.
    #[must_use]
    pub fn open(&self) -> usize {
        self.busy + self.idle
    }

    /// True when a server that ends now loses no request.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.half_open + self.queued + self.busy == 0
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.open() == 1 { "" } else { "s" };
        write!(f, "{} open connection{plural}, {} in the middle of a request", self.open(), self.busy)?;
        if self.queued > 0 {
            write!(f, ", {} not yet accepted", self.queued)?;
        }
        if self.half_open > 0 {
            write!(f, ", {} half open", self.half_open)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_in_words() {
        let mut waits = Waits { busy: 1, ..Waits::default() };
        assert_eq!(waits.to_string(), "1 open connection, 1 in the middle of a request");
        waits = Waits { half_open: 3, queued: 2, busy: 1, idle: 4 };
        let text = "5 open connections, 1 in the middle of a request, 2 not yet accepted, 3 half open";
        assert_eq!(waits.to_string(), text);
    }
}
