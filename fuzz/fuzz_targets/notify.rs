//! Whatever a copy sends to its notify socket: it never panics, and what is taken from it can neither forge nor break a line of the log.

#![no_main]

use endless::runtime::notify::{Said, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let lines = datagram.split(|byte| *byte == b'\n').count();
    let said = parse(datagram);
    assert!(said.len() <= lines, "a line says one thing at most");
    for said in said {
        if let Said::Status(text) = said {
            assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
});
