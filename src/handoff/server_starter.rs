//! The protocol `server-starter`: SERVER_STARTER_PORT and SERVER_STARTER_GENERATION, as Server::Starter gives them.
//!
//! SERVER_STARTER_PORT is `NAME=FD` joined by `;`. NAME is a bare port where no host was given, else the address as typed;
//! UDP has no mark of its own; a Unix socket has its path. A path with `;` or `=` cannot be said.

use super::{Facts, Variable, plain};
use crate::listener::Bound;
use crate::plan::{Address, ListenerSpec};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Both variables.
pub(super) fn variables(facts: &Facts<'_>) -> [Variable; 2] {
    let ports = ("SERVER_STARTER_PORT".into(), ports(facts.specs, facts.held, facts.numbers));
    [ports, plain("SERVER_STARTER_GENERATION", facts.generation.to_string())]
}

fn ports(specs: &[ListenerSpec], held: &[Bound], numbers: &[i32]) -> Result<OsString, String> {
    let length = held.iter().map(|held| held.typed.len() + 20).sum();
    let mut text: Vec<u8> = Vec::with_capacity(length);
    for ((spec, held), number) in specs.iter().zip(held).zip(numbers) {
        if !text.is_empty() {
            text.push(b';');
        }
        let start = text.len();
        push_name(&mut text, spec, held);
        if text[start..].iter().any(|byte| matches!(byte, b';' | b'=')) {
            return Err(format!("`;` and `=` cannot be said in it, and one is in --listen {}", spec.flag));
        }
        text.push(b'=');
        text.extend_from_slice(number.to_string().as_bytes());
    }
    Ok(OsString::from_vec(text))
}

fn push_name(text: &mut Vec<u8>, spec: &ListenerSpec, held: &Bound) {
    let host = match &spec.address {
        Address::Tcp { any, .. } | Address::Udp { any, .. } if !any => typed_host(&spec.typed),
        Address::Tcp { .. } | Address::Udp { .. } => "",
        _ => return text.extend_from_slice(held.address.plain().as_bytes()),
    };
    let Some(at) = held.address.inet() else { return text.extend_from_slice(held.address.plain().as_bytes()) };
    if !host.is_empty() {
        text.extend_from_slice(host.as_bytes());
        text.push(b':');
    }
    text.extend_from_slice(at.port().to_string().as_bytes());
}

/// `[::1]` of `udp:[::1]:53`.
fn typed_host(typed: &str) -> &str {
    let typed = typed.strip_prefix("udp:").or(typed.strip_prefix("tcp:")).unwrap_or(typed);
    typed.rsplit_once(':').map_or("", |(host, _)| host)
}
