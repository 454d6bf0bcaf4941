//! The table of docs/unmodified.md.

use crate::row::Row;
use crate::trial::Result;

/// How it begins.
pub const HEAD: &str = "| program | `endless -- …` | lost | ready after | old copy gone after |\n|---|---|---|---|---|";

/// One line: what was lost of what was asked.
pub fn line(row: &Row, result: &Result) -> String {
    let lost = result.count.lost.len();
    let all = lost + result.count.answered;
    let lost = if lost == 0 { "0".to_owned() } else { format!("**{lost}**") };
    let (ready, gone) = (result.ready.as_millis(), result.gone.as_millis());
    format!("| {} | `{}` | {lost} of {all} | {ready} ms | {gone} ms |", row.name, row.command)
}
