//! The protocol `unicorn`: UNICORN_FD, by which unicorn hands its sockets to its own successor. Unlike LISTEN_FDS it does not
//! depend on the pid.

use super::{Facts, Variable, plain};

/// UNICORN_FD.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 1] {
    [plain("UNICORN_FD", facts.joined(","))]
}
