//! The options after the address of a listener.

use super::{Address, SocketOptions, UnixKind, UnixName};
use crate::plan::error::Fault;
use crate::plan::{identity, value};
use std::net::SocketAddr;
use std::time::Duration;

/// Every option, in the order of the canonical form.
const NAMES: [&str; 19] = [
    "backlog",
    "mode",
    "user",
    "group",
    "v6only",
    "freebind",
    "transparent",
    "device",
    "mark",
    "fastopen",
    "defer-accept",
    "keepalive",
    "nodelay",
    "rcvbuf",
    "sndbuf",
    "congestion",
    "nonblock",
    "share",
    "fd",
];

/// Those that may stand without a value.
const SWITCHES: [&str; 5] = ["freebind", "transparent", "nodelay", "nonblock", "share"];

/// The largest number a descriptor can have by default (fs.nr_open, proc_sys_fs(5)).
const LARGEST_FD: i32 = 1_048_575;

/// Reads everything after the first comma.
pub(super) fn parse(text: &str, address: &Address) -> Result<SocketOptions, Fault> {
    let mut options = SocketOptions::default();
    let mut seen: Vec<&str> = Vec::new();
    for part in text.split(',') {
        let (name, given) = match part.split_once('=') {
            Some((name, given)) => (name, Some(given)),
            None => (part, None),
        };
        refuse_unfitting(name, address)?;
        if seen.contains(&name) {
            return Err(Fault::new(format!("the option `{name}` is given twice"), "once"));
        }
        seen.push(name);
        let given = match given {
            Some("") => return Err(needs_value(name)),
            None if !SWITCHES.contains(&name) => return Err(needs_value(name)),
            given => given.unwrap_or("yes"),
        };
        set(&mut options, name, given)
            .map_err(|fault| Fault { reason: format!("{name}: {}", fault.reason), ..fault })?;
    }
    Ok(options)
}

fn needs_value(name: &str) -> Fault {
    let example = match name {
        "mode" => "0660",
        "user" => "www-data",
        "group" => "www-data",
        _ if name == "v6only" || SWITCHES.contains(&name) => "yes",
        "device" => "eth0",
        "keepalive" => "60/10/5",
        "rcvbuf" | "sndbuf" => "256K",
        "congestion" => "bbr",
        _ => "8",
    };
    Fault::new(format!("the option `{name}` needs a value"), format!("{name}={example}"))
}

fn refuse_unfitting(name: &str, address: &Address) -> Result<(), Fault> {
    if fits(name, address) {
        return Ok(());
    }
    let fitting: Vec<&str> = NAMES.into_iter().filter(|name| fits(name, address)).collect();
    let hint = format!("{} takes: {}", kind(address), fitting.join(", "));
    let reason = match name {
        "" => "an option is missing after a comma; a comma always begins an option".to_owned(),
        _ if NAMES.contains(&name) => format!("the option `{name}` does not fit {}", kind(address)),
        _ => format!("there is no option `{name}`"),
    };
    Err(Fault::new(reason, hint))
}

/// What the address is, in words.
fn kind(address: &Address) -> &'static str {
    match address {
        Address::Tcp { at: SocketAddr::V4(_), .. } => "an IPv4 TCP socket",
        Address::Tcp { .. } => "an IPv6 TCP socket",
        Address::Udp { at: SocketAddr::V4(_), .. } => "an IPv4 UDP socket",
        Address::Udp { .. } => "an IPv6 UDP socket",
        Address::Unix { name: UnixName::Abstract(_), .. } => "an abstract Unix socket",
        Address::Unix { .. } => "a Unix socket",
        Address::Vsock(_) => "a VM socket",
        Address::Inherited(_) => "an inherited descriptor",
    }
}

