//! The protocol `gunicorn`: GUNICORN_FD and GUNICORN_PID, by which gunicorn hands its sockets to its own successor. Unlike
//! LISTEN_FDS it does not depend on the pid, so it works behind a wrapper. With GUNICORN_PID that of its parent, gunicorn
//! leaves a Unix path where it is when it ends.

use super::{Facts, Variable, plain};

/// Both variables.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 2] {
    [plain("GUNICORN_FD", facts.joined(",")), plain("GUNICORN_PID", facts.endless.to_string())]
}
