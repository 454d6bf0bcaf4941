//! Text as man(7) wants it.

/// The widest line that is written.
const WIDTH: usize = 100;

/// A word in bold: what is typed.
pub fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", typed(text))
}

/// A word in italics: what stands for something else.
pub fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", typed(text))
}

/// What is typed has hyphens that can be copied.
fn typed(text: &str) -> String {
    plain(text).replace('-', "\\-")
}

fn plain(text: &str) -> String {
    text.replace('\\', "\\e").replace('…', "...")
}

/// A paragraph of a doc comment: what stands in backquotes is bold, and lines are broken at blanks.
pub fn paragraph(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let marked: String = parts.map(|(place, part)| if place % 2 == 1 { bold(part) } else { plain(part) }).collect();
    fill(&marked)
}

/// Breaks a text into lines. A line that would begin as a request does is kept from it.
pub fn fill(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let safe = |line: String| if line.starts_with(['.', '\'']) { format!("\\&{line}\n") } else { format!("{line}\n") };
    lines.into_iter().map(safe).collect()
}

/// One section of a page, by its name, without its heading.
pub fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let heading = format!(".SH {name}\n");
    let start = page.find(&heading).unwrap_or_else(|| panic!("the manual page has no section {name}")) + heading.len();
    let end = page[start..].find("\n.SH ").map_or(page.len(), |end| start + end + 1);
    &page[start..end]
}

/// The heads of all tagged paragraphs (`.TP`) in a text, without the marks of fonts.
pub fn tags(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines.windows(2).filter(|pair| pair[0].starts_with(".TP")).map(|pair| unmarked(pair[1])).collect()
}

/// A text without the marks of fonts and escapes.
pub fn unmarked(text: &str) -> String {
    let fonts = ["\\fB", "\\fI", "\\fR", "\\fP", "\\&"];
    let bare = fonts.iter().fold(text.to_owned(), |text, font| text.replace(font, ""));
    let bare = bare.replace("\\-", "-").replace("\\(aq", "'").replace("\\(dq", "\"").replace("\\e", "\\");
    bare.lines()
        .map(|line| line.strip_prefix(".B ").or(line.strip_prefix(".I ")).unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}