fn fits(name: &str, address: &Address) -> bool {
    let tcp = matches!(address, Address::Tcp { .. });
    let inet = tcp || matches!(address, Address::Udp { .. });
    match name {
        "nonblock" | "share" | "fd" => true,
        // A VM socket has buffers of another kind.
        "rcvbuf" | "sndbuf" => !matches!(address, Address::Inherited(_) | Address::Vsock(_)),
        "backlog" => {
            tcp || matches!(
                address,
                Address::Unix { kind: UnixKind::Stream | UnixKind::Seqpacket, .. } | Address::Vsock(_)
            )
        }
        "mode" | "user" | "group" => matches!(address, Address::Unix { name: UnixName::Path(_), .. }),
        "v6only" => matches!(address, Address::Tcp { at, .. } | Address::Udp { at, .. } if at.is_ipv6()),
        "freebind" | "transparent" | "device" | "mark" => inet,
        "fastopen" | "defer-accept" | "keepalive" | "nodelay" | "congestion" => tcp,
        _ => false,
    }
}

fn set(options: &mut SocketOptions, name: &str, given: &str) -> Result<(), Fault> {
    match name {
        "backlog" => options.backlog = Some(value::number(given, 1, i32::MAX)?),
        "mode" => options.mode = Some(value::octal(given, "0660")?),
        "user" => options.user = Some(identity::user_id(given)?),
        "group" => options.group = Some(identity::group_id(given)?),
        "v6only" => options.v6only = Some(value::yes_no(given)?),
        "freebind" => options.freebind = value::yes_no(given)?,
        "transparent" => options.transparent = value::yes_no(given)?,
        "device" => options.device = Some(device(given)?),
        "mark" => options.mark = Some(mark(given)?),
        "fastopen" => options.fastopen = Some(value::number(given, 1, i32::MAX)?),
        "defer-accept" => options.defer_accept = Some(value::number(given, 1, i32::MAX)?),
        "keepalive" => options.keepalive = Some(keepalive(given)?),
        "nodelay" => options.nodelay = value::yes_no(given)?,
        "rcvbuf" => options.rcvbuf = Some(buffer(given)?),
        "sndbuf" => options.sndbuf = Some(buffer(given)?),
        "congestion" => options.congestion = Some(congestion(given)?),
        "nonblock" => options.nonblock = Some(value::yes_no(given)?),
        "share" => options.share = value::yes_no(given)?,
        _ => options.fd = Some(descriptor(given)?),
    }
    Ok(())
}

fn device(text: &str) -> Result<String, Fault> {
    let good = text.len() <= 15 && !text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        format!("`{text}` cannot be the name of a network interface"),
        "at most 15 characters; ip link lists them",
    ))
}

/// A number, or 0x and a hexadecimal one, as ip(8) and iptables(8) write marks.
fn mark(text: &str) -> Result<u32, Fault> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match digits.map(|digits| u32::from_str_radix(digits, 16)) {
        Some(Ok(mark)) => Ok(mark),
        _ => value::number(text, 0, u32::MAX),
    }
}

/// The kernel knows which there are, and may load one only when it is asked for.
fn congestion(text: &str) -> Result<String, Fault> {
    let good = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if good {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        format!("`{text}` cannot be the name of a congestion control"),
        "at most 15 letters and digits; /proc/sys/net/ipv4/tcp_available_congestion_control lists them",
    ))
}

/// IDLE/INTERVAL/COUNT with the kernel's limits (tcp(7)).
fn keepalive(text: &str) -> Result<(Duration, Duration, u32), Fault> {
    let parts: Vec<&str> = text.split('/').collect();
    let [idle, interval, count] = parts[..] else {
        return Err(Fault::new(format!("`{text}` is not IDLE/INTERVAL/COUNT"), "seconds, seconds and probes: 60/10/5"));
    };
    let seconds = |text| value::number(text, 1u64, 32_767).map(Duration::from_secs);
    Ok((seconds(idle)?, seconds(interval)?, value::number(count, 1, 127)?))
}

fn buffer(text: &str) -> Result<usize, Fault> {
    let size = value::size(text)?;
    let fitting = i32::try_from(size).ok().filter(|size| *size > 0).and_then(|size| usize::try_from(size).ok());
    fitting.ok_or_else(|| Fault::new(format!("`{text}` is out of range"), "a size from 1 to 2147483647, such as 256K"))
}

fn descriptor(text: &str) -> Result<i32, Fault> {
    let number = value::number(text, 0, LARGEST_FD)?;
    if number == 1 || number == 2 {
        return Err(Fault::new(format!("descriptor {number} is the target's output"), "0, or a number from 3 on"));
    }
    Ok(number)
}
