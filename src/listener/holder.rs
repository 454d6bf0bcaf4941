//! Who holds a busy address: found through /proc, in the error path only.

use super::error::Holder;
use super::inet::{Place, Transport};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};

/// The state "listening" of a TCP socket in /proc/net/tcp (linux/net/tcp_states.h).
const LISTENING: &str = "0A";

/// The processes that have a socket open that listens on this port, as far as this user may look (proc(5)).
pub(super) fn of(place: Place) -> Vec<Holder> {
    let (tables, listening) = match place.transport {
        Transport::Tcp => (["/proc/net/tcp", "/proc/net/tcp6"], Some(LISTENING)),
        Transport::Udp => (["/proc/net/udp", "/proc/net/udp6"], None),
    };
    let mut inodes = HashSet::new();
    for table in tables {
        let text = fs::read_to_string(table).unwrap_or_default();
        inodes.extend(text.lines().skip(1).filter_map(|line| inode_at(line, place.at.port(), listening)));
    }
    processes_with(&inodes)
}

/// The TCP ports on which these sockets listen.
#[must_use]
pub fn listening_ports(sockets: &HashSet<u64>) -> BTreeSet<u16> {
    // Line by line: a busy machine has megabytes of connections there, and memory that was needed once is kept.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|table| fs::File::open(table).ok());
    let lines = tables.flat_map(|table| BufReader::new(table).lines().map_while(Result::ok).skip(1));
    let listening = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let ours = fields.get(3) == Some(&LISTENING) && sockets.contains(&fields.get(9)?.parse().ok()?);
        let (_, port) = fields.get(1)?.rsplit_once(':').filter(|_| ours)?;
        u16::from_str_radix(port, 16).ok()
    });
    listening.collect()
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

/// The inode of one line, when it is about this port and state: `sl local_address rem_address st … uid timeout inode`.
fn inode_at(line: &str, port: u16, state: Option<&str>) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let right_port = u16::from_str_radix(local_port, 16).ok()? == port;
    let right_state = state.is_none_or(|state| fields.get(3) == Some(&state));
    let inode = fields.get(9)?.parse().ok()?;
    (right_port && right_state).then_some(inode)
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
    fn a_line_of_the_table_gives_its_inode() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0";
        assert_eq!(inode_at(line, 8080, Some(LISTENING)), Some(4711));
        assert_eq!(inode_at(line, 8081, Some(LISTENING)), None);
        assert_eq!(inode_at(line, 8080, Some("01")), None);
        assert_eq!(inode_at("nonsense", 8080, None), None);
    }

    #[test]
    fn a_line_of_the_unix_table_gives_its_name_and_inode() {
        let line = b"0000000000000000: 00000002 00000000 00010000 0001 01 21465 /run/my app.sock";
        assert_eq!(named_inode(line), Some((&b"/run/my app.sock"[..], 21465)));
        assert_eq!(named_inode(b"0000000000000000: 00000002 00000000 00010000 0001 01   465"), None);
        assert_eq!(named_inode(b"nonsense"), None);
    }
}
