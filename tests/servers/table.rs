//! The table of docs/servers.md.

use crate::recipe::{Recipe, page};
use crate::support::load::Count;
use crate::trial::Result;
use std::fs;

const BEGIN: &str = "<!-- table -->";
const END: &str = "<!-- end -->";

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

/// Puts the rows between the marks of the page.
pub fn write(rows: &[String], restarts: u32) {
    let text = fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let head = format!(
        "{restarts} restarts each; lost of all requests.\n\n\
         | server | its own stop | new connections | keep-alive | 300 ms requests | ready after |\n|---|---|---|---|---|---|"
    );
    fs::write(page(), format!("{before}{BEGIN}\n{head}\n{}\n{END}{after}", rows.join("\n"))).unwrap();
}
