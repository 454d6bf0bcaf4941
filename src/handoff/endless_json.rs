//! The protocol `endless-json`, as programs of the Go library pedia/endless read it: ENDLESS is a JSON array whose item `i` is
//! descriptor `3 + i`. The address is compared as text; a name is for files that are no listeners.

use super::{Facts, Variable, plain};
use serde_json::{Value, json};

/// ENDLESS.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 1] {
    let all: Vec<Value> = facts.written().map(|written| json!({"name": "", "addr": written})).collect();
    [plain("ENDLESS", Value::Array(all).to_string())]
}
