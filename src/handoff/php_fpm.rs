//! The protocol `php-fpm`: FPM_SOCKETS, by which php-fpm hands its sockets to its own successor: `ADDRESS=FD` joined by `,`.
//! ADDRESS is a path, or an IP address without brackets and a port, as php-fpm makes it of what `listen =` names.

use super::{Facts, Variable, plain};
use crate::listener::BoundAddress;

/// FPM_SOCKETS.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 1] {
    let pairs: Vec<String> = facts
        .held
        .iter()
        .zip(facts.numbers)
        .map(|(held, number)| match held.address {
            BoundAddress::Tcp(at) => format!("{}:{}={number}", at.ip(), at.port()),
            _ => format!("{}={number}", held.written()),
        })
        .collect();
    [plain("FPM_SOCKETS", pairs.join(","))]
}
