//! The OPTIONS section of the manual page, from clap's definition.

use super::roff::{bold, fill, italic, paragraph};
use clap::Arg;
use endless::cli;
use std::fmt::Write;

/// Every option, in the order of the help, as clap completes them: `--help` and `--version` among them.
pub fn all() -> Vec<Arg> {
    let mut command = cli::command();
    command.build();
    command.get_arguments().filter(|arg| !arg.is_positional()).cloned().collect()
}

/// An option's text: its summary, and the paragraphs behind it.
pub struct Said {
    pub summary: String,
    pub default: Option<String>,
    pub more: Vec<String>,
}

/// Takes the text of the help apart. The default stands at the end of the summary, in `[default: …]`.
pub fn said(arg: &Arg) -> Said {
    let summary = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let long = arg.get_long_help().map(ToString::to_string).unwrap_or_default();
    let more = long.split("\n\n").skip(1).map(str::to_owned).collect();
    match summary.split_once(" [default: ") {
        Some((text, default)) => {
            Said { summary: text.to_owned(), default: Some(default.trim_end_matches(']').to_owned()), more }
        }
        None => Said { summary, default: None, more },
    }
}

/// The whole section, without its heading.
pub fn render() -> String {
    let options = all();
    let mut text = String::new();
    let mut heading = None;
    for arg in &options {
        let theme = arg.get_help_heading().unwrap_or("Help");
        if heading != Some(theme) {
            let _ = writeln!(text, ".SS {theme}");
            heading = Some(theme);
        }
        one(&mut text, arg);
    }
    text
}

fn one(text: &mut String, arg: &Arg) {
    let short = arg.get_short().map(|short| bold(&format!("-{short}")));
    let long = arg.get_long().map(|long| bold(&format!("--{long}")));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let value = match arg.get_value_names() {
        Some([value, ..]) if arg.get_action().takes_values() => match arg.get_num_args() {
            Some(range) if range.min_values() == 0 => format!(" {}", italic(&format!("[{value}]..."))),
            _ => format!(" {}", italic(value)),
        },
        _ => String::new(),
    };
    let said = said(arg);
    let _ = write!(text, ".TP\n{}{value}\n{}", names.join(", "), paragraph(&format!("{}.", said.summary)));
    for more in &said.more {
        let _ = write!(text, ".IP\n{}", paragraph(more));
    }
    let default = said.default.map(|default| format!("Default: {}.", bold(&default)));
    let variable = arg.get_env().map(|name| format!("Variable: {}.", bold(&name.to_string_lossy())));
    let facts: Vec<String> = default.into_iter().chain(variable).collect();
    if !facts.is_empty() {
        let _ = write!(text, ".IP\n{}", fill(&facts.join(" ")));
    }
}
