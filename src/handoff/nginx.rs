//! The protocol `nginx`: NGINX, by which nginx hands its sockets to its own successor. Each number is followed by `;`; nginx
//! matches them to its `listen` lines by getsockname(2).

use super::{Facts, Variable, plain};

/// NGINX.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 1] {
    let mut numbers = facts.joined(";");
    if !numbers.is_empty() {
        numbers.push(";");
    }
    [plain("NGINX", numbers)]
}
