//! Values that many options share: durations, signals, counts, sizes, octal modes, one word of several.

use super::error::{Error, Fault};
use crate::words::Sig;
use std::str::FromStr;
use std::time::Duration;

/// No duration is longer: a hundred years are a typing mistake.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads the value of an option, or takes the default where it was not given.
pub(super) fn or<T>(
    flag: &str,
    value: Option<&str>,
    default: T,
    read: impl Fn(&str) -> Result<T, Fault>,
) -> Result<T, Error> {
    match value {
        Some(text) => read(text).map_err(|fault| fault.at(flag, text)),
        None => Ok(default),
    }
}

/// A duration as humantime writes it, or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    if is_off(text) {
        return Err(Fault::new("this cannot be switched off", "a duration such as 90s, 2m 30s or 1500ms; 0 for none"));
    }
    let plain = text.trim();
    let bare = plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let parsed = if bare {
        plain.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    } else {
        humantime::parse_duration(plain).ok()
    };
    let hint = "90s, 2m 30s or 1500ms; a bare number is seconds";
    let length = parsed.ok_or_else(|| Fault::new(format!("`{text}` is not a duration"), hint))?;
    if length > LONGEST {
        return Err(Fault::new("that is longer than a hundred years", hint));
    }
    Ok(length)
}

/// A duration, or None for `-1`, `never` and `off`.
pub(super) fn duration_or_never(text: &str) -> Result<Option<Duration>, Fault> {
    if is_off(text) {
        return Ok(None);
    }
    let more = |fault: Fault| Fault { hint: format!("{}; -1, never or off for no limit", fault.hint), ..fault };
    duration(text).map(Some).map_err(more)
}

/// True for `-1` and every other negative number, `never` and `off`.
pub(super) fn is_off(text: &str) -> bool {
    let negative = text.strip_prefix('-').is_some_and(|rest| rest.parse::<u64>().is_ok());
    negative || matches!(text, "never" | "off")
}

/// What `sh -c` is to run.
pub(super) fn command(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() {
        return Err(Fault::new("there is no command", "what `sh -c` runs, such as --check 'nginx -t'"));
    }
    Ok(text.to_owned())
}

/// A signal by name or number.
pub(super) fn signal(text: &str) -> Result<Sig, Fault> {
    Sig::parse(text).ok_or_else(|| {
        Fault::new(
            format!("`{text}` is not a signal"),
            "a name such as TERM, SIGUSR2 or RTMIN+3, or its number; kill -l lists them",
        )
    })
}

/// One word of a fixed list.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Fault> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Fault::new(format!("`{text}` is not known here"), format!("one of: {}", known.join(", ")))
    })
}

/// Reads `yes` or `no`.
pub(super) fn yes_no(text: &str) -> Result<bool, Fault> {
    match text {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(Fault::new(format!("`{text}` is neither yes nor no"), "yes or no")),
    }
}

/// A whole number between two others, both included.
pub(super) fn number<T>(text: &str, from: T, to: T) -> Result<T, Fault>
where
    T: FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<T>() {
        Ok(value) if whole && value >= from && value <= to => Ok(value),
        _ if whole => Err(Fault::new(format!("`{text}` is out of range"), format!("a number from {from} to {to}"))),
        _ => Err(Fault::new(format!("`{text}` is not a whole number"), format!("a number from {from} to {to}"))),
    }
}

/// A size: a number, with K, M or G for powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, Fault> {
    let bad = || Fault::new(format!("`{text}` is not a size"), "a number such as 65536, 64K or 8M");
    let split = text.len() - text.bytes().rev().take_while(|byte| !byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at_checked(split).ok_or_else(bad)?;
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(bad()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor)).ok_or_else(bad)
}

/// An octal mode of at most 0777; `example` is one that makes sense there.
pub(super) fn octal(text: &str, example: &str) -> Result<u32, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        _ => Err(Fault::new(
            format!("`{text}` is not an octal mode"),
            format!("octal digits from 0000 to 0777, such as {example}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m 30s"), Ok(Duration::from_secs(150)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", ".", "1.2.3", "-3s", "10 parsecs", "1e9", "inf", "99999999999999999999", "200years"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn never_off_and_negative_numbers_switch_off() {
        for off in ["-1", "-60", "never", "off"] {
            assert_eq!(duration_or_never(off), Ok(None));
            assert!(duration(off).is_err());
        }
        assert_eq!(duration_or_never("1s"), Ok(Some(Duration::from_secs(1))));
    }

    #[test]
    fn sizes_and_modes() {
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("0"), Ok(0));
        for wrong in ["", "K", "1T", "-1", "1KK", "é", "99999999999999999999", "18446744073709551615G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(octal("0660", "0660"), Ok(0o660));
        for wrong in ["", "8", "+7", "1777", "rw"] {
            assert!(octal(wrong, "0660").is_err(), "{wrong}");
        }
    }
}
