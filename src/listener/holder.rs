//! Who holds a busy address: found through /proc, in the error path only.

use super::error::Holder;
use super::inet::{Place, Transport};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};

/// The state "listening" of a TCP socket in /proc/net/tcp (linux/net/tcp_states.h).
const LISTENING: &str = "0A";

/// One socket in such a table.
#[derive(Debug, PartialEq)]
struct Entry {
    port: u16,
    listens: bool,
    inode: u64,
}

/// The processes that have a socket open that listens on this port, as far as this user may look (proc(5)).
pub(super) fn of(place: Place) -> Vec<Holder> {
    let at_port = |entry: &Entry| entry.port == place.at.port();
    let inodes = match place.transport {
        Transport::Tcp => {
            entries("tcp").filter(|entry| entry.listens).filter(at_port).map(|entry| entry.inode).collect()
        }
        Transport::Udp => entries("udp").filter(at_port).map(|entry| entry.inode).collect(),
    };
    processes_with(&inodes)
}

/// The TCP ports on which these sockets listen.
#[must_use]
pub fn listening_ports(sockets: &HashSet<u64>) -> BTreeSet<u16> {
    entries("tcp").filter(|entry| entry.listens && sockets.contains(&entry.inode)).map(|entry| entry.port).collect()
}

/// The sockets of both families. Line by line: a busy machine has megabytes there, and memory that was needed once is kept.
fn entries(protocol: &str) -> impl Iterator<Item = Entry> {
    let tables = ["", "6"].map(|family| fs::File::open(format!("/proc/net/{protocol}{family}")));
    let lines = tables.into_iter().flatten().flat_map(|table| BufReader::new(table).lines().map_while(Result::ok));
    lines.filter_map(|line| entry(&line))
}

/// Reads one line: `sl local_address rem_address st … uid timeout inode`. None for the headline.
fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Entry { port, listens: fields.nth(1)? == LISTENING, inode: fields.nth(5)?.parse().ok()? })
}

/// The processes that have a Unix socket of such a name open; an abstract name begins with `@`.
pub(super) fn of_unix(fits: impl Fn(&[u8]) -> bool) -> Vec<Holder> {
    let text = fs::read("/proc/net/unix").unwrap_or_default();
    let named = text.split(|byte| *byte == b'\n').filter_map(named_inode);
    processes_with(&named.filter(|(name, _)| fits(name)).map(|(_, inode)| inode).collect())
}

/// Name and inode of one line: `num refcount protocol flags type st inode path`. A name may have blanks in it.
fn named_inode(line: &[u8]) -> Option<(&[u8], u64)> {
    let mut rest = line;
    let mut field: &[u8] = b"";
    for _ in 0..7 {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ')?;
        (field, rest) = rest.split_at(end);
    }
    Some((rest.strip_prefix(b" ")?, std::str::from_utf8(field).ok()?.parse().ok()?))
}

fn processes_with(inodes: &HashSet<u64>) -> Vec<Holder> {
    let mut found = Vec::new();
    if inodes.is_empty() {
        return found;
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if has_one_of(pid, inodes) {
            let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            found.push(Holder { pid, program: program.trim_end().to_owned() });
        }
    }
    found.sort_by_key(|holder| holder.pid);
    found
}

fn has_one_of(pid: i32, inodes: &HashSet<u64>) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.into_iter().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        let inode = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_gives_its_port_state_and_inode() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0";
        let read = |listens| Some(Entry { port: 8080, listens, inode: 4711 });
        assert_eq!(entry(line), read(true));
        assert_eq!(entry(&line.replace(" 0A ", " 01 ")), read(false));
        assert_eq!(entry("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"), None);
        assert_eq!(entry("nonsense"), None);
    }

    #[test]
    fn who_listens_on_a_port_is_found() {
        let server = std::net::TcpListener::bind("[::1]:0").unwrap();
        let at = server.local_addr().unwrap();
        let place = Place { transport: Transport::Tcp, at, any: false };
        assert!(of(place).iter().any(|holder| u32::try_from(holder.pid) == Ok(std::process::id())));
        let inode = nix::sys::stat::fstat(&server).unwrap().st_ino;
        assert_eq!(listening_ports(&[inode].into()), [at.port()].into());
    }

    #[test]
    fn a_line_of_the_unix_table_gives_its_name_and_inode() {
        let line = b"0000000000000000: 00000002 00000000 00010000 0001 01 21465 /run/my app.sock";
        assert_eq!(named_inode(line), Some((&b"/run/my app.sock"[..], 21465)));
        assert_eq!(named_inode(b"0000000000000000: 00000002 00000000 00010000 0001 01   465"), None);
        assert_eq!(named_inode(b"nonsense"), None);
    }
}
