//! The protocol `endless`, as programs of the Go library fvbock/endless read it: ENDLESS_CONTINUE says that sockets are there,
//! from 3 on, and ENDLESS_SOCKET_ORDER which address is at which place, compared as text. So the addresses of `--listen` are
//! written as the program writes them.

use super::{Facts, Variable, plain};

/// Both variables. There is no way to say an address with a comma in it.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 2] {
    let order: Vec<_> = facts.written().collect();
    [plain("ENDLESS_CONTINUE", "1"), plain("ENDLESS_SOCKET_ORDER", order.join(","))]
}
