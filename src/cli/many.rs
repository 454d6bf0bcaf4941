//! The short way for thousands of listeners: clap needs some microseconds for each occurrence of an option, which adds up.
//!
//! A word that begins with `-` is never the value of an option of endless, numbers aside, so `--listen` and `-l` can be told
//! from values without knowing the other options.

use std::ffi::OsString;

/// Below this many words clap does everything.
const MANY: usize = 256;

/// Takes every `--listen VALUE` out of a long command line, in order. What is not well formed stays for clap to name.
pub(super) fn take_listeners(words: &mut Vec<OsString>) -> Vec<String> {
    if words.len() < MANY {
        return Vec::new();
    }
    let mut taken = Vec::with_capacity(words.len() / 2);
    let mut kept = Vec::new();
    let mut rest = std::mem::take(words).into_iter().peekable();
    while let Some(word) = rest.next() {
        let Some((flags, attached)) = word.to_str().and_then(split) else {
            kept.push(word);
            continue;
        };
        let value = match attached {
            Some(value) => Some(value.to_owned()),
            None => rest
                .next_if(|next| next.to_str().is_some_and(|next| !next.starts_with('-')))
                .and_then(|next| next.into_string().ok()),
        };
        match value {
            Some(value) => {
                taken.push(value);
                kept.extend((!flags.is_empty()).then(|| OsString::from(format!("-{flags}"))));
            }
            None => kept.push(word),
        }
    }
    *words = kept;
    taken
}

/// The switches before the `l` and the value after it: `-qvl:80`, `-l`, `--listen=:80`. None for any other word.
fn split(word: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = word.strip_prefix("--") {
        let rest = rest.strip_prefix("listen")?;
        return if rest.is_empty() { Some(("", None)) } else { rest.strip_prefix('=').map(|value| ("", Some(value))) };
    }
    let cluster = word.strip_prefix('-')?;
    let value = cluster.trim_start_matches(['q', 'v']);
    let flags = &cluster[..cluster.len() - value.len()];
    let value = value.strip_prefix('l')?;
    let value = value.strip_prefix('=').unwrap_or(value);
    Some((flags, (!value.is_empty()).then_some(value)))
}
