use super::*;
use crate::plan::Fault;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn lookup(host: &str) -> Result<Vec<IpAddr>, String> {
    match host {
        "localhost" => Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]),
        "six" => Ok(vec![Ipv6Addr::LOCALHOST.into()]),
        _ => Err("Name or service not known".to_owned()),
    }
}

fn read(text: &str) -> ListenerSpec {
    ListenerSpec::parse(text, &mut Resolver::by(|| true, lookup)).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn refused(text: &str) -> Fault {
    ListenerSpec::parse(text, &mut Resolver::by(|| true, lookup)).expect_err(text)
}

fn tcp(at: &str, any: bool) -> Address {
    Address::Tcp { at: at.parse().unwrap(), any }
}

#[test]
fn addresses_of_every_form() {
    let path = |kind, name: &str| Address::Unix { kind, name: UnixName::Path(name.into()) };
    for (text, address) in [
        ("localhost:4242", tcp("127.0.0.1:4242", false)),
        ("six:1", tcp("[::1]:1", false)),
        ("10.0.0.1:80", tcp("10.0.0.1:80", false)),
        ("[::1]:80", tcp("[::1]:80", false)),
        (":80", tcp("[::]:80", true)),
        ("*:80", tcp("[::]:80", true)),
        ("8080", tcp("[::]:8080", true)),
        ("tcp:8080", tcp("[::]:8080", true)),
        ("localhost:0", tcp("127.0.0.1:0", false)),
        ("udp:localhost:53", Address::Udp { at: "127.0.0.1:53".parse().unwrap(), any: false }),
        ("udp:53", Address::Udp { at: "[::]:53".parse().unwrap(), any: true }),
        ("/run/app.sock", path(UnixKind::Stream, "/run/app.sock")),
        ("./app.sock", path(UnixKind::Stream, "./app.sock")),
        ("unix:/run/a=b:c.sock", path(UnixKind::Stream, "/run/a=b:c.sock")),
        ("unix-dgram:log", path(UnixKind::Datagram, "log")),
        ("unix-seqpacket:/run/q", path(UnixKind::Seqpacket, "/run/q")),
        ("unix:@app", Address::Unix { kind: UnixKind::Stream, name: UnixName::Abstract(b"app".to_vec()) }),
        ("vsock:any:1024", Address::Vsock(Vsock { cid: u32::MAX, port: 1024 })),
        ("vsock:host:1", Address::Vsock(Vsock { cid: 2, port: 1 })),
        ("vsock:local:0", Address::Vsock(Vsock { cid: 1, port: 0 })),
        ("vsock:3:4294967294", Address::Vsock(Vsock { cid: 3, port: u32::MAX - 1 })),
        ("fd:3", Address::Inherited(InheritedRef::Number(3))),
        ("fd:web", Address::Inherited(InheritedRef::Name("web".to_owned()))),
    ] {
        assert_eq!(read(text).address, address, "{text}");
    }
    let four = ListenerSpec::parse(":80", &mut Resolver::by(|| false, lookup)).unwrap();
    assert_eq!(four.address, tcp("0.0.0.0:80", true));
}

#[test]
fn names_given_and_not() {
    for (text, name) in [
        ("web=:80", "web"),
        ("a.b=/run/x", "a.b"),
        ("localhost:4242", "localhost-4242"),
        (":80", "-80"),
        ("/run/a=b", "/run/a=b"),
        ("8080,backlog=9", "8080"),
        ("fd:3", "fd-3"),
        ("fd:web", "web"),
    ] {
        assert_eq!(&*read(text).name, name, "{text}");
    }
}

#[test]
fn options_are_read_and_written() {
    let text = "web=/run/x,backlog=9,mode=0660,user=7,group=8,rcvbuf=65536,sndbuf=1024,nonblock=yes,share=yes,fd=5";
    let spec = read(text);
    assert_eq!(spec.options.mode, Some(0o660));
    assert_eq!(spec.to_string(), text);
    let text = "localhost:80,freebind=yes,transparent=yes,device=lo,mark=7,fastopen=5,defer-accept=3,keepalive=60/10/5,\
                nodelay=yes,congestion=reno";
    assert_eq!(read(text).to_string(), text);
    assert_eq!(read("udp:53,transparent,mark=0xfFfFffff").to_string(), "udp:53,transparent=yes,mark=4294967295");
    assert_eq!(read("[::]:80,v6only=no,rcvbuf=64K,nodelay").to_string(), "[::]:80,v6only=no,nodelay=yes,rcvbuf=65536");
}

/// What is wrong, what stands in the reason, and what in the hint.
const WRONG: &[(&str, &str, &str)] = &[
    ("", "there is no address", "HOST:PORT"),
    ("localhost", "`localhost` has no port", "localhost:PORT"),
    ("run/app.sock", "`run/app.sock` has no port", "unix:run/app.sock"),
    ("localhost:http", "`http` is not a port", "1 to 65535"),
    ("localhost:65536", "`65536` is not a port", "1 to 65535"),
    ("99999", "`99999` is not a port", "1 to 65535"),
    (":+80", "`+80` is not a port", "1 to 65535"),
    ("::1:80", "not clear where the IPv6 address ends", "[::1]:80"),
    ("[::1]", "not an IPv6 address with a port", "[::1]:8080"),
    ("[zz]:80", "`zz` is not an IPv6 address", "[::1]:8080"),
    ("[fe80::1%nosuch0]:80", "no network interface `nosuch0`", "ip link"),
    ("nowhere:80", "`nowhere` is not known: Name or service not known", "127.0.0.1"),
    ("a b:80", "`a b` is not a host name", "HOST:PORT"),
    ("a b=:80", "`a b` cannot be the name of a listener", "letters"),
    ("=:80", "`` cannot be the name of a listener", "letters"),
    ("@app", "needs its kind", "unix:@app"),
    ("unix:", "has no name", "unix:/run/app.sock"),
    ("unix:@", "has no name", "unix:@app"),
    ("/run/", "this is a directory", "/run/app.sock"),
    ("vsock:80", "`80` has no port", "vsock:CID:PORT"),
    ("vsock:some:80", "CID: `some` is not a whole number", "any, host or local"),
    ("vsock::80", "CID: `` is not a whole number", "any, host or local"),
    ("vsock:any:", "port: `` is not a whole number", "port 0"),
    ("vsock:4294967295:80", "CID: `4294967295` is out of range", "any, host or local"),
    ("vsock:any:4294967295", "port: `4294967295` is out of range", "port 0 lets the kernel choose"),
    ("vsock:any:1:2", "port: `1:2` is not a whole number", "vsock:CID:PORT"),
    ("vsock:any:1,rcvbuf=9", "`rcvbuf` does not fit a VM socket", "a VM socket takes: backlog, nonblock, share, fd"),
    ("fd:-1", "neither a descriptor's number nor its name", "fd:3"),
    ("fd:", "neither a descriptor's number nor its name", "fd:3"),
    (":80,nope=1", "there is no option `nope`", "backlog, v6only"),
    (":80,mark", "`mark` needs a value", "mark=8"),
    (":80,mark=4294967296", "mark: `4294967296` is out of range", "0 to 4294967295"),
    (":80,mark=0x100000000", "mark: `0x100000000` is not a whole number", "0 to 4294967295"),
    (":80,mark=0x", "mark: `0x` is not a whole number", "0 to"),
    ("/x,mark=1", "`mark` does not fit a Unix socket", "backlog"),
    ("fd:3,transparent", "`transparent` does not fit an inherited descriptor", "nonblock, share, fd"),
    ("unix:@a,transparent", "`transparent` does not fit an abstract Unix socket", "backlog"),
    ("udp::53,congestion=bbr", "`congestion` does not fit an IPv6 UDP socket", "transparent, device, mark, rcvbuf"),
    (":80,congestion", "`congestion` needs a value", "congestion=bbr"),
    (":80,congestion=a/b", "congestion: `a/b` cannot be the name", "tcp_available_congestion_control"),
    (":80,transparent=maybe", "transparent: `maybe` is neither yes nor no", "yes or no"),
    (":80,mode=0660", "`mode` does not fit an IPv6 TCP socket", "backlog, v6only"),
    ("10.0.0.1:80,v6only=yes", "`v6only` does not fit an IPv4 TCP socket", "freebind"),
    ("udp::53,backlog=3", "`backlog` does not fit an IPv6 UDP socket", "rcvbuf"),
    ("unix:@a,mode=0660", "`mode` does not fit an abstract Unix socket", "backlog"),
    ("fd:3,backlog=3", "`backlog` does not fit an inherited descriptor", "nonblock, share, fd"),
    (":80,backlog", "`backlog` needs a value", "backlog=8"),
    (":80,backlog=", "`backlog` needs a value", "backlog=8"),
    (":80,backlog=0", "backlog: `0` is out of range", "1 to"),
    (":80,backlog=x", "backlog: `x` is not a whole number", "1 to"),
    (":80,backlog=1,backlog=2", "`backlog` is given twice", "once"),
    (":80,", "missing after a comma", "backlog"),
    ("/x,mode=888", "mode: `888` is not an octal mode", "0660"),
    ("/x,user=no-such-user", "user: there is no user `no-such-user`", "/etc/passwd"),
    ("/x,group=no-such-group", "group: there is no group `no-such-group`", "/etc/group"),
    (":80,v6only=maybe", "v6only: `maybe` is neither yes nor no", "yes or no"),
    (":80,device=a/b", "device: `a/b` cannot be the name", "ip link"),
    (":80,keepalive=60", "keepalive: `60` is not IDLE/INTERVAL/COUNT", "60/10/5"),
    (":80,keepalive=60/10/500", "keepalive: `500` is out of range", "1 to 127"),
    (":80,rcvbuf=0", "rcvbuf: `0` is out of range", "256K"),
    (":80,fd=2", "fd: descriptor 2 is the target's output", "from 3 on"),
    (":80\n", "control character", "take it away"),
];

#[test]
fn what_is_wrong_is_named_with_a_way_out() {
    for (text, reason, hint) in WRONG {
        let fault = refused(text);
        assert!(fault.reason.contains(reason), "{text}: {fault:?}");
        assert!(fault.hint.contains(hint), "{text}: {fault:?}");
    }
    assert!(refused(&format!("unix:/{}", "x".repeat(107))).reason.contains("108 bytes"));
}
