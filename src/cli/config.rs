//! `--config FILE`: arguments in a file, split as a shell splits words. Line ends are only layout.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a configuration file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) options: Vec<OsString>,
    pub(super) command: Vec<OsString>,
}

/// The file that is named on the command line, or else by the variable; the last one wins.
pub(super) fn path(options: &[OsString], variable: Option<OsString>) -> Option<PathBuf> {
    let mut found = variable.filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut words = options.iter();
    while let Some(word) = words.next() {
        if word == "--config" {
            found = words.next().map(PathBuf::from);
        } else if let Some(path) = word.as_bytes().strip_prefix(b"--config=") {
            found = Some(PathBuf::from(OsStr::from_bytes(path)));
        }
    }
    found
}

/// Reads a file that is read again later. A pipe would be empty then, and whoever reads it might wait for ever.
///
/// # Errors
/// Those of open(2) and read(2), and of everything that is no regular file; /dev/null is an empty one.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    let null = found.file_type().is_char_device() && found.rdev() == nix::libc::makedev(1, 3);
    if !found.is_file() && !null {
        return Err(io::Error::other("it is no file that can be read again, as it is at every start"));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Splits a file's text. The error is a reason.
pub(super) fn read(text: &[u8]) -> Result<Config, String> {
    let mut words = split(text)?.into_iter();
    let options: Vec<OsString> = words.by_ref().take_while(|word| word != "--").collect();
    let nested = |word: &&OsString| word.as_bytes() == b"--config" || word.as_bytes().starts_with(b"--config=");
    match options.iter().find(nested) {
        Some(_) => Err("a configuration file cannot name another one".to_owned()),
        None => Ok(Config { options, command: words.collect() }),
    }
}

/// Words as sh(1) splits them: blanks and line ends, '…', "…" with \ before ", \, $ and `, \ before anything, # comments.
fn split(text: &[u8]) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut line = 1;
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => words.extend(word.take().map(OsString::from_vec)),
            b'#' if word.is_none() => while bytes.next_if(|next| *next != b'\n').is_some() {},
            b'\'' | b'"' => {
                let begun = line;
                let word = word.get_or_insert_default();
                loop {
                    let next = bytes.next().ok_or_else(|| format!("line {begun}: a quote is not closed"))?;
                    line += usize::from(next == b'\n');
                    match next {
                        end if end == byte => break,
                        b'\\' if byte == b'"' && bytes.next_if_eq(&b'\n').is_some() => line += 1,
                        b'\\' if byte == b'"' => {
                            let special = |next: &u8| matches!(next, b'"' | b'\\' | b'$' | b'`');
                            word.push(bytes.next_if(special).unwrap_or(b'\\'));
                        }
                        other => word.push(other),
                    }
                }
            }
            b'\\' => match bytes.next() {
                // A line that goes on.
                Some(b'\n') => line += 1,
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err(format!("line {line}: there is nothing after the backslash")),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word.map(OsString::from_vec));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let text = b"# all\n-l web=:80   --env 'A=b c'\\''d' # more\n--hook \"ready=echo \\\"$x\\\" \\n\" \\\n a#b '' --\n./server \"-x y\"\n";
        let config = read(text).unwrap();
        let expected = ["-l", "web=:80", "--env", "A=b c'd", "--hook", "ready=echo \"$x\" \\n", "a#b", ""];
        assert_eq!(config.options, expected.map(OsString::from));
        assert_eq!(config.command, ["./server", "-x y"].map(OsString::from));
        assert_eq!(read(b"--env \"A=b\\\nc\"").unwrap().options, ["--env", "A=bc"].map(OsString::from));
        assert_eq!(read(b"").unwrap(), Config::default());
    }

    #[test]
    fn what_cannot_be_split_says_where() {
        assert_eq!(read(b"-l :80\n--env 'A=b\n").unwrap_err(), "line 2: a quote is not closed");
        assert_eq!(read(b"-l :80 \\").unwrap_err(), "line 1: there is nothing after the backslash");
        assert!(read(b"--config=x").unwrap_err().contains("cannot name another"));
    }
}
