//! "Address already in use": signs that a copy has failed because it wanted to bind an address that endless holds.

use crate::listener::{Bound, BoundAddress};
use crate::plan::Plan;
use std::net::IpAddr;

/// The words of an option, in parts, whose number is a port.
const PORT_WORDS: [&str; 5] = ["port", "listen", "bind", "addr", "host"];
/// The same for options of one letter.
const PORT_LETTERS: [&str; 4] = ["-p", "-P", "-l", "-b"];

/// The listener that an argument of the command names, as an address or a port of its own, where no argument asks for a
/// descriptor.
pub(super) fn named<'a>(plan: &Plan, held: &'a [Bound]) -> Option<&'a BoundAddress> {
    let arguments: Vec<_> = plan.command.iter().map(|argument| argument.to_string_lossy()).collect();
    if arguments.iter().any(|argument| argument.contains("{fd")) {
        return None;
    }
    let asks = |argument: &str| plan.handoff.expand && ["{addr", "{port"].iter().any(|one| argument.contains(one));
    let naming =
        |held: &&'a Bound| arguments.windows(2).any(|pair| asks(&pair[1]) || names(&pair[0], &pair[1], &held.address));
    held.iter().find(naming).map(|held| &held.address)
}

/// Whether an argument, with the one before it, names an address.
fn names(before: &str, argument: &str, held: &BoundAddress) -> bool {
    let (key, value) = match argument.split_once('=') {
        Some((key, value)) => (key, value),
        None if before.starts_with('-') => (before, argument),
        None => ("", argument),
    };
    if let BoundAddress::Path { .. } | BoundAddress::Abstract { .. } = held {
        let plain = value.strip_prefix("unix:").unwrap_or(value);
        return plain.strip_prefix("//").unwrap_or(plain) == held.plain().to_string_lossy();
    }
    let Some(at) = held.inet() else { return false };
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse() == Ok(at.port());
    if PORT_LETTERS.iter().any(|letter| argument.strip_prefix(letter).is_some_and(is_port)) {
        return true;
    }
    let address = value.split_once("://").map_or(value, |(_, rest)| rest);
    match address.trim_end_matches('/').rsplit_once(':') {
        Some((host, number)) => is_port(number) && is_host(host, at.ip()),
        None => is_port(value) && is_about_ports(key),
    }
}

/// Whether a host, as typed, is where the listener is; a name other than localhost is not looked up.
fn is_host(typed: &str, held: IpAddr) -> bool {
    let everywhere = held.is_unspecified();
    match typed.trim_matches(['[', ']']) {
        "" | "*" => true,
        "localhost" => everywhere || held.is_loopback(),
        host => host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified() || everywhere || held == ip),
    }
}

fn is_about_ports(key: &str) -> bool {
    let key = key.to_lowercase();
    key.is_empty()
        || PORT_LETTERS.iter().any(|letter| key == letter.to_lowercase())
        || key.len() > 2 && PORT_WORDS.iter().any(|word| key.contains(word))
}

/// Whether what a copy has printed says so, in the words of the C library (glibc, musl), of Java's, Node's, Python's, Ruby's,
/// Rust's and of servers that have their own. In another language the number tells: EADDRINUSE is 98.
pub(super) fn is_said(printed: &[u8]) -> bool {
    let text = String::from_utf8_lossy(printed).to_lowercase();
    text.lines().any(|line| {
        let any = |words: &[&str]| words.iter().any(|word| line.contains(word));
        any(&["addrinuse"])
            || any(&["in use"]) && any(&["address", "port"])
            || any(&["errno 98", "errno: 98", "errno=98", "os error 98", "(98:", "(98)"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::UnixKind;

    fn held(at: &str) -> BoundAddress {
        match at.strip_prefix("unix:") {
            Some(path) => BoundAddress::Path { kind: UnixKind::Stream, path: path.into() },
            None => BoundAddress::Tcp(at.parse().unwrap()),
        }
    }

    fn found(line: &str, at: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        words.windows(2).any(|pair| names(pair[0], pair[1], &held(at)))
    }

    #[test]
    fn an_argument_names_an_address_or_a_port_of_its_own() {
        for line in [
            "python3 -m http.server 8080",
            "php -S 127.0.0.1:8080",
            "x --port 8080",
            "x --port=8080",
            "x -p 8080",
            "x -p8080",
            "env PORT=8080",
            "java -Dserver.port=8080",
            "x -b :8080",
            "x --bind=0.0.0.0:8080",
            "x http://localhost:8080/",
            "x -l *:8080",
        ] {
            assert!(found(line, "127.0.0.1:8080"), "{line}");
        }
        assert!(found("x [::1]:8080", "[::1]:8080"));
        for line in ["x /run/a.sock", "x --bind=unix:/run/a.sock", "x unix:///run/a.sock"] {
            assert!(found(line, "unix:/run/a.sock"), "{line}");
        }
    }

    #[test]
    fn a_number_that_is_something_else_names_none() {
        for line in [
            "x --workers 8080",
            "x --timeout=8080",
            "x -w 8080",
            "x file-8080.txt",
            "x 18080",
            "x --upstream 10.0.0.7:8080",
            "x db.example.com:8080",
            "8080 x",
        ] {
            assert!(!found(line, "127.0.0.1:8080"), "{line}");
        }
        assert!(!found("x /run/a.sock.lock", "unix:/run/a.sock"));
    }

    #[test]
    fn it_is_said_in_many_words() {
        for said in [
            "bind: Address already in use",
            "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
            "(98)Address already in use: AH00072: make_sock: could not bind",
            "OSError: [Errno 98] Address in use",
            "OSError: [Errno 98] Die Adresse wird bereits verwendet",
            "Error: listen EADDRINUSE: address already in use :::8080",
            "Errno::EADDRINUSE",
            "Os { code: 98, kind: AddrInUse, message: \"...\" }",
            "L'adresse est d\u{e9}j\u{e0} utilis\u{e9}e (os error 98)",
            "Web server failed to start. Port 8080 was already in use.",
        ] {
            assert!(is_said(format!("starting\n{said}\nbye\n").as_bytes()), "{said}");
        }
        for other in
            ["", "the lock file is in use", "98 bottles", "Permission denied (os error 13)", "address: 1.2.3.98"]
        {
            assert!(!is_said(other.as_bytes()), "{other}");
        }
    }
}
