//! Who holds a busy address: found through the kernel's tables and /proc, where something went wrong only.

use super::diag::{AF_INET, AF_INET6, Diag};
use super::error::Holder;
use super::inet::{Place, Transport, overlap};
use super::servers;
use nix::errno::Errno;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;

/// The state "listening" of a TCP socket in /proc/net/tcp (linux/net/tcp_states.h).
const LISTENING: &str = "0A";

/// A socket of a server.
#[derive(Debug, PartialEq)]
struct Entry {
    /// None where it was not asked for.
    ip: Option<IpAddr>,
    port: u16,
    inode: u64,
}

/// The processes that have a socket open that listens on this port, as far as this user may look (proc(5)).
pub(super) fn of(place: Place) -> Vec<Holder> {
    let in_the_way = |one: &Entry| one.port == place.at.port() && one.ip.is_none_or(|ip| overlap(ip, place.at.ip()));
    let there = entries(place.transport).into_iter().filter(in_the_way).map(|one| one.inode).collect();
    processes_with(&there)
}

/// The TCP ports on which these sockets listen.
#[must_use]
pub fn listening_ports(sockets: &HashSet<u64>) -> BTreeSet<u16> {
    let known = |entry: &Entry| sockets.contains(&entry.inode);
    entries(Transport::Tcp).into_iter().filter(known).map(|entry| entry.port).collect()
}

/// The sockets of both families.
fn entries(transport: Transport) -> Vec<Entry> {
    asked(transport).unwrap_or_else(|_| read(transport))
}

fn asked(transport: Transport) -> Result<Vec<Entry>, Errno> {
    let (diag, mut found) = (Diag::open()?, Vec::new());
    for family in [AF_INET, AF_INET6] {
        let add = |server: servers::Server| found.push(entry_of(&server));
        servers::each(&diag, family, transport, add)?;
    }
    Ok(found)
}

fn entry_of(server: &servers::Server) -> Entry {
    let at = server.id.server();
    Entry { ip: Some(at.ip()), port: at.port(), inode: server.inode }
}

/// The same where the kernel does not tell. Line by line: a busy machine has megabytes there, and memory that was needed
/// once is kept.
fn read(transport: Transport) -> Vec<Entry> {
    let protocol = if transport == Transport::Tcp { "tcp" } else { "udp" };
    let tables = ["", "6"].map(|family| fs::File::open(format!("/proc/net/{protocol}{family}")));
    let lines = tables.into_iter().flatten().flat_map(|table| BufReader::new(table).lines().map_while(Result::ok));
    lines.filter_map(|line| entry(&line, transport)).collect()
}

/// Reads one line: `sl local_address rem_address st … uid timeout inode`. None for the headline, and for a connection.
fn entry(line: &str, transport: Transport) -> Option<Entry> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let serves = fields.nth(1)? == LISTENING || transport == Transport::Udp;
    Some(Entry { ip: None, port, inode: fields.nth(5)?.parse().ok()? }).filter(|_| serves)
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
    use std::os::fd::AsFd;

    #[test]
    fn a_line_of_the_table_gives_port_and_inode_of_a_server() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0";
        let found = || Some(Entry { ip: None, port: 8080, inode: 4711 });
        assert_eq!(entry(line, Transport::Tcp), found());
        assert_eq!(entry(&line.replace(" 0A ", " 01 "), Transport::Tcp), None);
        assert_eq!(entry(&line.replace(" 0A ", " 07 "), Transport::Udp), found());
        let headline = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
        assert_eq!(entry(headline, Transport::Tcp), None);
        assert_eq!(entry("nonsense", Transport::Tcp), None);
    }

    #[test]
    fn the_kernel_tells_the_same_as_its_table_in_proc() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let (tcp, udp) = (std::net::TcpListener::bind(at).unwrap(), std::net::UdpSocket::bind(at).unwrap());
            let ports = [tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()];
            let inodes = [tcp.as_fd(), udp.as_fd()].map(|socket| nix::sys::stat::fstat(socket).unwrap().st_ino);
            for (number, transport) in [Transport::Tcp, Transport::Udp].into_iter().enumerate() {
                let ours = |one: &Entry| (one.port, one.inode) == (ports[number], inodes[number]);
                assert!(asked(transport).unwrap().iter().any(ours));
                assert!(read(transport).iter().any(ours));
            }
        }
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
