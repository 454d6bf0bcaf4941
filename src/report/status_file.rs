//! The status file in Server::Starter's format: one `generation:pid` line for each generation that serves or served.

use super::Pids;
use std::fmt::Write;

/// The content: lines in numeric order of the generation.
#[must_use]
pub fn render(pids: &Pids) -> String {
    pids.iter().fold(String::new(), |mut text, (generation, pid)| {
        let _ = writeln!(text, "{generation}:{pid}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::GenerationId;

    #[test]
    fn numeric_order() {
        let pids = [(10, 7), (2, 9)].map(|(generation, pid)| (GenerationId(generation), pid));
        assert_eq!(render(&Pids::from(pids)), "2:9\n10:7\n");
    }
}
