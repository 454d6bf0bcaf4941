//! The table of docs/servers.md.

use crate::recipe::Recipe;
use crate::support::load::Count;
use crate::trial::Result;

/// How it begins.
pub const HEAD: &str = "| server | its own stop | new connections | keep-alive | 300 ms requests | ready after |\n|---|---|---|---|---|---|";

/// One row: what was lost of what was asked.
pub fn row(recipe: &Recipe, result: &Result) -> String {
    let lost = |count: &Count| {
        let lost = count.lost.len();
        let all = lost + count.answered;
        if all == 0 {
            return "–".to_owned();
        }
        if lost == 0 { format!("0 of {all}") } else { format!("**{lost}** of {all}") }
    };
    let raced = if result.kept.raced == 0 { String::new() } else { format!(", {} raced", result.kept.raced) };
    let own = if recipe.cuts { "cuts" } else { "finishes" };
    format!(
        "| {} | {own} | {} | {}{raced} | {} | {} ms |",
        recipe.name,
        lost(&result.new),
        lost(&result.kept),
        lost(&result.slow),
        result.ready.as_millis()
    )
}
