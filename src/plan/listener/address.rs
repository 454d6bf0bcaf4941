//! The ADDRESS of a listener.

use super::{Address, InheritedRef, UnixKind, UnixName, Vsock};
use crate::plan::error::Fault;
use crate::plan::value;
use crate::sys::names;
use nix::libc::{VMADDR_CID_ANY, VMADDR_CID_HOST, VMADDR_CID_LOCAL};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::path::PathBuf;

/// The longest path or abstract name of a Unix socket, in bytes: 108 less a NUL (unix(7)).
const LONGEST_UNIX_NAME: usize = 107;

/// The forms an address may have, for hints.
pub(super) const FORMS: &str = "HOST:PORT, [IPV6]:PORT, :PORT, PORT, udp:HOST:PORT, unix:PATH, unix:@NAME, unix-dgram:PATH, \
                                unix-seqpacket:PATH, vsock:CID:PORT, fd:N or fd:NAME";

/// Turns host names into addresses, each name once.
pub struct Resolver {
    ipv6: fn() -> bool,
    lookup: fn(&str) -> Result<Vec<IpAddr>, String>,
    known: HashMap<String, Result<IpAddr, String>>,
}

impl Resolver {
    /// Asks the system (getaddrinfo(3)). `ipv6` tells whether this machine has IPv6.
    #[must_use]
    pub fn of_system(ipv6: fn() -> bool) -> Resolver {
        Resolver::by(ipv6, |host| {
            names::prepare();
            match (host, 0).to_socket_addrs() {
                Ok(all) => Ok(all.map(|at| at.ip()).collect()),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    /// Asks `lookup`, which gives all the addresses of a host name in the order of preference, or why there are none.
    #[must_use]
    pub fn by(ipv6: fn() -> bool, lookup: fn(&str) -> Result<Vec<IpAddr>, String>) -> Resolver {
        Resolver { ipv6, lookup, known: HashMap::new() }
    }

    /// The first address of the name, IPv4 before IPv6. `localhost` is the loopback address by definition (RFC 6761, 6.3):
    /// a lookup would be most of the time endless needs to start.
    fn resolve(&mut self, host: &str) -> Result<IpAddr, String> {
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        if let Some(known) = self.known.get(host) {
            return known.clone();
        }
        let found = (self.lookup)(host).and_then(|all| {
            let first = all.iter().find(|ip| ip.is_ipv4()).or(all.first()).copied();
            first.ok_or_else(|| "the name has no address".to_owned())
        });
        self.known.insert(host.to_owned(), found.clone());
        found
    }

    fn any(&self) -> IpAddr {
        if (self.ipv6)() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
    }
}

/// Reads an address.
pub(in crate::plan) fn parse(text: &str, resolver: &mut Resolver) -> Result<Address, Fault> {
    match text.split_once(':') {
        Some(("unix", name)) => unix(UnixKind::Stream, name),
        Some(("unix-dgram", name)) => unix(UnixKind::Datagram, name),
        Some(("unix-seqpacket", name)) => unix(UnixKind::Seqpacket, name),
        Some(("fd", which)) => inherited(which),
        Some(("vsock", at)) => vsock(at).map(Address::Vsock),
        Some(("udp", at)) => inet(at, resolver).map(|(at, any)| Address::Udp { at, any }),
        Some(("tcp", at)) => inet(at, resolver).map(|(at, any)| Address::Tcp { at, any }),
        _ if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) => unix(UnixKind::Stream, text),
        _ if text.starts_with('@') => Err(Fault::new("an abstract Unix name needs its kind", format!("unix:{text}"))),
        _ => inet(text, resolver).map(|(at, any)| Address::Tcp { at, any }),
    }
}

fn unix(kind: UnixKind, name: &str) -> Result<Address, Fault> {
    let (bytes, name) = match name.strip_prefix('@') {
        Some(rest) => (rest, UnixName::Abstract(rest.as_bytes().to_vec())),
        None => (name, UnixName::Path(PathBuf::from(name))),
    };
    if bytes.is_empty() {
        return Err(Fault::new("the Unix socket has no name", "unix:/run/app.sock, or unix:@app for an abstract one"));
    }
    if bytes.len() > LONGEST_UNIX_NAME {
        let reason = format!("the name has {} bytes, and the kernel allows {LONGEST_UNIX_NAME}", bytes.len());
        return Err(Fault::new(reason, "a shorter path, or one relative to the current directory"));
    }
    if bytes.ends_with('/') {
        return Err(Fault::new("this is a directory", format!("name the socket in it: {bytes}app.sock")));
    }
    Ok(Address::Unix { kind, name })
}

/// Reads `CID:PORT`. Port 0 is that of the other forms; the number the kernel has for it is none that can be asked for.
fn vsock(text: &str) -> Result<Vsock, Fault> {
    let form = "vsock:CID:PORT: CID is a number, any, host or local; port 0 lets the kernel choose";
    let (cid, port) = text.split_once(':').ok_or_else(|| Fault::new(format!("`{text}` has no port"), form))?;
    let number = |what: &str, text: &str| {
        let wrong = |fault: Fault| Fault::new(format!("{what}: {}", fault.reason), form);
        value::number(text, 0, u32::MAX - 1).map_err(wrong)
    };
    let cid = match cid {
        "any" => VMADDR_CID_ANY,
        "host" => VMADDR_CID_HOST,
        "local" => VMADDR_CID_LOCAL,
        _ => number("CID", cid)?,
    };
    Ok(Vsock { cid, port: number("port", port)? })
}

/// As it is typed.
impl fmt::Display for Vsock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cid {
            VMADDR_CID_ANY => write!(f, "vsock:any:{}", self.port),
            cid => write!(f, "vsock:{cid}:{}", self.port),
        }
    }
}

fn inherited(which: &str) -> Result<Address, Fault> {
    let digits = which.bytes().all(|byte| byte.is_ascii_digit());
    match which.parse::<i32>() {
        Ok(number) if digits => Ok(Address::Inherited(InheritedRef::Number(number))),
        _ if which.is_empty() || digits || which.starts_with('-') || which.contains(':') => Err(Fault::new(
            format!("`{which}` is neither a descriptor's number nor its name"),
            "fd:3, or fd:NAME with a name from LISTEN_FDNAMES",
        )),
        _ => Ok(Address::Inherited(InheritedRef::Name(which.to_owned()))),
    }
}

/// Reads `HOST:PORT` and its short forms. The flag is true when no host was given.
fn inet(text: &str, resolver: &mut Resolver) -> Result<(SocketAddr, bool), Fault> {
    if text.is_empty() {
        return Err(Fault::new("there is no address", format!("one of: {FORMS}")));
    }
    if let Some(rest) = text.split_once("://").map(|(_, rest)| rest).or(text.strip_prefix("//")) {
        let host = rest.split('/').next().unwrap_or_default();
        let port = if host.contains(':') { "" } else { ":PORT" };
        return Err(Fault::new("this is a URL", format!("its address alone: {host}{port}")));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((SocketAddr::new(resolver.any(), port(text)?), true));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port_text) = rest
            .split_once("]:")
            .ok_or_else(|| Fault::new(format!("`{text}` is not an IPv6 address with a port"), "[::1]:8080"))?;
        return Ok((bracketed(host, port(port_text)?)?, false));
    }
    let (host, port_text) = text.rsplit_once(':').ok_or_else(|| no_port(text))?;
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok((SocketAddr::new(ip.into(), port(port_text)?), false));
    }
    if host.contains(':') || text.parse::<Ipv6Addr>().is_ok() {
        let reason = format!("in `{text}` it is not clear where the IPv6 address ends");
        let whole = match host.parse::<Ipv6Addr>() {
            Ok(_) => format!("[{host}]:{port_text}, or "),
            Err(_) => String::new(),
        };
        return Err(Fault::new(reason, format!("put it in brackets: {whole}[{text}]:PORT")));
    }
    let port = port(port_text)?;
    if host.is_empty() || host == "*" {
        return Ok((SocketAddr::new(resolver.any(), port), true));
    }
    Ok((SocketAddr::new(by_name(host, resolver)?, port), false))
}

