//! The protocol `php-fpm`: FPM_SOCKETS, by which php-fpm hands its sockets to its own successor: `ADDRESS=FD` joined by `,`.
//! ADDRESS is compared with the text of `listen =` in its configuration, so `--listen` is written the same way.

use super::{Facts, Variable, plain};

/// FPM_SOCKETS.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 1] {
    let pairs: Vec<String> =
        facts.written().zip(facts.numbers).map(|(written, number)| format!("{written}={number}")).collect();
    [plain("FPM_SOCKETS", pairs.join(","))]
}
