//! Many measurements as one figure, and many figures as one table.

use std::fmt::Write;

/// Durations in nanoseconds, one for each time something was done.
#[derive(Debug, Clone, Default)]
pub struct Samples(pub Vec<u64>);

impl Samples {
    /// The value below which this share of the samples lies, in milliseconds; not a number if there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(index).map_or(f64::NAN, |&nanos| nanos as f64 / 1e6)
    }

    /// The middle one, in milliseconds.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// "1.23 (p90 2.34)", in milliseconds, or a dash.
    pub fn text(&self) -> String {
        if self.0.is_empty() {
            return "–".to_owned();
        }
        format!("{} ms (p90 {})", short(self.median()), short(self.quantile(0.9)))
    }
}

/// Three figures that say something.
pub fn short(millis: f64) -> String {
    match millis {
        value if value.is_nan() => "–".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub what: String,
    pub endless: String,
    pub starter: String,
    pub bare: String,
    pub target: String,
    /// Whether the target was reached; `None` for lines that are only there to compare with.
    pub reached: Option<bool>,
    /// The target is no figure that a busy machine may miss, but what endless is for.
    pub promise: bool,
}

impl Row {
    pub fn new(what: impl Into<String>) -> Row {
        Row { what: what.into(), ..Row::default() }
    }

    pub fn endless(self, endless: impl Into<String>) -> Row {
        Row { endless: endless.into(), ..self }
    }

    pub fn starter(self, starter: impl Into<String>) -> Row {
        Row { starter: starter.into(), ..self }
    }

    pub fn bare(self, bare: impl Into<String>) -> Row {
        Row { bare: bare.into(), ..self }
    }

    pub fn target(self, target: impl Into<String>, reached: bool) -> Row {
        Row { target: target.into(), reached: Some(reached), ..self }
    }

    /// A target that has to be reached on every machine.
    pub fn promise(self, target: impl Into<String>, kept: bool) -> Row {
        Row { promise: true, ..self.target(target, kept) }
    }

    /// A promise that was not kept.
    pub fn broken(&self) -> bool {
        self.promise && self.reached == Some(false)
    }

    pub fn cells(&self) -> Vec<String> {
        let reached = match self.reached {
            Some(true) => "yes",
            Some(false) if self.promise => "**BROKEN**",
            Some(false) => "**no**",
            None => "",
        };
        [&self.what, &self.endless, &self.starter, &self.bare, &self.target, reached].map(str::to_owned).to_vec()
    }
}

pub const HEAD: [&str; 6] = ["what", "endless", "Server::Starter", "bare", "target", "reached"];

/// A Markdown table with its columns in line.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, &width) in line.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            let rule: String = widths.iter().map(|&width| format!("|{}", "-".repeat(width + 2))).collect();
            let _ = writeln!(text, "{rule}|");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn quantiles_are_samples() {
        let samples = Samples(vec![5_000_000, 1_000_000, 3_000_000]);
        assert_eq!(samples.median(), 3.0);
        assert_eq!(samples.quantile(1.0), 5.0);
        assert!(Samples::default().median().is_nan());
    }
}
