//! The grammar of `--env-file`: lines of `NAME=VALUE`, as the dotenv family reads them.
//!
//! Blank lines and lines that begin with `#` are skipped, and `export ` before a name is allowed. A bare value ends at the
//! line's end or at a `#` after a blank. Between single quotes everything is meant as it stands; between double quotes
//! `\n`, `\r`, `\t`, `\\`, `\"`, `\$` and a backslash at the line's end are escapes. Quoted values may span lines.
//! Nothing is interpolated.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Where a file is not well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DotenvError {
    /// The line, from 1.
    pub(super) line: usize,
    /// Why.
    pub(super) reason: &'static str,
}

/// Reads the whole file.
pub(super) fn parse(text: &[u8]) -> Result<Vec<(OsString, OsString)>, DotenvError> {
    let mut reader = Reader { text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), at: 0 };
    let mut list = Vec::new();
    while let Some(entry) = reader.entry().map_err(|reason| reader.error(reason))? {
        list.push(entry);
    }
    Ok(list)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn error(&self, reason: &'static str) -> DotenvError {
        let read = &self.text[..self.at.min(self.text.len())];
        DotenvError { line: 1 + read.iter().filter(|byte| **byte == b'\n').count(), reason }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn entry(&mut self) -> Result<Option<(OsString, OsString)>, &'static str> {
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Ok(None),
                Some(b'\n') => self.at += 1,
                Some(b'#') => self.skip_line(),
                Some(_) => break,
            }
        }
        let name = self.name()?;
        self.skip_blanks();
        let value = match self.peek() {
            Some(b'\'') => self.single()?,
            Some(b'"') => self.double()?,
            _ => self.bare(),
        };
        if value.contains(&0) {
            return Err("a value cannot hold a NUL");
        }
        Ok(Some((OsString::from_vec(name), OsString::from_vec(value))))
    }

    fn name(&mut self) -> Result<Vec<u8>, &'static str> {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"export ") || rest.starts_with(b"export\t") {
            self.at += b"export ".len();
            self.skip_blanks();
        }
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
            self.at += 1;
        }
        let name = self.text[start..self.at].to_vec();
        self.skip_blanks();
        if name.is_empty() || name[0].is_ascii_digit() {
            return Err("a name begins with a letter or `_`");
        }
        if self.peek() != Some(b'=') {
            return Err("there is no `=` after the name");
        }
        self.at += 1;
        Ok(name)
    }

    fn bare(&mut self) -> Vec<u8> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            let comment = byte == b'#' && matches!(self.text[self.at - 1], b' ' | b'\t');
            if byte == b'\n' || comment {
                break;
            }
            self.at += 1;
        }
        let value = self.text[start..self.at].trim_ascii_end().to_vec();
        self.skip_line();
        value
    }

    fn single(&mut self) -> Result<Vec<u8>, &'static str> {
        self.at += 1;
        let start = self.at;
        let length = self.text[start..].iter().position(|byte| *byte == b'\'').ok_or("a single quote is not closed")?;
        self.at = start + length + 1;
        let value = self.text[start..start + length].to_vec();
        self.end_of_line()?;
        Ok(value)
    }

    fn double(&mut self) -> Result<Vec<u8>, &'static str> {
        const OPEN: &str = "a double quote is not closed";
        let start = self.at;
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.take() {
                Some(b'"') => break,
                Some(b'\\') => match self.take() {
                    Some(b'n') => value.push(b'\n'),
                    Some(b'r') => value.push(b'\r'),
                    Some(b't') => value.push(b'\t'),
                    Some(b'\n') => {}
                    Some(plain @ (b'\\' | b'"' | b'$')) => value.push(plain),
                    Some(other) => value.extend([b'\\', other]),
                    None => {
                        self.at = start;
                        return Err(OPEN);
                    }
                },
                Some(byte) => value.push(byte),
                None => {
                    self.at = start;
                    return Err(OPEN);
                }
            }
        }
        self.end_of_line()?;
        Ok(value)
    }

    /// After a closing quote only blanks and a comment may follow.
    fn end_of_line(&mut self) -> Result<(), &'static str> {
        self.skip_blanks();
        match self.peek() {
            None | Some(b'\n') => Ok(()),
            Some(b'#') => {
                self.skip_line();
                Ok(())
            }
            Some(_) => Err("there is more after the closing quote"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(file: &str) -> String {
        let (name, value) = parse(file.as_bytes()).unwrap().remove(0);
        assert_eq!(name, "A");
        value.into_string().unwrap()
    }

    #[test]
    fn values_bare_and_quoted() {
        assert_eq!(value("A=1"), "1");
        assert_eq!(value("\n # comment\n  export A = 1 2  # more\nB=2\n"), "1 2");
        assert_eq!(value("A="), "");
        assert_eq!(value("A= # nothing"), "");
        assert_eq!(value("A=a#b=c"), "a#b=c");
        assert_eq!(value("A=#fff # a colour"), "#fff");
        assert_eq!(value("A='a\\n # $b' # more"), "a\\n # $b");
        assert_eq!(value(r#"A="a\n\"b\" \x \$HOME""#), "a\n\"b\" \\x $HOME");
        assert_eq!(value("A=\"two\nlines\""), "two\nlines");
        assert_eq!(value("A=1\r\n"), "1");
        assert_eq!(value("\u{feff}A=1"), "1");
    }

    #[test]
    fn what_is_not_well_formed_is_named_by_its_line() {
        for (file, line) in [
            ("A=1\nB\n", 2),
            ("=1", 1),
            ("1A=1", 1),
            ("A='x", 1),
            ("A=1\nB=\"x\n\n", 2),
            ("A=\"x\" y", 1),
            ("A=\"\\", 1),
            ("export", 1),
            ("A B=1", 1),
            ("A=\0", 1),
        ] {
            assert_eq!(parse(file.as_bytes()).unwrap_err().line, line, "{file:?}");
        }
    }
}
