//! The protocol `grace`, as programs of the Go library facebookgo/grace read it: LISTEN_FDS alone, sockets from 3 on, matched
//! to the program's addresses by getsockname(2). It looks at no LISTEN_PID, so it works behind every wrapper.

use super::{Facts, Variable, plain};

/// LISTEN_FDS.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 1] {
    [plain("LISTEN_FDS", facts.numbers.len().to_string())]
}
