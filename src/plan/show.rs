//! What `endless check` prints.

use super::Plan;

/// The plan as a person reads it.
#[must_use]
pub fn render(plan: &Plan) -> String {
    format!("{plan:#?}")
}