fn by_name(host: &str, resolver: &mut Resolver) -> Result<IpAddr, Fault> {
    let host_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if !host_name {
        return Err(Fault::new(format!("`{host}` is not a host name"), format!("one of: {FORMS}")));
    }
    resolver.resolve(host).map_err(|why| {
        Fault::new(
            format!("the host `{host}` is not known: {why}"),
            "an address such as 127.0.0.1:8080, or :8080 for all of them",
        )
    })
}

fn no_port(text: &str) -> Fault {
    let hint = if text.contains('/') {
        format!("to listen on a Unix socket: unix:{text}; else one of: {FORMS}")
    } else {
        format!("{text}:PORT; or one of: {FORMS}")
    };
    Fault::new(format!("`{text}` has no port"), hint)
}

fn port(text: &str) -> Result<u16, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        Fault::new(format!("`{text}` is not a port"), "a number from 1 to 65535, or 0 to let the kernel choose")
    })
}

/// The inside of the brackets, with a zone by number or by the interface's name (`fe80::1%eth0`).
fn bracketed(host: &str, port: u16) -> Result<SocketAddr, Fault> {
    let bad = || Fault::new(format!("`{host}` is not an IPv6 address"), "[::1]:8080; a zone as in [fe80::1%eth0]:8080");
    let (ip, zone) = match host.split_once('%') {
        Some((ip, zone)) => (
            ip,
            scope(zone)
                .ok_or_else(|| Fault::new(format!("there is no network interface `{zone}`"), "ip link lists them"))?,
        ),
        None => (host, 0),
    };
    let ip = ip.parse::<Ipv6Addr>().map_err(|_| bad())?;
    Ok(SocketAddrV6::new(ip, port, 0, zone).into())
}

fn scope(zone: &str) -> Option<u32> {
    zone.parse().ok().or_else(|| nix::net::if_::if_nametoindex(zone).ok())
}
