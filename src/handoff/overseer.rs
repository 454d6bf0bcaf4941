//! The protocol `overseer`, as programs of the Go library jpillora/overseer read it when they are its slaves: the number of
//! sockets, which begin at 3. The ids are for the program's log.

use super::{Facts, Variable, plain};

/// All of them.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 4] {
    let generation = facts.generation.to_string();
    [
        plain("OVERSEER_IS_SLAVE", "1"),
        plain("OVERSEER_NUM_FDS", facts.numbers.len().to_string()),
        plain("OVERSEER_SLAVE_ID", generation.clone()),
        plain("OVERSEER_BIN_ID", generation),
    ]
}
