//! The table of docs/unmodified.md.

use crate::row::Row;
use crate::trial::Result;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- table -->";
const END: &str = "<!-- end -->";

/// One line: what was lost of what was asked.
pub fn line(row: &Row, result: &Result) -> String {
    let lost = result.count.lost.len();
    let all = lost + result.count.answered;
    let lost = if lost == 0 { "0".to_owned() } else { format!("**{lost}**") };
    let (ready, gone) = (result.ready.as_millis(), result.gone.as_millis());
    format!("| {} | `{}` | {lost} of {all} | {ready} ms | {gone} ms |", row.name, row.command)
}

/// Puts the lines between the marks of the page.
pub fn write(lines: &[String], restarts: u32) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/unmodified.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let head = format!(
        "{restarts} restarts each; lost of all requests.\n\n\
         | program | `endless -- …` | lost | ready after | old copy gone after |\n|---|---|---|---|---|"
    );
    fs::write(page, format!("{before}{BEGIN}\n{head}\n{}\n{END}{after}", lines.join("\n"))).unwrap();
}
